"""Check digits of national identifiers. Arguments have no separators, and only characters that the number may have."""

from __future__ import annotations

from collections import Counter

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHECKS = "10X98765432"
# fmt: off
_FISCAL_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_VERHOEFF_PRODUCT = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_VERHOEFF_PERMUTATION = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7), (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)
# fmt: on


def is_brazilian_cpf(digits: str) -> bool:
    """CPF: two check digits modulo 11 (Receita Federal); numbers of one repeated digit aren't given out."""
    return len(set(digits)) > 1 and all(
        int(digits[length])
        == sum(int(digit) * (length + 1 - index) for index, digit in enumerate(digits[:length])) * 10 % 11 % 10
        for length in (9, 10)
    )


def is_chinese_resident_number(characters: str) -> bool:
    """Resident identity number: ISO 7064 MOD 11-2 (GB 11643-1999)."""
    total = sum(int(digit) * weight for digit, weight in zip(characters, _RESIDENT_WEIGHTS, strict=False))
    return characters[17] == _RESIDENT_CHECKS[total % 11]


def is_german_tax_number(digits: str) -> bool:
    """Tax identification number: one digit two or three times among the first ten; ISO 7064 MOD 11,10."""
    counts = sorted(Counter(digits[:10]).values(), reverse=True)
    if counts[0] not in (2, 3) or counts[1] != 1:
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return int(digits[10]) == (11 - product) % 10


def is_spanish_dni(characters: str) -> bool:
    """DNI and NIE: the letter is the number modulo 23; X, Y, Z of a NIE count as 0, 1, 2."""
    number = characters[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return characters[-1] == _DNI_LETTERS[int(number) % 23]


def is_french_nir(digits: str) -> bool:
    """NIR: the key is 97 − number modulo 97 (INSEE)."""
    return int(digits[13:]) == 97 - int(digits[:13]) % 97


def is_aadhaar(digits: str) -> bool:
    """Aadhaar: Verhoeff's check digit (UIDAI)."""
    check = 0
    for index, digit in enumerate(reversed(digits)):
        check = _VERHOEFF_PRODUCT[check][_VERHOEFF_PERMUTATION[index % 8][int(digit)]]
    return check == 0


def is_italian_fiscal_code(characters: str) -> bool:
    """Codice fiscale: the last letter is the sum of the characters' values, those of odd places from a table."""
    total = 0
    for index, character in enumerate(characters[:15]):
        value = int(character) if character.isdigit() else ord(character) - ord("A")
        total += value if index % 2 else _FISCAL_ODD[value]
    return characters[15] == chr(ord("A") + total % 26)
