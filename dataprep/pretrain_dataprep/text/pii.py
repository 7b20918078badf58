"""Redaction of personal data and secrets.

A compiled scan finds stretches that may hold some (`find_stretches`); only these are looked at with regular expressions
(`text.personal`, where each kind says what counts). A placeholder is the kind and six hexadecimal digits of
HMAC-SHA-256(job's seed, kind and normalised value): equal values give equal placeholders in every document, whatever
the order, and no value can be read from one. Precision matters more than the last find.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import get_args

import numpy as np

from pretrain_api.spec.data import PiiKind
from pretrain_dataprep.kernels import pii as kernel
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.personal.cards import find_cards
from pretrain_dataprep.text.personal.contacts import find_emails, find_ipv4, find_ipv6, find_phones
from pretrain_dataprep.text.personal.finding import Finding
from pretrain_dataprep.text.personal.identifiers import find_fiscal_codes, find_identifiers
from pretrain_dataprep.text.personal.secrets import find_assigned, find_credentials, find_tokens

KINDS: tuple[str, ...] = get_args(PiiKind)
_PLACEHOLDER_DIGITS = 6

_Finder = Callable[[bytes, int, int], Iterator[Finding]]
_FINDERS: dict[str, tuple[tuple[int, _Finder], ...]] = {
    "secret": (
        (kernel.PREFIXED, find_tokens),
        (kernel.ASSIGNED, find_assigned),
        (kernel.CREDENTIALS, find_credentials),
    ),
    "email": ((kernel.EMAIL, find_emails),),
    "credit-card": ((kernel.NUMBER, find_cards),),
    "national-id": ((kernel.NUMBER, find_identifiers), (kernel.LETTERED, find_fiscal_codes)),
    "ip": ((kernel.IPV4, find_ipv4), (kernel.IPV6, find_ipv6)),
    "phone": ((kernel.PHONE, find_phones),),
}
"""By kind: kinds of stretches and who looks at them. Of findings that overlap, the kind listed first stays."""
_RANKS = {kind: rank for rank, kind in enumerate(_FINDERS)}


class Redactor:
    """Replaces personal data of the given kinds."""

    def __init__(self, kinds: Iterable[str], seed: int) -> None:
        wanted = set(kinds)
        self._finders: dict[int, list[_Finder]] = {}
        for kind in [kind for kind in _FINDERS if kind in wanted]:
            for stretch, finder in _FINDERS[kind]:
                self._finders.setdefault(stretch, []).append(finder)
        self._key = str(seed).encode()

    @property
    def stretch_kinds(self) -> frozenset[int]:
        """Return the kinds of stretches (`kernels.pii`) that this redactor looks at."""
        return frozenset(self._finders)

    def placeholder(self, finding: Finding) -> str:
        """Return what stands in the place of a value."""
        digest = hmac.new(self._key, f"{finding.kind}:{finding.value}".encode(), hashlib.sha256).hexdigest()
        return f"<{finding.kind.upper().replace('-', '_')}_{digest[:_PLACEHOLDER_DIGITS]}>"

    def redact(self, batch: TextBatch) -> tuple[TextBatch, dict[str, int]]:
        """Return the batch with placeholders, and how many there are of each kind."""
        counts: dict[str, int] = {}
        if not self._finders:
            return batch, counts
        changed: dict[int, bytes] = {}
        for index, stretches in group_stretches(batch, self.stretch_kinds):
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
            for finder in self._finders.get(kind, ())
            for finding in finder(document, start, end)
        ]
        yield from _without_overlaps(sorted(found))

    def _replace(self, document: bytes, findings: list[Finding]) -> bytes:
        pieces, position = [], 0
        for finding in findings:
            pieces += [document[position : finding.start], self.placeholder(finding).encode()]
            position = finding.end
        return b"".join([*pieces, document[position:]])


def _without_overlaps(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Of findings in order, yield those that stay: of two that overlap the preferred kind, or the longer one."""
    current: Finding | None = None
    for finding in findings:
        if current is not None and finding.start < current.end:
            current = min(current, finding, key=lambda item: (_RANKS[item.kind], item.start - item.end))
            continue
        if current is not None:
            yield current
        current = finding
    if current is not None:
        yield current


def group_stretches(batch: TextBatch, kinds: Iterable[int]) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Yield (document, its stretches) where there are any; a stretch is (start, end, kind) in bytes of the document."""
    stretches = find_stretches(batch, kinds)
    documents = stretches[:, 0]
    edges = np.flatnonzero(np.diff(documents, prepend=-1, append=np.iinfo(np.int64).max))
    for first, last in pairwise(edges):
        yield int(documents[first]), [(int(a), int(b), int(kind)) for _, a, b, kind in stretches[first:last]]


def find_stretches(batch: TextBatch, kinds: Iterable[int]) -> np.ndarray:
    """Return stretches that may hold personal data: int64, shape (n, 4): document, start, end, kind of stretch.

    Args:
        batch: The documents.
        kinds: Kinds of stretches that are wanted (`kernels.pii`).
    """
    wanted = sum(1 << kind for kind in set(kinds))
    room = 1024
    while True:
        out = np.empty((room, 4), np.int64)
        count = kernel.write_stretches(batch.text, batch.offsets, wanted, out)
        if count <= room:
            return out[:count]
        room = count
