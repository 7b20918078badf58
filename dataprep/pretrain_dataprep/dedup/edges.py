"""Pairs of documents that share a key, found range by range of the keys."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.cleaned import CleanedCorpus
from pretrain_dataprep.cleaning.unit_layout import BAND_KEYS, BAND_ROWS, CONTENT_HASHES, CONTENT_ROWS


def key_range(index: int, ranges: int) -> tuple[int, int]:
    """Return [low, high) of the index-th of `ranges` equal ranges of 64-bit keys; the last high is 2⁶⁴."""
    return (index << 64) // ranges, ((index + 1) << 64) // ranges


def _slice(keys: np.ndarray, low: int, high: int) -> slice:
    """Return where the keys in [low, high) are in a sorted array."""
    first = int(np.searchsorted(keys, np.uint64(low)))
    last = len(keys) if high == 1 << 64 else int(np.searchsorted(keys, np.uint64(high)))
    return slice(first, last)


def exact_edges(corpus: CleanedCorpus, low: int, high: int) -> np.ndarray:
    """Return pairs of global ids with equal text, for content hashes whose upper half is in [low, high).

    int64, shape (edges, 2), sorted.
    """
    hashes, ids = [], []
    for unit in corpus.units:
        stored = unit.array(CONTENT_HASHES)
        part = _slice(stored[:, 0], low, high)
        hashes.append(np.asarray(stored[part]))
        ids.append(np.asarray(unit.array(CONTENT_ROWS)[part]).astype(np.int64) + unit.first_id)
    joined, numbers = np.concatenate(hashes), np.concatenate(ids)
    order = np.lexsort((numbers, joined[:, 1], joined[:, 0]))
    joined, numbers = joined[order], numbers[order]
    return _neighbours((joined[1:] == joined[:-1]).all(axis=1), numbers)


def near_edges(corpus: CleanedCorpus, low: int, high: int) -> np.ndarray:
    """Return pairs of global ids that share a band whose key is in [low, high): int64, shape (edges, 2), sorted."""
    keys, ids = [], []
    for unit in corpus.units:
        stored = unit.array(BAND_KEYS)
        part = _slice(stored, low, high)
        keys.append(np.asarray(stored[part]))
        ids.append(np.asarray(unit.array(BAND_ROWS)[part]).astype(np.int64) + unit.first_id)
    joined, numbers = np.concatenate(keys), np.concatenate(ids)
    order = np.lexsort((numbers, joined))
    joined, numbers = joined[order], numbers[order]
    return _neighbours(joined[1:] == joined[:-1], numbers)


def _neighbours(equal: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the distinct pairs of neighbours: n members of a bucket need n − 1 edges to hang together."""
    edges = np.stack([numbers[:-1][equal], numbers[1:][equal]], axis=1)
    return np.unique(edges, axis=0) if len(edges) else edges.reshape(0, 2)
