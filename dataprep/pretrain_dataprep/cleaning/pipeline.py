"""What happens to a batch of documents: normalise, filter, redact, hash, sign."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xxhash

from pretrain_api.spec.data import Data, NearDeduplication, Normalize, Source
from pretrain_dataprep.dedup import minhash
from pretrain_dataprep.dedup.band_keys import band_keys
from pretrain_dataprep.dedup.banding import choose_bands
from pretrain_dataprep.sources.interface import Document
from pretrain_dataprep.text.batch import TextBatch
from pretrain_dataprep.text.filters import Rule, judge, rules_for, wants_repetition
from pretrain_dataprep.text.measure import measure
from pretrain_dataprep.text.metrics import FIRST_REPETITION_METRIC, Metric
from pretrain_dataprep.text.pii import Redactor
from pretrain_dataprep.text.tidy import normalize_unicode, tidy


class Sketches(NamedTuple):
    """What near-duplicates are found by."""

    signatures: np.ndarray
    """uint32, shape (documents, permutations)."""
    band_keys: np.ndarray
    """uint64, shape (documents, bands)."""
    has_shingles: np.ndarray
    """bool, shape (documents,): documents without words resemble nothing."""


@dataclass(frozen=True)
class Sketcher:
    """MinHash signatures and band keys with the job's settings."""

    ngram: int
    bands: int
    rows: int
    parameters: np.ndarray

    @classmethod
    def of(cls, near: NearDeduplication) -> Sketcher:
        """Build one from the job's settings."""
        band_count, row_count = choose_bands(near.threshold, near.permutations)
        return cls(near.ngram, band_count, row_count, minhash.permutations(near.permutations))

    def sketch(self, batch: TextBatch) -> Sketches:
        """Sign a batch."""
        signatures, shingles = minhash.signatures(batch, self.ngram, self.parameters)
        return Sketches(signatures, band_keys(signatures, self.bands, self.rows), shingles > 0)


@dataclass
class CleanedBatch:
    """What is left of a batch, and what was removed."""

    kept: TextBatch
    kept_from: np.ndarray
    """int64, shape (kept,): index into the batch as read."""
    characters: np.ndarray
    """int64, shape (kept,), before redaction."""
    content_hashes: np.ndarray
    """uint64, shape (kept, 2): high and low half of the xxh3-128 of the final text."""
    sketches: Sketches | None
    """Of the kept documents; None: near-duplicates aren't looked for."""
    removed: list[tuple[int, str]]
    """(index into the batch as read, reason)."""
    redacted: Counter[str]


class Cleaner:
    """The job's cleaning for one source."""

    def __init__(self, data: Data, source: Source, seed: int) -> None:
        self._normalize: Normalize = data.clean.normalize
        self._rules: tuple[Rule, ...] = rules_for(data.clean, source.language)
        self._redactor = Redactor(data.clean.pii.redact, seed)
        self._sketcher = Sketcher.of(data.dedup.near) if data.dedup.near is not None else None

    def clean(self, documents: list[Document]) -> CleanedBatch:
        """Clean a batch."""
        batch = tidy(TextBatch.of(normalize_unicode(document.text, self._normalize).encode() for document in documents))
        reasons, characters = self._filter(batch)
        mask = np.array([reason is None for reason in reasons], bool)
        kept_from = np.flatnonzero(mask)
        kept, counts = self._redactor.redact(batch.select(mask))
        return CleanedBatch(
            kept=kept,
            kept_from=kept_from,
            characters=characters[kept_from],
            content_hashes=content_hashes(kept),
            sketches=self._sketcher.sketch(kept) if self._sketcher else None,
            removed=[(index, reason) for index, reason in enumerate(reasons) if reason is not None],
            redacted=Counter(counts),
        )

    def _filter(self, batch: TextBatch) -> tuple[list[str | None], np.ndarray]:
        """Return the reason for removal of each document (None: kept) and its characters.

        Repetition is measured only where the cheaper rules left something.
        """
        cheap = tuple(rule for rule in self._rules if rule.metric < FIRST_REPETITION_METRIC)
        costly = tuple(rule for rule in self._rules if rule.metric >= FIRST_REPETITION_METRIC)
        metrics = measure(batch, repetition=False, gopher_repetition=False)
        reasons = _reasons(metrics, cheap)
        if costly:
            left = np.array([reason is None for reason in reasons], bool)
            measured = measure(batch.select(left), *wants_repetition(costly))
            for index, reason in zip(np.flatnonzero(left), _reasons(measured, costly), strict=True):
                reasons[index] = reason
        return reasons, metrics[:, Metric.CHARACTERS].astype(np.int64)


def _reasons(metrics: np.ndarray, rules: tuple[Rule, ...]) -> list[str | None]:
    verdicts = judge(metrics, rules)
    return [verdicts.reasons[code] if code >= 0 else None for code in verdicts.codes]


def content_hashes(batch: TextBatch) -> np.ndarray:
    """Return the xxh3-128 of each document: uint64, shape (documents, 2), high half first."""
    digests = b"".join(xxhash.xxh3_128_digest(document) for document in batch.documents())
    return np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
