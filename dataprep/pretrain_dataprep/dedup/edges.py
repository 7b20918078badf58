"""Pairs of documents that share a key, found piece by piece of a range of the keys.

A piece has at most `KEYS_AT_A_TIME` keys, so memory doesn't grow with the corpus or with the number of documents that
are alike: equal keys that are too many for a piece are read in chunks, each chained to the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import BAND_KEYS, BAND_ROWS, CONTENT_HASHES, CONTENT_ROWS

KEYS_AT_A_TIME = 1 << 22
"""Some 90 bytes each while they are sorted."""


def key_range(index: int, ranges: int) -> tuple[int, int]:
    """Return [low, high) of the index-th of `ranges` equal ranges of 64-bit keys; the last high is 2⁶⁴."""
    return (index << 64) // ranges, ((index + 1) << 64) // ranges


def key_slice(keys: np.ndarray, low: int, high: int) -> slice:
    """Return where the keys in [low, high) are in a sorted array."""
    first = int(np.searchsorted(keys, np.uint64(low)))
    last = len(keys) if high == 1 << 64 else int(np.searchsorted(keys, np.uint64(high)))
    return slice(first, last)


def pieces(count: Callable[[int, int], int], low: int, high: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut a range of keys into parts of at most `most` keys, in order; one of more has a single key's only.

    Args:
        count: Returns how many keys there are in a range.
        low: First key.
        high: The one after the last.
        most: Keys of a part.
    """
    parts = min(count(low, high) // (most + 1) + 1, high - low)
    if parts == 1:
        yield low, high
        return
    for piece_low, piece_high in pairwise(low + (high - low) * part // parts for part in range(parts + 1)):
        yield from pieces(count, piece_low, piece_high, most)


def exact_edges(units: list[CleanedUnit], low: int, high: int) -> Iterator[np.ndarray]:
    """Yield pairs of global ids with equal text, for content hashes whose upper half is in [low, high).

    int64, shape (edges, 2), of each piece sorted.
    """
    return _edges(units, CONTENT_HASHES, CONTENT_ROWS, low, high)


def band_edges(units: list[CleanedUnit], low: int, high: int) -> Iterator[np.ndarray]:
    """Yield pairs of global ids that share a band key in [low, high): int64, shape (edges, 2), of each piece sorted."""
    return _edges(units, BAND_KEYS, BAND_ROWS, low, high)


class Candidates(NamedTuple):
    """Documents that share keys, a bucket after the other."""

    ids: np.ndarray
    """Global ids: int64, shape (members,), ascending within a bucket."""
    follows: np.ndarray
    """Whether a member is in the same bucket as the one before: bool, shape (members,)."""


def candidates(units: list[CleanedUnit], low: int, high: int) -> Iterator[Candidates]:
    """Yield the whole buckets of two and more documents whose band key is in [low, high), some at a time."""
    for piece in _pieces_of(units, BAND_KEYS, low, high):
        chunks = list(_chunks(units, BAND_KEYS, BAND_ROWS, *piece))
        if not chunks:
            continue
        keys, numbers = _ordered(chunks)
        equal = (keys[1:] == keys[:-1]).all(axis=1)
        follows = np.insert(equal, 0, False)
        shared = follows | np.append(equal, False)
        yield Candidates(numbers[shared], follows[shared])


def distinct_edges(edges: np.ndarray) -> np.ndarray:
    """Return edges sorted, each once: int64, shape (edges, 2)."""
    return np.unique(edges, axis=0) if len(edges) else edges.reshape(0, 2)


def _edges(units: list[CleanedUnit], keys_name: str, rows_name: str, low: int, high: int) -> Iterator[np.ndarray]:
    """Yield the distinct pairs of neighbours: n documents with equal keys need n − 1 edges to hang together."""
    for piece in _pieces_of(units, keys_name, low, high):
        before: list[tuple[np.ndarray, np.ndarray]] = []
        for chunk in _chunks(units, keys_name, rows_name, *piece):
            keys, numbers = _ordered([*before, chunk])
            equal = (keys[1:] == keys[:-1]).all(axis=1)
            yield distinct_edges(np.stack([numbers[:-1][equal], numbers[1:][equal]], axis=1))
            ends = np.append(~equal, True)
            before = [(keys[ends], numbers[ends])]


def _pieces_of(units: list[CleanedUnit], keys_name: str, low: int, high: int) -> Iterator[tuple[int, int]]:
    def count(piece_low: int, piece_high: int) -> int:
        # A process can't map any number of files at a time.
        parts = (key_slice(_sorted_column(unit.array(keys_name)), piece_low, piece_high) for unit in units)
        return sum(part.stop - part.start for part in parts)

    return pieces(count, low, high, KEYS_AT_A_TIME)


def _sorted_column(keys: np.ndarray) -> np.ndarray:
    """Return what keys are sorted by: those of content have a lower half, too."""
    column: np.ndarray = keys if keys.ndim == 1 else keys[:, 0]
    return column


def _chunks(
    units: list[CleanedUnit], keys_name: str, rows_name: str, low: int, high: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield keys (uint64, shape (n, 1 or 2)) and global ids (int64, shape (n,)) of a piece, at most so many at a time.

    Only a piece of one key has several chunks.
    """
    keys, numbers, size = [], [], 0
    for unit in units:
        stored, rows = unit.array(keys_name), unit.array(rows_name)
        part = key_slice(_sorted_column(stored), low, high)
        first = part.start
        while first < part.stop:
            last = min(part.stop, first + KEYS_AT_A_TIME - size)
            keys.append(np.asarray(stored[first:last]).reshape(last - first, -1))
            numbers.append(np.asarray(rows[first:last]).astype(np.int64) + unit.first_id)
            size, first = size + last - first, last
            if size == KEYS_AT_A_TIME:
                yield np.concatenate(keys), np.concatenate(numbers)
                keys, numbers, size = [], [], 0
    if size:
        yield np.concatenate(keys), np.concatenate(numbers)


def _ordered(chunks: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return keys and ids of chunks, sorted by key, then id."""
    keys, numbers = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    order = np.lexsort((numbers, *keys.T[::-1]))
    return keys[order], numbers[order]
