"""Spherical k-means (Dhillon & Modha 2001): every row belongs to the centroid of the greatest cosine."""

from __future__ import annotations

import math

import numpy as np

from pretrain_dataprep.kernels.topics import add_rows, write_directions, write_nearest, write_similarities
from pretrain_dataprep.topics.features import Rows

_MOST_ROUNDS = 25
"""As FAISS does."""
_MOST_STARTS, _CLUSTERS_OF_ALL_STARTS = 16, 256
_FIRST_ROWS, _FIRST_ROWS_A_CLUSTER = 1024, 16


def nearest(rows: Rows, centroids: np.ndarray) -> np.ndarray:
    """Return the centroid of the greatest cosine with each row, -1 of one that has nothing in common with any.

    Args:
        rows: Of any lengths.
        centroids: float32, shape (dimensions, clusters), each of length 1.

    Returns:
        int32, shape (rows,).
    """
    return _nearest(rows, centroids)[0]


def _nearest(rows: Rows, centroids: np.ndarray) -> tuple[np.ndarray, float]:
    """Return what `nearest` does, and the sum of the products."""
    found, greatest = np.empty(len(rows), np.int32), np.empty(len(rows), np.float32)
    products = np.empty(centroids.shape[1], np.float32)
    write_nearest(rows.features, rows.weights, rows.offsets, centroids, products, found, greatest)
    return found, _sum(greatest)


def _sum(values: np.ndarray) -> float:
    """Add one after the other: the same on every machine."""
    return float(np.cumsum(values, dtype=np.float64)[-1]) if len(values) else 0.0


def spherical_kmeans(rows: Rows, clusters: int, seed: int) -> np.ndarray:
    """Return centroids: float32, shape (dimensions, clusters), each of length 1. The same rows and seed give the same.

    Begins where the best of several starts on a part of the rows ended (Bradley & Fayyad 1998).

    Args:
        rows: Of length 1, at least as many as there are clusters, in an order that doesn't depend on what they say.
        clusters: How many.
        seed: Of the choice of the first centroids.
    """
    some = rows.first(min(len(rows), _FIRST_ROWS + _FIRST_ROWS_A_CLUSTER * clusters))
    generator = np.random.default_rng(seed)
    starts = max(1, min(_MOST_STARTS, _CLUSTERS_OF_ALL_STARTS // clusters))
    ends = [_moved(some, _first_centroids(some, clusters, generator)) for _ in range(starts)]
    centroids = max(ends, key=lambda end: end[1])[0]
    return centroids if len(some) == len(rows) else _moved(rows, centroids)[0]


def _moved(rows: Rows, centroids: np.ndarray) -> tuple[np.ndarray, float]:
    """Move centroids, in place, to the directions of their rows until these stay; return them and the sum of
    cosines."""
    before = None
    sums = np.empty_like(centroids)
    for _ in range(_MOST_ROUNDS):
        assigned, cosines = _nearest(rows, centroids)
        if before is not None and (assigned == before).all():
            break
        before = assigned
        sums[:] = 0.0
        add_rows(rows.features, rows.weights, rows.offsets, assigned, sums)
        write_directions(sums, centroids)
    return centroids, cosines


def _first_centroids(rows: Rows, clusters: int, generator: np.random.Generator) -> np.ndarray:
    centroids = np.zeros((rows.dimensions, clusters), np.float32)
    for cluster, row in enumerate(_first_centers(rows, clusters, generator)):
        entries = slice(rows.offsets[row], rows.offsets[row + 1])
        centroids[rows.features[entries], cluster] = rows.weights[entries]
    return centroids


def _first_centers(rows: Rows, clusters: int, generator: np.random.Generator) -> list[int]:
    """Choose rows by greedy k-means++ (Arthur & Vassilvitskii 2007): of a few rows drawn by their squared distances
    from the centers so far, which for rows of length 1 are 2 - 2 · cosine, the one that leaves the least of them."""
    dense = np.zeros(rows.dimensions, np.float32)
    tries = 2 + int(math.log(clusters))
    best = np.full(len(rows), -1.0, np.float32)
    centers: list[int] = []
    for _ in range(clusters):
        distances = np.cumsum(np.maximum(1.0 - best.astype(np.float64), 0.0))
        drawn = np.searchsorted(distances, generator.random(tries) * distances[-1], side="right")
        found: tuple[float, int, np.ndarray] | None = None
        for row in np.minimum(drawn, len(rows) - 1).tolist():
            similarities = np.empty(len(rows), np.float32)
            write_similarities(rows.features, rows.weights, rows.offsets, row, dense, similarities)
            similarities = np.maximum(similarities, best)
            left = -_sum(similarities)
            if found is None or left < found[0]:
                found = (left, row, similarities)
        assert found is not None
        centers.append(found[1])
        best = found[2]
    return centers
