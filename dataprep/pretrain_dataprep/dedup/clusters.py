"""Connected components over integer ids: union-find whose root is the cluster's survivor.

Memory: a parent of 4 bytes a document (8 from 2³² documents on), a rank of 8 and a flag of one bit: 12 bytes (16) and
a bit. Edges are streamed.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pretrain_dataprep.kernels.clusters import flatten, union

SOURCE_BITS, LENGTH_BITS, IDENTITY_BITS = 12, 24, 28
MAX_SOURCES = 1 << SOURCE_BITS


def ranks(source: int, characters: np.ndarray, ids: np.ndarray, keep: str) -> np.ndarray:
    """Return what decides who survives, the greatest of a cluster: uint64, shape (documents,).

    `longest`: length, then order of the sources, then identity; `source-priority`: order of the sources, then length,
    then identity. Identity is where a document comes from, so the outcome doesn't depend on the shards. It is cut to 28
    bits: documents of one cluster, length and source collide in it with a probability of 4e-9 a pair.

    Args:
        source: Place of the source in the job.
        characters: uint32, shape (documents,); lengths above 2²⁴−1 count as that.
        ids: uint64, shape (documents,).
        keep: spec.data.dedup.keep.
    """
    length: np.ndarray = np.minimum(characters, (1 << LENGTH_BITS) - 1).astype(np.uint64)
    first = np.uint64(MAX_SOURCES - 1 - source)
    identity: np.ndarray = ids >> np.uint64(64 - IDENTITY_BITS)
    order: np.ndarray
    if keep == "longest":
        order = (length << np.uint64(SOURCE_BITS + IDENTITY_BITS)) | (first << np.uint64(IDENTITY_BITS)) | identity
    else:
        order = (first << np.uint64(LENGTH_BITS + IDENTITY_BITS)) | (length << np.uint64(IDENTITY_BITS)) | identity
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


_SLICE = 1 << 20


def size_histogram(survivors: np.ndarray) -> dict[int, int]:
    """Return cluster size → number of clusters, for clusters of two and more.

    Sorts the removed documents' survivors only, in place of a counter for every document.
    """
    own = np.arange(len(survivors), dtype=survivors.dtype)
    roots = np.sort(survivors[survivors != own])
    _, counts = np.unique(roots, return_counts=True)
    sizes, numbers = np.unique(counts + 1, return_counts=True)
    return {int(size): int(number) for size, number in zip(sizes, numbers, strict=True)}
