"""Numbers that states give to persons, each with the check digits that its rules prescribe.

| country | number | check |
| --- | --- | --- |
| BR | CPF, `123.456.789-09` or 11 digits | two digits modulo 11 |
| CN | resident identity number, 18 characters | date of birth; ISO 7064 MOD 11-2 |
| DE | tax identification number, 11 digits | one digit twice or thrice among ten; ISO 7064 MOD 11,10 |
| ES | DNI, NIE | letter modulo 23 |
| FR | NIR (sécurité sociale), 15 digits | month; 97 − number modulo 97 |
| GB | National Insurance number | prefix and suffix letters; no check digit |
| IN | Aadhaar, `2345 6789 0124`, bare only where it is named | Verhoeff |
| IT | codice fiscale | letter from weights of odd and even places |
| US | Social Security number, `078-05-1120`, bare only where it is named | ranges; no check digit |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pretrain_dataprep.text.personal import check_digits
from pretrain_dataprep.text.personal.cards import is_something_else
from pretrain_dataprep.text.personal.finding import Finding

_START = rb"(?<![A-Za-z0-9_.,/\\$%&+-])(?<!\d )"
_END = rb"(?![A-Za-z0-9_]|[.,:/-]\d| \d)"
_CONTEXT_BYTES = 48


class _Identifier(NamedTuple):
    pattern: re.Pattern[bytes]
    is_valid: Callable[[str], bool]
    """Of the letters and digits, in capitals."""
    named: re.Pattern[bytes] | None = None
    """What must come before it."""


def _pattern(expression: bytes) -> re.Pattern[bytes]:
    return re.compile(_START + rb"(?:" + expression + rb")" + _END)


def _named(words: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb"(?:" + words + rb")(?:[ _-]?(?:no|nr|number|num|card|id))?[\"'.:#=() ]{0,6}(?:is )?$", re.IGNORECASE
    )


def _is_social_security_number(digits: str) -> bool:
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def _always(_: str) -> bool:
    return True


_SOCIAL_SECURITY_WORDS = rb"\bssn|\bsocial[ -]security|\bss ?#"
_AADHAAR_WORDS = rb"\baadhaa?r|\buidai|\buid|\xe0\xa4\x86\xe0\xa4\xa7\xe0\xa4\xbe\xe0\xa4\xb0"

_IDENTIFIERS = (
    _Identifier(_pattern(rb"\d{3}-\d\d-\d{4}"), _is_social_security_number),
    _Identifier(_pattern(rb"\d{3} ?\d\d ?\d{4}"), _is_social_security_number, _named(_SOCIAL_SECURITY_WORDS)),
    _Identifier(
        _pattern(rb"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"),
        _always,
    ),
    _Identifier(_pattern(rb"[1-9]\d(?: ?\d{3}){3}"), check_digits.is_german_tax_number),
    _Identifier(
        _pattern(rb"[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d\d ?\d{3} ?\d{3} ?\d\d"), check_digits.is_french_nir
    ),
    _Identifier(_pattern(rb"\d{8}[ -]?[A-HJ-NP-TV-Z]"), check_digits.is_spanish_dni),
    _Identifier(_pattern(rb"[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z]"), check_digits.is_spanish_dni),
    _Identifier(
        _pattern(rb"[1-8]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[0-9Xx]"),
        check_digits.is_chinese_resident_number,
    ),
    _Identifier(_pattern(rb"\d{3}\.\d{3}\.\d{3}-\d\d|\d{11}"), check_digits.is_brazilian_cpf),
    _Identifier(_pattern(rb"[2-9]\d{3}([ -])\d{4}\1\d{4}"), check_digits.is_aadhaar),
    _Identifier(_pattern(rb"[2-9]\d{11}"), check_digits.is_aadhaar, _named(_AADHAAR_WORDS)),
)
FISCAL_CODE = re.compile(rb"(?<![A-Za-z0-9_])[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z](?![A-Za-z0-9_])")


def find_identifiers(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield national identifiers in and around a stretch of digits and separators."""
    first, last = max(0, start - 4), min(len(document), end + 4)
    for identifier in _IDENTIFIERS:
        for match in identifier.pattern.finditer(document, first, last):
            value = re.sub(rb"[^A-Za-z0-9]", b"", match[0]).decode().upper()
            if identifier.is_valid(value) and _fits(document, match.start(), identifier.named):
                yield Finding(*match.span(), "national-id", value)


def _fits(document: bytes, position: int, named: re.Pattern[bytes] | None) -> bool:
    if named is not None:
        return named.search(document, max(0, position - _CONTEXT_BYTES), position) is not None
    return not is_something_else(document, position)


def find_fiscal_codes(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield Italian fiscal codes whose first eight characters are the stretch."""
    match = FISCAL_CODE.match(document, start, min(len(document), end + 9))
    if match and check_digits.is_italian_fiscal_code(match[0].decode()):
        yield Finding(*match.span(), "national-id", match[0].decode())
