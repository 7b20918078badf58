"""Personal data and secrets made up from a seed: valid by the rules of their kind, which are written out here again."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

LETTERS_DIGITS = string.ascii_letters + string.digits
Make = Callable[[random.Random], str]


def digits(g: random.Random, count: int, first: str = string.digits) -> str:
    return g.choice(first) + "".join(g.choices(string.digits, k=count - 1))


def characters(g: random.Random, count: int, alphabet: str = LETTERS_DIGITS) -> str:
    """Random characters, at least one of them a digit and one a letter."""
    while True:
        text = "".join(g.choices(alphabet, k=count))
        if any(c.isdigit() for c in text) and any(c.isalpha() for c in text):
            return text


def grouped(text: str, sizes: tuple[int, ...], separator: str) -> str:
    parts, position = [], 0
    for size in sizes:
        parts.append(text[position : position + size])
        position += size
    return separator.join(parts)


def email(g: random.Random) -> str:
    name = g.choice(["anna.smith", "j.doe", "info", "max_mustermann", "li-wei", "joão", "o'brien", "kontakt"])
    local = name.replace("ã", "a") + g.choice(["", str(g.randint(1, 99)), "+news"])
    domain = g.choice(["example", "mail-server", "uni-bonn", "b\u00fccher", "correo"]) + g.choice(["", ".sub"])
    return f"{local}@{domain}.{g.choice(['com', 'org', 'de', 'fr', 'es', 'it', 'com.br', 'cn', 'co.uk', 'in'])}"


def ip(g: random.Random) -> str:
    if g.random() < 0.6:
        return f"{g.choice([8, 10, 52, 91, 172, 192, 203])}.{g.randint(0, 255)}.{g.randint(0, 255)}.{g.randint(1, 254)}"
    groups = [f"{g.randint(1, 0xFFFF):x}" for _ in range(6)]
    return g.choice([f"2001:db8:{':'.join(groups)}", f"2a00:{groups[0]}::{groups[1]}", f"fe80::{':'.join(groups[:4])}"])


def international(code: str, sizes: list[tuple[int, ...]]) -> Make:
    def make(g: random.Random) -> str:
        group_sizes = g.choice(sizes)
        number = digits(g, sum(group_sizes), "123456789")
        prefix = g.choice([f"+{code}", f"00{code}"])
        if prefix.startswith("00") or g.random() < 0.7:
            return f"{prefix} {grouped(number, group_sizes, g.choice([' ', '-']))}"
        return f"{prefix}{number}"

    return make


def american_phone(g: random.Random) -> str:
    area, exchange, line = digits(g, 3, "23456789"), digits(g, 3, "23456789"), digits(g, 4)
    forms = ["({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "1-{}-{}-{}", "+1 {} {} {}", "+1-{}-{}-{}", "{} {} {}"]
    return g.choice(forms).format(area, exchange, line)


def luhn_complete(body: str) -> str:
    """Append the digit that makes the sum of digits, every second one doubled, a multiple of ten."""
    for check in string.digits:
        total = 0
        for index, digit in enumerate((body + check)[::-1]):
            total += sum(map(int, str(2 * int(digit)))) if index % 2 else int(digit)
        if total % 10 == 0:
            return body + check
    raise AssertionError


def card(g: random.Random) -> str:
    prefix, length, sizes = g.choice(
        [
            ("4", 16, (4, 4, 4, 4)),
            (str(g.randint(51, 55)), 16, (4, 4, 4, 4)),
            (str(g.randint(2221, 2720)), 16, (4, 4, 4, 4)),
            (g.choice(["34", "37"]), 15, (4, 6, 5)),
            ("6011", 16, (4, 4, 4, 4)),
            ("36", 14, (4, 6, 4)),
            (str(g.randint(3528, 3589)), 16, (4, 4, 4, 4)),
            ("62", 16, (4, 4, 4, 4)),
        ]
    )
    number = luhn_complete(prefix + "".join(g.choices(string.digits, k=length - 1 - len(prefix))))
    return g.choice([number, grouped(number, sizes, " "), grouped(number, sizes, "-")])


def social_security(g: random.Random) -> str:
    area = g.choice([n for n in range(1, 899) if n != 666])
    return f"{area:03d}-{g.randint(1, 99):02d}-{g.randint(1, 9999):04d}"


def insurance_number(g: random.Random) -> str:
    while True:
        prefix = g.choice("ABCEGHJKLMNOPRSTWXYZ") + g.choice("ABCEGHJKLMNPRSTWXYZ")
        if prefix[0] != "O" and prefix not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"):
            break
    number = digits(g, 6)
    return g.choice([f"{prefix}{number}", f"{prefix} {grouped(number, (2, 2, 2), ' ')} "]) + g.choice("ABCD")


def german_tax_number(g: random.Random) -> str:
    while True:
        used = g.sample(string.digits, 9)
        body = g.sample([*used, g.choice(used)], 10)
        if body[0] != "0":
            break
    product = 10
    for digit in body:
        total = (int(digit) + product) % 10
        product = (10 if total == 0 else total) * 2 % 11
    number = "".join(body) + str((11 - product) % 10)
    return g.choice([number, grouped(number, (2, 3, 3, 3), " ")])


def french_nir(g: random.Random) -> str:
    body = f"{g.choice('12')}{g.randint(0, 99):02d}{g.randint(1, 12):02d}{g.randint(1, 95):02d}{digits(g, 6)}"
    number = f"{body}{97 - int(body) % 97:02d}"
    return g.choice([number, grouped(number, (1, 2, 2, 2, 3, 3, 2), " ")])


def spanish_number(g: random.Random) -> str:
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    if g.random() < 0.5:
        number = g.randint(1_000_000, 99_999_999)
        return f"{number:08d}{g.choice(['', '-'])}{letters[number % 23]}"
    first, number = g.randint(0, 2), g.randint(0, 9_999_999)
    return (
        f"{'XYZ'[first]}{g.choice(['', '-'])}{number:07d}{g.choice(['', '-'])}{letters[(first * 10**7 + number) % 23]}"
    )


def fiscal_code(g: random.Random) -> str:
    body = "".join(g.choices("BCDFGLMNPRST", k=6)) + f"{g.randint(30, 99)}{g.choice('ABCDEHLMPRST')}"
    body += f"{g.randint(1, 31) + g.choice([0, 40]):02d}{g.choice('ABCDEFGHILZ')}{digits(g, 3)}"
    odd_letters = "BAKPLCQDREVOSFTGUHMINJWZYX"
    total = 0
    for index, character in enumerate(body):
        position = int(character) if character.isdigit() else string.ascii_uppercase.index(character)
        total += odd_letters.index(string.ascii_uppercase[position]) if index % 2 == 0 else position
    return body + string.ascii_uppercase[total % 26]


def cpf(g: random.Random) -> str:
    number = digits(g, 9)
    for length in (9, 10):
        rest = sum(int(number[i]) * (length + 1 - i) for i in range(length)) % 11
        number += "0" if rest < 2 else str(11 - rest)
    return g.choice([number, f"{number[:3]}.{number[3:6]}.{number[6:9]}-{number[9:]}"])


def resident_number(g: random.Random) -> str:
    body = (
        f"{g.choice(['110105', '310112', '440305', '510104', '330106'])}{g.randint(1950, 2010)}{g.randint(1, 12):02d}"
    )
    body += f"{g.randint(1, 28):02d}{digits(g, 3)}"
    # ISO 7064 MOD 11-2: the weights are powers of two modulo 11.
    total = sum(int(digit) * pow(2, 17 - index, 11) for index, digit in enumerate(body))
    return body + "0123456789X"[(12 - total) % 11]


def aadhaar(g: random.Random) -> str:
    """Verhoeff's check digit by the dihedral group itself: 0–4 rotations, 5–9 reflections."""

    def multiply(a: int, b: int) -> int:
        flip = (a >= 5) ^ (b >= 5)
        turn = (a % 5 - b % 5) % 5 if a >= 5 else (a % 5 + b % 5) % 5
        return turn + 5 * flip

    permutation = list(range(10))
    step = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    body = digits(g, 11, "23456789")
    product = 0
    for digit in reversed(body):
        permutation = [step[p] for p in permutation]
        product = multiply(product, permutation[int(digit)])
    check = next(c for c in range(10) if multiply(c, product) == 0 or multiply(product, c) == 0)
    return grouped(body + str(check), (4, 4, 4), g.choice([" ", "-"]))


def secret(g: random.Random) -> str:
    """A token of a known service."""
    word = LETTERS_DIGITS + "_-"
    return g.choice(
        [
            "AKIA" + "".join(g.choices(string.ascii_uppercase + "234567", k=16)),
            f"gh{g.choice('pousr')}_{characters(g, 36)}",
            f"github_pat_{characters(g, 22)}_{characters(g, 59)}",
            f"glpat-{characters(g, 20, word)}",
            f"xoxb-{digits(g, 12)}-{digits(g, 12)}-{characters(g, 24)}",
            f"AIza{characters(g, 35, word)}",
            f"sk_live_{characters(g, 24)}",
            f"sk-proj-{characters(g, 48)}",
            f"hf_{characters(g, 34)}",
            f"npm_{characters(g, 36)}",
            f"SG.{characters(g, 22)}.{characters(g, 43)}",
            f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{characters(g, 30, word)}.{characters(g, 43)}",
            f"-----BEGIN RSA PRIVATE KEY-----\n{characters(g, 64)}\n{characters(g, 64)}\n-----END RSA PRIVATE KEY-----",
        ]
    )


def password(g: random.Random) -> str:
    """A random value, secret by its name alone."""
    return g.choice(
        [
            characters(g, g.randint(16, 40)),
            characters(g, 32, "0123456789abcdef"),
            characters(g, 40, LETTERS_DIGITS + "+/"),
        ]
    )
