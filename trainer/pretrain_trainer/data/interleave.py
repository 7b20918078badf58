"""Which source the i-th sequence of a run comes from: a table of slots for each phase of the blend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pretrain_trainer.data.permutation import keyed_hash

TABLE_SLOTS = 65_536
_JITTER = 0x6A69747465720001  # keeps these hashes apart from those of other uses of the seed


@dataclass(frozen=True)
class InterleaveTable:
    """A repeated pattern of sources.

    Attributes:
        source: int32[TABLE_SLOTS], the source of each slot.
        occurrence: int64[TABLE_SLOTS], how often that source comes in the slots before.
        counts: int64[sources], slots of each source.
    """

    source: NDArray[np.int32]
    occurrence: NDArray[np.int64]
    counts: NDArray[np.int64]

    def uses_before(self, length: int) -> NDArray[np.int64]:
        """Return how often each source comes in the first `length` slots of the repeated table."""
        tables, rest = divmod(length, TABLE_SLOTS)
        partial = np.bincount(self.source[:rest], minlength=self.counts.size)
        return np.asarray(tables * self.counts + partial, dtype=np.int64)


def slot_counts(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the slots of each source: its share by largest remainder, at least one if its weight isn't zero.

    Raises:
        ValueError: No weight is positive, or there are more sources than slots.
    """
    positive = weights > 0
    if not positive.any() or positive.sum() > TABLE_SLOTS:
        raise ValueError(f"between 1 and {TABLE_SLOTS} sources need a positive weight; {int(positive.sum())} have one")
    exact = weights / weights.sum() * TABLE_SLOTS
    counts = np.where(positive, np.maximum(1, np.floor(exact)), 0).astype(np.int64)
    while counts.sum() > TABLE_SLOTS:  # the guaranteed slots of tiny weights come from the largest source
        counts[np.argmax(counts)] -= 1
    remainder = np.where(positive, exact - counts, -np.inf)
    order = np.argsort(-remainder, kind="stable")
    counts[order[: TABLE_SLOTS - counts.sum()]] += 1
    return counts


def interleave_table(weights: NDArray[np.float64], seed: int, phase: int) -> InterleaveTable:
    """Return the table in which the k-th of a source's n slots lies at (k + jitter) / n of the way."""
    counts = slot_counts(weights)
    sources = np.repeat(np.arange(counts.size, dtype=np.int32), counts)
    jitter = keyed_hash(_JITTER, seed, phase, np.arange(counts.size)) / 2.0**64
    occurrence = np.arange(TABLE_SLOTS) - np.repeat(np.cumsum(counts) - counts, counts)
    position = (occurrence + jitter[sources]) / counts[sources]
    order = np.lexsort((sources, position))
    return InterleaveTable(sources[order], occurrence[order].astype(np.int64), counts)
