"""E-mail addresses, phone numbers and IP addresses in stretches of text.

- **e-mail**: local part and a domain with a dot and a top level of 2–24 letters.
- **phone**: `+` or `00` with a country code and 8–15 digits in all; North American numbers with separators; any number
  of 7–15 digits with separators after a word such as "Tel." or "phone". Not: dates, ISBNs, versions, bare digits.
- **ip**: IPv4 in dotted form, not after what says version (`v1.2.3.4`, `version 1.2.3.4`, `Chrome/1.2.3.4`) and not
  part of a longer dotted number; IPv6 in an allocated range. Loopback, unspecified and netmask addresses are nobody's
  and stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from pretrain_dataprep.text.personal.finding import Finding

_CONTEXT_CHARACTERS = 24

_EMAIL_PATTERN = re.compile(
    rb"(?<![A-Za-z0-9._%+'-])[A-Za-z0-9_](?:[A-Za-z0-9_%+'-]|\.(?=[A-Za-z0-9_%+'-])){0,63}@"
    rb"((?:[A-Za-z0-9\x80-\xff](?:[A-Za-z0-9\x80-\xff-]{0,61}[A-Za-z0-9\x80-\xff])?\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9_-])"
)


def find_emails(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield e-mail addresses."""
    for match in _EMAIL_PATTERN.finditer(document, start, end):
        if match[0].startswith(b"git@"):
            continue  # the account of every repository
        yield Finding(*match.span(), "email", match[0].decode("utf-8", "replace").lower())


_IPV4_PATTERN = re.compile(
    rb"(?<![A-Za-z0-9._/\\+-])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
    rb"(?![A-Za-z0-9_]|\.\d|-[A-Za-z0-9])"
)
_IPV4_AFTER_SLASHES = re.compile(
    rb"(?<=//)(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?![A-Za-z0-9_]|\.\d|-[A-Za-z0-9])"
)
_VERSION_BEFORE = re.compile(
    rb"(?:\b(?:v|ver|vers|versions?|release|releases|rev|revision|build|firmware|driver|kernel|section|chapter|clause|"
    rb"oid|sec|figure|fig|table|item|step|clinvar|asn)[.:# ]{0,2}|==|>=|<=|~=|[<>^~]|\xc2\xa7)\s?$",
    re.IGNORECASE,
)


def find_ipv4(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield IPv4 addresses."""
    for pattern in (_IPV4_PATTERN, _IPV4_AFTER_SLASHES):
        for match in pattern.finditer(document, start, end):
            address = ipaddress.IPv4Address(match[0].decode())
            nobody = address.is_loopback or address.is_unspecified or match[0].startswith(b"255.")
            if not nobody and not _VERSION_BEFORE.search(document, max(0, match.start() - 16), match.start()):
                yield Finding(*match.span(), "ip", str(address))


_IPV6_PATTERN = re.compile(rb"(?<![0-9A-Za-z:._])[0-9A-Fa-f:]{2,}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![0-9A-Za-z_])")
_IPV6_RANGES = [
    ipaddress.IPv6Network(text)
    for text in ("2000::/3", "fc00::/7", "fe80::/10", "ff00::/8", "::ffff:0:0/96", "64:ff9b::/96")
]


def find_ipv6(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield IPv6 addresses."""
    for match in _IPV6_PATTERN.finditer(document, start, end):
        text = match[0].decode().rstrip(":") if not match[0].endswith(b"::") else match[0].decode()
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            continue
        if any(address in network for network in _IPV6_RANGES):
            yield Finding(match.start(), match.start() + len(text), "ip", address.compressed)


_NUMBER_START = rb"(?<!\d[ .-])(?<![A-Za-z0-9_.,/\\#$%&=@:+-])"
_NUMBER_END = rb"(?![A-Za-z0-9_]|[.,:/-]\d)"
_SEPARATOR = rb"(?:[ .-]|\xc2\xa0|\xe2\x80\x91)"
_PHONE_PATTERNS = (
    # International: +49 (0)30 1234-567, 0049 30 1234567.
    re.compile(
        rb"(?<![A-Za-z0-9_.+-])\+[1-9]\d{0,2}(?:" + _SEPARATOR + rb"?(?:\(\d{1,5}\)|/?\d{1,14})){1,6}" + _NUMBER_END
    ),
    re.compile(_NUMBER_START + rb"00[1-9]\d{0,2}(?:" + _SEPARATOR + rb"(?:\(\d{1,5}\)|\d{1,12})){2,6}" + _NUMBER_END),
    # North America: (212) 555-0123, 212-555-0123, 1.212.555.0123.
    re.compile(
        rb"(?:"
        + _NUMBER_START
        + rb"|(?<=[:,]))(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d([ .-]))[2-9]\d\d[ .-]\d{4}"
        + _NUMBER_END
    ),
)
_PHONE_AFTER_WORD = re.compile(
    _NUMBER_START.replace(rb":", rb"")
    + rb"\(?\d{1,5}\)?(?:(?:"
    + _SEPARATOR
    + rb"|/)?\(?\d{1,8}\)?){1,6}"
    + _NUMBER_END
)
_PHONE_WORD = re.compile(
    rb"(?:\b(?:tel|telephone|phone|ph|mobile|mob|cell|call|fax|hotline|whatsapp|telefon|handy|mobil|rufnummer|portable|"
    rb"t\xc3\xa9l|t\xc3\xa9l\xc3\xa9phone|tel\xc3\xa9fono|m\xc3\xb3vil|telefone|celular|telefono|cellulare|telefoon|tfn|tlf|puh)"
    rb"(?:[. ]*(?:no|nr|number)\b)?|\xe7\x94\xb5\xe8\xaf\x9d|\xe6\x89\x8b\xe6\x9c\xba|\xe9\x9b\xbb\xe8\xa9\xb1|"
    rb"\xd1\x82\xd0\xb5\xd0\xbb(?:\xd0\xb5\xd1\x84\xd0\xbe\xd0\xbd)?)(?:[.:# ()]|\xef\xbc\x9a){0,4}(?:is )?$",
    re.IGNORECASE,
)
_DATE = re.compile(rb"(?:19|20)\d\d[ ./-][01]?\d[ ./-][0-3]?\d|[0-3]?\d[ ./-][01]?\d[ ./-](?:19|20)\d\d")


def find_phones(document: bytes, start: int, end: int) -> Iterator[Finding]:
    """Yield phone numbers."""
    for pattern in _PHONE_PATTERNS:
        for match in pattern.finditer(document, start, end):
            if _is_phone(match[0], 8 if match[0][:1] == b"+" or match[0][:2] == b"00" else 10):
                yield _phone(match)
    before = document[max(0, start - _CONTEXT_CHARACTERS) : start]
    if _PHONE_WORD.search(before):
        after = _PHONE_AFTER_WORD.match(document, start, end)
        if after and _is_phone(after[0], 7) and not _DATE.fullmatch(after[0]):
            yield _phone(after)


def _is_phone(text: bytes, least_digits: int) -> bool:
    digits = sum(48 <= byte <= 57 for byte in text)
    return least_digits <= digits <= 15 and text.count(b"(") == text.count(b")")


def _phone(match: re.Match[bytes]) -> Finding:
    digits = re.sub(rb"[^0-9]", b"", match[0].replace(b"(0)", b"")).decode()
    international = match[0].startswith(b"+") or digits.startswith("00")
    return Finding(*match.span(), "phone", "+" + digits.removeprefix("00") if international else digits)
