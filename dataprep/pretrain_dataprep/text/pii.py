"""Redaction of e-mail addresses, phone numbers and IP addresses.

A compiled scan finds stretches that may hold one (`find_stretches`); only these are looked at with regular expressions.
A placeholder is the kind and six hexadecimal digits of HMAC-SHA-256(job's seed, kind and normalised value): equal
values give equal placeholders in every document, whatever the order, and no value can be read from one.

What counts (and, because precision matters more than the last find, what doesn't):

- **e-mail**: local part and a domain with a dot and a top level of 2–24 letters.
- **phone**: `+` or `00` with a country code and 8–15 digits in all; North American numbers with separators; any number
  of 7–15 digits with separators after a word such as "Tel." or "phone". Not: dates, ISBNs, versions, bare digits.
- **ip**: IPv4 in dotted form, not after what says version (`v1.2.3.4`, `version 1.2.3.4`, `Chrome/1.2.3.4`) and not
  part of a longer dotted number; IPv6 in an allocated range. Loopback, unspecified and netmask addresses are nobody's
  and stay.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pretrain_api.names import Reason
from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.kernels.pii import write_stretches
from pretrain_dataprep.text.batch import TextBatch

KINDS = ("email", "phone", "ip")
_PLACEHOLDER_DIGITS = 6
_CONTEXT_CHARACTERS = 24


class Finding(NamedTuple):
    """A piece of personal data at bytes [start, end) of a document."""

    start: int
    end: int
    kind: str
    value: str
    """Normalised: the same for every way of writing it."""


def check_kinds(kinds: Iterable[str]) -> None:
    """Raise ConfigurationError for a kind that isn't available."""
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigurationError(
                f"spec.data.clean.pii.redact: {kind} is not available yet; use {', '.join(KINDS)}", Reason.NOT_AVAILABLE
            )


class Redactor:
    """Replaces personal data of the given kinds."""

    def __init__(self, kinds: Iterable[str], seed: int) -> None:
        self._kinds = frozenset(kinds)
        check_kinds(self._kinds)
        self._key = str(seed).encode()

    def placeholder(self, finding: Finding) -> str:
        """Return what stands in the place of a value."""
        digest = hmac.new(self._key, f"{finding.kind}:{finding.value}".encode(), hashlib.sha256).hexdigest()
        return f"<{finding.kind.upper()}_{digest[:_PLACEHOLDER_DIGITS]}>"

    def redact(self, batch: TextBatch) -> tuple[TextBatch, dict[str, int]]:
        """Return the batch with placeholders, and how many there are of each kind."""
        counts: dict[str, int] = {}
        if not self._kinds:
            return batch, counts
        changed: dict[int, bytes] = {}
        for index, stretches in group_stretches(batch):
            document = batch.document(index)
            findings = list(self.find(document, stretches))
            if findings:
                changed[index] = self._replace(document, findings)
                for finding in findings:
                    counts[finding.kind] = counts.get(finding.kind, 0) + 1
        if not changed:
            return batch, counts
        pieces = (changed[index] if index in changed else batch.document(index) for index in range(len(batch)))
        return TextBatch.of(pieces), counts

    def find(self, document: bytes, stretches: Iterable[tuple[int, int, int]]) -> Iterator[Finding]:
        """Yield what is found in stretches (start, end, stretch kind) of a document, without overlaps, in order."""
        found = [
            finding
            for start, end, kind in stretches
            for finding in _FINDERS[kind](document, start, end)
            if finding.kind in self._kinds
        ]
        last_end = 0
        for finding in sorted(found):
            if finding.start >= last_end:
                yield finding
                last_end = finding.end

    def _replace(self, document: bytes, findings: list[Finding]) -> bytes:
        pieces, position = [], 0
        for finding in findings:
            pieces += [document[position : finding.start], self.placeholder(finding).encode()]
            position = finding.end
        return b"".join([*pieces, document[position:]])


_EMAIL_PATTERN = re.compile(
    rb"(?<![A-Za-z0-9._%+'-])[A-Za-z0-9_](?:[A-Za-z0-9_%+'-]|\.(?=[A-Za-z0-9_%+'-])){0,63}@"
    rb"((?:[A-Za-z0-9\x80-\xff](?:[A-Za-z0-9\x80-\xff-]{0,61}[A-Za-z0-9\x80-\xff])?\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9_-])"
)


def _find_emails(document: bytes, start: int, end: int) -> Iterator[Finding]:
    for match in _EMAIL_PATTERN.finditer(document, start, end):
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


def _find_ipv4(document: bytes, start: int, end: int) -> Iterator[Finding]:
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


def _find_ipv6(document: bytes, start: int, end: int) -> Iterator[Finding]:
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


def _find_phones(document: bytes, start: int, end: int) -> Iterator[Finding]:
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


_FINDERS: tuple[Callable[[bytes, int, int], Iterator[Finding]], ...] = (
    _find_emails,
    _find_phones,
    _find_ipv4,
    _find_ipv6,
)


def group_stretches(batch: TextBatch) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Yield (document, its stretches) where there are any; a stretch is (start, end, kind) in bytes of the document."""
    stretches = find_stretches(batch)
    documents = stretches[:, 0]
    edges = np.flatnonzero(np.diff(documents, prepend=-1, append=np.iinfo(np.int64).max))
    for first, last in pairwise(edges):
        yield int(documents[first]), [(int(a), int(b), int(kind)) for _, a, b, kind in stretches[first:last]]


def find_stretches(batch: TextBatch) -> np.ndarray:
    """Return stretches that may hold personal data: int64, shape (n, 4): document, start, end, kind of stretch."""
    room = 1024
    while True:
        out = np.empty((room, 4), np.int64)
        count = write_stretches(batch.text, batch.offsets, out)
        if count <= room:
            return out[:count]
        room = count
