"""Documents as vectors: TF-IDF of hashed words, or embeddings. Both are sparse rows, so that one k-means does for both.

TF-IDF: (1 + ln tf) · ln(N / df), as Manning, Raghavan & Schütze 2008 have it (sections 6.2.1 and 6.4.1), of words
hashed to PLACES places (Weinberger et al. 2009): tf is how often a document has words of a place, df how many of the N
documents of the sample have any. What all documents have weighs nothing: no list of stop words is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pretrain_dataprep.kernels.topics import write_counts
from pretrain_dataprep.text.batch import TextBatch

PLACES = 1 << 15
_TERM_WEIGHTS = np.array([0.0] + [1.0 + math.log(count) for count in range(1, 1024)], np.float32)


@dataclass(frozen=True)
class Rows:
    """Sparse vectors, one after the other."""

    features: np.ndarray
    """int32, shape (entries,)"""
    weights: np.ndarray
    """float32, shape (entries,)"""
    offsets: np.ndarray
    """int64, shape (rows + 1,)"""
    dimensions: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def first(self, count: int) -> Rows:
        """Return the first rows."""
        offsets = self.offsets[: count + 1]
        return Rows(self.features[: offsets[-1]], self.weights[: offsets[-1]], offsets, self.dimensions)

    def select(self, mask: np.ndarray) -> Rows:
        """Return the rows where `mask` (bool, shape (rows,)) is set."""
        sizes = np.diff(self.offsets)
        entries = np.repeat(mask, sizes)
        offsets = np.concatenate([[0], np.cumsum(sizes[mask])]).astype(np.int64)
        return Rows(self.features[entries], self.weights[entries], offsets, self.dimensions)

    def lengths(self) -> np.ndarray:
        """Return the Euclidean length of each row: float64, shape (rows,)."""
        squares = np.zeros(len(self))
        np.add.at(squares, np.repeat(np.arange(len(self)), np.diff(self.offsets)), self.weights.astype(np.float64) ** 2)
        return np.sqrt(squares)

    def normalized(self) -> Rows:
        """Return the rows with length 1; those without a length stay as they are."""
        lengths = self.lengths()
        lengths[lengths == 0] = 1.0
        weights = self.weights / np.repeat(lengths, np.diff(self.offsets)).astype(np.float32)
        return Rows(self.features, weights, self.offsets, self.dimensions)


def joined(pieces: Sequence[Rows]) -> Rows:
    """Return all rows of some pieces, of which there is at least one."""
    sizes = np.concatenate([np.diff(piece.offsets) for piece in pieces])
    return Rows(
        np.concatenate([piece.features for piece in pieces]),
        np.concatenate([piece.weights for piece in pieces]),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        pieces[0].dimensions,
    )


def word_counts(batch: TextBatch) -> Rows:
    """Return how often each document has words of each place."""
    sizes = batch.sizes()
    longest = int(sizes.max(initial=0)) + 1
    # A word and what separates it from the next are two bytes.
    room = int(np.minimum(sizes // 2 + 1, PLACES).sum())
    features, occurrences = np.empty(room, np.int32), np.empty(room, np.int32)
    offsets = np.empty(len(batch) + 1, np.int64)
    words, lengths, kinds = np.empty(longest, np.uint64), np.empty(longest, np.int32), np.empty(longest, np.uint8)
    none = np.zeros(PLACES, np.int32)
    count = write_counts(batch.text, batch.offsets, words, lengths, kinds, none, features, occurrences, offsets)
    return Rows(features[:count].copy(), occurrences[:count].astype(np.float32), offsets, PLACES)


def inverse_document_frequencies(counts: Rows) -> np.ndarray:
    """Return ln(N / df) of each place, 0 of those that occur nowhere: float32, shape (PLACES,)."""
    documents = np.bincount(counts.features, minlength=PLACES)
    found: np.ndarray = np.log(max(1, len(counts)) / np.maximum(documents, 1))
    return np.where(documents > 0, found, 0.0).astype(np.float32)


def tf_idf(counts: Rows, idf: np.ndarray) -> Rows:
    """Weigh counts."""
    terms = _TERM_WEIGHTS[np.minimum(counts.weights, len(_TERM_WEIGHTS) - 1).astype(np.int64)]
    return Rows(counts.features, terms * idf[counts.features], counts.offsets, counts.dimensions)


def dense_rows(vectors: np.ndarray) -> Rows:
    """Return vectors (shape (rows, dimensions)) as rows."""
    rows, dimensions = vectors.shape
    features = np.tile(np.arange(dimensions, dtype=np.int32), rows)
    offsets = np.arange(rows + 1, dtype=np.int64) * dimensions
    return Rows(features, vectors.astype(np.float32).reshape(-1), offsets, dimensions)
