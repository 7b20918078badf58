"""SemDeDup (Abbas et al. 2023): documents whose embeddings are nearly parallel, looked for within clusters of k-means.

Vectors are small integers (`embedding_model.quantized`), and so are the centroids: every product is exact, so the
outcome is the same whatever the order, the threads and the shards.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import CONTENT_HASHES, CONTENT_ROWS, EMBEDDINGS
from pretrain_dataprep.dedup.edges import distinct_edges
from pretrain_dataprep.dedup.embedding_model import quantized
from pretrain_dataprep.errors import ConfigurationError
from pretrain_dataprep.kernels.clusters import flatten, union

MOST_DOCUMENTS = 1 << 27
"""One work item compares all documents: N^1.5 products of vectors, some three hours of a core for 100 million of 256
dimensions."""
_SAMPLES_A_CLUSTER = 64
_ITERATIONS = 10
_ROWS_AT_A_TIME = 4096
_SIMILARITIES_AT_A_TIME = 1 << 24


def semantic_edges(units: list[CleanedUnit], clusters: int | None, threshold: float) -> np.ndarray:
    """Return pairs of documents that hang together all those whose cosine reaches the threshold, within each cluster.

    Args:
        units: Units among which to look.
        clusters: Number of clusters; None: the square root of the number of documents.
        threshold: Least cosine of duplicates.

    Returns:
        Global ids: int64, shape (edges, 2), sorted.

    Raises:
        ConfigurationError: There are too many documents.
    """
    documents = sum(unit.documents for unit in units)
    if documents > MOST_DOCUMENTS:
        raise ConfigurationError(
            f"spec.data.dedup.semantic: {documents:,} documents are more than the {MOST_DOCUMENTS:,} that can be "
            f"compared; write dedup.scope: within, leave semantic out, or prepare a part of the sources at a time"
        )
    count = clusters or max(1, round(documents**0.5))
    sample = _sample(units, count)
    if len(sample) == 0:
        return np.empty((0, 2), np.int64)
    centroids = train_centroids(sample, count)
    ids, assigned = _assign(units, centroids)
    order = np.argsort(assigned, kind="stable")
    bounds = np.flatnonzero(np.diff(assigned[order], prepend=-1, append=len(centroids)))
    pieces = [np.empty((0, 2), np.int64)]
    for first, last in itertools.pairwise(bounds):
        members = ids[order[first:last]]
        pieces.append(members[_similar(_vectors(units, members), threshold)])
    return distinct_edges(np.sort(np.concatenate(pieces), axis=1))


def _sample(units: list[CleanedUnit], clusters: int) -> np.ndarray:
    """Return the vectors of the documents with the least hashes: a random sample, the same whatever the shards."""
    wanted = clusters * _SAMPLES_A_CLUSTER
    hashes, ids = [], []
    for unit in units:
        some = unit.array(CONTENT_ROWS)[:wanted]
        hashes.append(np.asarray(unit.array(CONTENT_HASHES)[:wanted]))
        ids.append(np.asarray(some).astype(np.int64) + unit.first_id)
    joined, numbers = np.concatenate(hashes), np.concatenate(ids)
    chosen = numbers[np.lexsort((joined[:, 1], joined[:, 0]))[:wanted]]
    vectors = _vectors(units, chosen)
    return vectors[vectors.any(axis=1)]


def train_centroids(sample: np.ndarray, clusters: int) -> np.ndarray:
    """Return the centroids of spherical k-means (Dhillon and Modha 2001), ten rounds from the first vectors on.

    Args:
        sample: int8, shape (vectors, dimensions), none of them zero.
        clusters: How many, if there are as many vectors.

    Returns:
        int8, shape (clusters, dimensions).
    """
    centroids = sample[: max(1, clusters)].copy()
    for _ in range(_ITERATIONS if len(sample) > len(centroids) else 0):
        sums = np.zeros(centroids.shape, np.float64)
        for first in range(0, len(sample), _ROWS_AT_A_TIME):
            some = sample[first : first + _ROWS_AT_A_TIME].astype(np.float32)
            lengths = np.linalg.norm(some.astype(np.float64), axis=1, keepdims=True)
            # To integers, so that the sums are exact.
            np.add.at(sums, nearest(some, centroids), np.rint(some / lengths * (1 << 20)))
        moved = quantized(sums)
        stays = ~moved.any(axis=1)
        moved[stays] = centroids[stays]
        if (moved == centroids).all():
            break
        centroids = moved
    return centroids


def nearest(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the centroid of the greatest cosine with each vector, the first of equal ones: int64, shape (vectors,)."""
    products = vectors.astype(np.float32) @ centroids.astype(np.float32).T
    cosines = products / np.linalg.norm(centroids.astype(np.float64), axis=1)
    result: np.ndarray = cosines.argmax(axis=1)
    return result


def _assign(units: list[CleanedUnit], centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return global ids and clusters of all documents that have an embedding: int64 and int32, shape (documents,)."""
    ids, assigned = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    for unit in units:
        stored = unit.array(EMBEDDINGS)
        for first in range(0, len(stored), _ROWS_AT_A_TIME):
            some = np.asarray(stored[first : first + _ROWS_AT_A_TIME])
            rows = np.flatnonzero(some.any(axis=1))
            ids.append(unit.first_id + first + rows)
            assigned.append(nearest(some[rows], centroids).astype(np.int32))
    return np.concatenate(ids), np.concatenate(assigned)


def _vectors(units: list[CleanedUnit], ids: np.ndarray) -> np.ndarray:
    """Return the vectors of documents by their global ids: int8, shape (ids, dimensions)."""
    firsts = np.array([unit.first_id for unit in units], np.int64)
    places = np.searchsorted(firsts, ids, side="right") - 1
    result = np.empty((len(ids), units[0].array(EMBEDDINGS).shape[1]), np.int8)
    for place in np.unique(places):
        mask = places == place
        result[mask] = units[place].array(EMBEDDINGS)[ids[mask] - firsts[place]]
    return result


def _similar(vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Return pairs that hang together all vectors whose cosine reaches the threshold: int64, shape (pairs, 2)."""
    parents = np.arange(len(vectors), dtype=np.uint32)
    same_rank = np.zeros(len(vectors), np.uint64)
    for pairs in _similar_pairs(vectors.astype(np.float32), threshold):
        union(parents, same_rank, pairs)
    flatten(parents)
    joined = np.flatnonzero(parents != np.arange(len(parents)))
    return np.stack([parents[joined].astype(np.int64), joined], axis=1)


def _similar_pairs(vectors: np.ndarray, threshold: float) -> Iterator[np.ndarray]:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    step = max(1, _SIMILARITIES_AT_A_TIME // max(1, len(vectors)))
    for first in range(0, len(vectors), step):
        last = min(first + step, len(vectors))
        products = vectors[first:last] @ vectors[:last].T
        rows, columns = np.nonzero(products >= threshold * lengths[first:last, None] * lengths[:last])
        below = columns < rows + first
        yield np.ascontiguousarray(np.stack([rows[below] + first, columns[below]], axis=1))
