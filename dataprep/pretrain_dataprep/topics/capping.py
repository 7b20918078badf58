"""Which documents of each cluster stay: exactly as many as the cap says, chosen by a hash.

Two passes over the documents and no sorting of them: a histogram of each cluster's hashes finds the range in which its
limit lies, and only what is in that range is sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from pretrain_api.spec.filters import ClusterFilter
from pretrain_dataprep.choice import fractions
from pretrain_dataprep.topics.model import NO_CLUSTER

PURPOSE = "cluster-cap"
"""Of the choice, as of `choice.fractions`."""
_RANGES = 1024


@dataclass(frozen=True)
class Members:
    """Some documents."""

    first_id: int
    """Global number of the first one."""
    clusters: np.ndarray
    """uint16, shape (documents,), NO_CLUSTER: none."""
    places: np.ndarray
    """float64, shape (documents,), in [0, 1): the least of a cluster stay."""
    ids: np.ndarray
    """uint64, shape (documents,): decides between equal places."""
    counts: np.ndarray
    """bool, shape (documents,): whether the document is there at all, as duplicates aren't."""


@dataclass(frozen=True)
class Capped:
    """What the caps leave."""

    removed: np.ndarray
    """bool, shape (documents,), by global number."""
    sizes: np.ndarray
    """int64, shape (clusters + 1,): documents of each cluster, and at the end of none."""
    cap: int

    @property
    def kept(self) -> np.ndarray:
        """Documents that stay, as `sizes`."""
        return np.append(np.minimum(self.sizes[:-1], self.cap), self.sizes[-1])


def cap_of(documents: int, max_documents: int | None, max_share: float | None) -> int:
    """Return how many documents of a cluster stay at most: the smaller cap, a share rounded down, but at least one."""
    caps = [documents if max_documents is None else max_documents]
    if max_share is not None:
        # As it was written: 0.29 of 100 are 29.
        caps.append(int(Decimal(repr(max_share)) * documents))
    return max(1, min(caps))


def cap_clusters(
    members: Callable[[], Iterable[Members]],
    documents: int,
    clusters: int,
    max_documents: int | None,
    max_share: float | None,
) -> Capped:
    """Return what stays. Takes a byte a document, and 8 KiB a cluster.

    Args:
        members: Returns all documents, some at a time; called twice.
        documents: How many there are, with those that don't count.
        clusters: Number of clusters.
        max_documents: Most documents of a cluster; None: any number.
        max_share: Most documents of a cluster relative to all that count; None: any.
    """
    histogram = np.zeros(clusters * _RANGES, np.int64)
    without = 0
    for some in members():
        rows = _rows(some)
        histogram += np.bincount(_range_keys(some, rows), minlength=len(histogram))
        without += int(some.counts.sum()) - len(rows)
    by_range = histogram.reshape(clusters, _RANGES)
    sizes = np.append(by_range.sum(axis=1), without)
    cap = cap_of(int(sizes.sum()), max_documents, max_share)
    upto = by_range.cumsum(axis=1)
    # The first range that doesn't stay as a whole, and how many of it stay.
    limits = (upto <= cap).sum(axis=1)
    left = cap - np.where(limits > 0, upto[np.arange(clusters), limits - 1], 0)
    removed = np.zeros(documents, bool)
    edges = [_remove(some, limits, removed) for some in members()]
    _remove_last(edges, left, removed)
    return Capped(removed, sizes, cap)


def surplus(topics: np.ndarray, content_hashes: np.ndarray, options: ClusterFilter, seed: int) -> np.ndarray:
    """Return which of some documents go: bool, shape (documents,). Of equal ones the first stay.

    Args:
        topics: uint16, shape (documents,), as of `Members.clusters`.
        content_hashes: uint64, shape (documents, 2).
        options: The caps.
        seed: The job's.
    """
    documents = len(topics)
    places = fractions(content_hashes, seed, PURPOSE)
    some = Members(0, topics, places, np.arange(documents, dtype=np.uint64), np.ones(documents, bool))
    caps = options.max_documents, options.max_share
    return cap_clusters(lambda: [some], documents, options.count, *caps).removed


def _rows(some: Members) -> np.ndarray:
    return np.flatnonzero(some.counts & (some.clusters != NO_CLUSTER))


def _range_keys(some: Members, rows: np.ndarray) -> np.ndarray:
    ranges = (some.places[rows] * _RANGES).astype(np.int64)
    keys: np.ndarray = some.clusters[rows].astype(np.int64) * _RANGES + ranges
    return keys


def _remove(some: Members, limits: np.ndarray, removed: np.ndarray) -> tuple[np.ndarray, ...]:
    """Remove what is above the ranges of the limits; return cluster, place, id and number of what is in them."""
    rows = _rows(some)
    clusters, ranges = np.divmod(_range_keys(some, rows), _RANGES)
    removed[some.first_id + rows[ranges > limits[clusters]]] = True
    edge = ranges == limits[clusters]
    rows = rows[edge]
    return clusters[edge], some.places[rows], some.ids[rows], some.first_id + rows


def _remove_last(edges: list[tuple[np.ndarray, ...]], left: np.ndarray, removed: np.ndarray) -> None:
    """Remove of what is in the ranges of the limits all but the first ones."""
    if not edges:
        return
    clusters, places, ids, numbers = (np.concatenate(parts) for parts in zip(*edges, strict=True))
    order = np.lexsort((ids, places, clusters))
    clusters = clusters[order]
    starts = np.searchsorted(clusters, np.arange(len(left)))
    ranks = np.arange(len(clusters)) - starts[clusters]
    removed[numbers[order[ranks >= left[clusters]]]] = True
