"""Connected components over integer ids: union-find whose root is the cluster's survivor.

Memory: a parent of 4 bytes a document (8 from 2³² documents on), a rank of 8 and a flag of one bit: 12 bytes (16) and
a bit. Edges are streamed.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pretrain_dataprep.kernels.clusters import flatten, union

SOURCE_BITS, MEASURE_BITS, IDENTITY_BITS = 12, 24, 28
MAX_SOURCES = 1 << SOURCE_BITS


def scaled_scores(scores: np.ndarray) -> np.ndarray:
    """Return scores from 0 to 1 as measures of `ranks`: uint32, shape (documents,)."""
    scaled: np.ndarray = np.rint(scores.astype(np.float64) * ((1 << MEASURE_BITS) - 1)).astype(np.uint32)
    return scaled


def ranks(source: int, measure: np.ndarray, ids: np.ndarray, keep: str) -> np.ndarray:
    """Return what decides who survives, the greatest of a cluster: uint64, shape (documents,).

    `longest`: length, then order of the sources, then identity; `quality`: score, then as before; `source-priority`:
    order of the sources, then length, then identity. Identity is where a document comes from, so the outcome doesn't
    depend on the shards. It is cut to 28 bits: documents of one cluster, length and source collide in it with a
    probability of 4e-9 a pair.

    Args:
        source: Place of the source in the job.
        measure: uint32, shape (documents,): characters, or with `quality` scores as of `scaled_scores`; what is above
            2²⁴−1 counts as that.
        ids: uint64, shape (documents,).
        keep: spec.data.dedup.keep.
    """
    most: np.ndarray = np.minimum(measure, (1 << MEASURE_BITS) - 1).astype(np.uint64)
    first = np.uint64(MAX_SOURCES - 1 - source)
    identity: np.ndarray = ids >> np.uint64(64 - IDENTITY_BITS)
    order: np.ndarray
    if keep == "source-priority":
        order = (first << np.uint64(MEASURE_BITS + IDENTITY_BITS)) | (most << np.uint64(IDENTITY_BITS)) | identity
    else:
        order = (most << np.uint64(SOURCE_BITS + IDENTITY_BITS)) | (first << np.uint64(IDENTITY_BITS)) | identity
    return order


class Clusters:
    """Merges documents; the root of each cluster is its member of the greatest rank."""

    def __init__(self, ranks_: np.ndarray) -> None:
        """Start with every document on its own; `ranks_` as of `ranks`, for all documents."""
        self._ranks = ranks_
        dtype = np.uint32 if len(ranks_) < 1 << 32 else np.int64
        self._parents = np.arange(len(ranks_), dtype=dtype)

    def merge(self, edges: Iterable[np.ndarray]) -> None:
        """Merge the ends of all edges; each array is int64, shape (edges, 2)."""
        for piece in edges:
            union(self._parents, self._ranks, np.ascontiguousarray(piece))
        flatten(self._parents)

    @property
    def survivors(self) -> np.ndarray:
        """The survivor of each document's cluster, maybe itself: shape (documents,). Don't change it."""
        return self._parents

    def removed_mask(self) -> np.ndarray:
        """Return where documents aren't their cluster's survivor, packed: uint8, shape (ceil(documents / 8),)."""
        pieces = [
            np.packbits(
                self._parents[first : first + _SLICE] != np.arange(first, min(first + _SLICE, len(self._parents)))
            )
            for first in range(0, len(self._parents), _SLICE)
        ]
        return np.concatenate(pieces) if pieces else np.empty(0, np.uint8)


def is_set(packed: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the bits of a packed mask: bool, shape (ids,)."""
    result: np.ndarray = (packed[ids >> 3] >> (7 - (ids & 7))) & 1 == 1
    return result


_SLICE = 1 << 20


def size_histogram(survivors: np.ndarray) -> dict[int, int]:
    """Return cluster size → number of clusters, for clusters of two and more.

    Sorts the removed documents' survivors only, in place of a counter for every document.
    """
    roots = [np.empty(0, survivors.dtype)]
    for first in range(0, len(survivors), _SLICE):
        some = survivors[first : first + _SLICE]
        roots.append(some[some != np.arange(first, first + len(some))])
    removed = np.concatenate(roots)
    roots.clear()
    removed.sort()
    starts = np.flatnonzero(np.diff(removed, prepend=removed[:1] + 1))
    sizes, numbers = np.unique(np.diff(starts, append=len(removed)) + 1, return_counts=True)
    return {int(size): int(number) for size, number in zip(sizes, numbers, strict=True)}
