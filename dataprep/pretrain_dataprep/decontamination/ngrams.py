"""Word n-grams with their places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pretrain_dataprep.kernels.spans import write_ngrams


class Ngrams(NamedTuple):
    """The n-grams of a document, in their order; none if it has fewer than n words."""

    keys: np.ndarray
    """uint64, shape (ngrams,): equal for equal words, whatever their case and what is between them."""
    starts: np.ndarray
    """int64, shape (ngrams,): byte where the first word begins."""
    ends: np.ndarray
    """int64, shape (ngrams,): byte behind the last word."""


def ngrams_of(document: bytes, ngram: int) -> Ngrams:
    """Return the word n-grams of a document in UTF-8."""
    room = len(document) + 1
    keys, starts, ends = np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.int64)
    scratch = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.uint8)
    count = write_ngrams(np.frombuffer(document, np.uint8), ngram, *scratch, keys, starts, ends)
    return Ngrams(keys[:count], starts[:count], ends[ngram - 1 : ngram - 1 + count])
