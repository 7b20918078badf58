"""The n-grams that documents are compared by.

A **shingle** is n consecutive words (`text.words` says what a word is), or n consecutive characters of the text in
lower case with one space for each run of spaces and line ends. A document with fewer than n has one shingle of all of
them, one without any has none. The 32-bit hash of a shingle is the upper half of a polynomial over its words' or
characters' hashes, mixed by MurmurHash3's finalizer. Two different shingles have equal hashes with a probability of
2⁻³²: that changes the Jaccard similarity of documents of 100,000 shingles by some 1e-5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from pretrain_dataprep.kernels.shingles import keep_distinct, write_shingles
from pretrain_dataprep.text.batch import TextBatch


class Scratch(NamedTuple):
    """Room for one document's words or characters: what kernels write to."""

    units: np.ndarray
    lengths: np.ndarray
    kinds: np.ndarray

    @classmethod
    def of(cls, batch: TextBatch) -> Scratch:
        """Make room for the largest document of a batch."""
        longest = int(batch.sizes().max(initial=0)) + 1
        return cls(np.empty(longest, np.uint64), np.empty(longest, np.int32), np.empty(longest, np.uint8))


@dataclass(frozen=True)
class Shingling:
    """Which n-grams."""

    ngram: int = 5
    unit: Literal["word", "character"] = "word"

    @property
    def by_word(self) -> bool:
        """Whether the n-grams are made of words."""
        return self.unit == "word"

    def sets(self, batch: TextBatch) -> tuple[np.ndarray, np.ndarray]:
        """Return the shingles of documents as sets.

        Returns:
            uint32, shape (shingles,): each document's hashes, sorted, without repetitions, one document after the
            other; int64, shape (documents,): where each document's end.
        """
        values, ends = np.empty(len(batch.text) + 1, np.uint32), np.empty(len(batch), np.int64)
        write_shingles(batch.text, batch.offsets, self.by_word, self.ngram, *Scratch.of(batch), values, ends)
        first = 0
        for end in ends.tolist():
            values[first:end].sort()
            first = end
        distinct = np.empty_like(ends)
        return values[: keep_distinct(values, ends, distinct)], distinct


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Jaccard similarity of two sets: sorted arrays without repetitions. Of two empty ones it is 0."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    together = len(one) + len(other) - common
    return common / together if together else 0.0
