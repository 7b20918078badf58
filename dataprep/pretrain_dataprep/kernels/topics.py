"""Counting of hashed words, and products of sparse documents with dense centroids (`topics` says what for).

Sums are taken in a fixed order, component by component, without any reordering: the same on every machine. Centroids
are stored a feature a row, so that the inner loops run over neighbouring clusters.
"""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled
from pretrain_dataprep.kernels.words import scan_words

_ROWS = "int32[::1], float32[::1], int64[::1]"
"""Signature of sparse documents: features, weights, and where each document begins."""


@compiled(
    f"int64({TEXT}, int64[::1], uint64[::1], int32[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int64[::1])",
)
def write_counts(text, offsets, hashes, lengths, kinds, counts, features, occurrences, feature_offsets):
    """Write the places of each document's words, each once, and how often each occurs; return how many there are.

    `counts` has a zero for each place, and has again afterwards; their number is a power of two.
    """
    mask = np.uint64(len(counts) - 1)
    end = 0
    feature_offsets[0] = 0
    for document in range(len(offsets) - 1):
        words = scan_words(text, offsets[document], offsets[document + 1], hashes, lengths, kinds)
        start = end
        for word in range(words):
            place = np.int64(hashes[word] & mask)
            if counts[place] == 0:
                features[end] = place
                end += 1
            counts[place] += 1
        for index in range(start, end):
            occurrences[index] = counts[features[index]]
            counts[features[index]] = 0
        feature_offsets[document + 1] = end
    return end


@compiled(f"void({_ROWS}, Array(float32, 2, 'C', readonly=True), float32[::1], int32[::1], float32[::1])")
def write_nearest(features, weights, offsets, centroids, products, nearest, greatest):
    """Write the greatest product with each document, and its centroid, the first of equal ones; -1: all are 0."""
    clusters = centroids.shape[1]
    for document in range(len(offsets) - 1):
        products[:] = 0.0
        for index in range(offsets[document], offsets[document + 1]):
            feature = features[index]
            weight = weights[index]
            for cluster in range(clusters):
                products[cluster] += weight * centroids[feature, cluster]
        best = 0
        none = True
        for cluster in range(clusters):
            none = none and products[cluster] == 0.0
            if products[cluster] > products[best]:
                best = cluster
        nearest[document] = -1 if none else best
        greatest[document] = products[best]


@compiled(f"void({_ROWS}, int32[::1], float32[:, ::1])")
def add_rows(features, weights, offsets, nearest, sums):
    """Add each document to the sum of its cluster."""
    for document in range(len(offsets) - 1):
        cluster = nearest[document]
        if cluster >= 0:
            for index in range(offsets[document], offsets[document + 1]):
                sums[features[index], cluster] += weights[index]


@compiled("void(float32[:, ::1], float32[:, ::1])")
def write_directions(sums, centroids):
    """Write the sums with length 1; what has no length leaves its centroid as it was."""
    squares = np.zeros(sums.shape[1])
    for feature in range(sums.shape[0]):
        for cluster in range(sums.shape[1]):
            squares[cluster] += np.float64(sums[feature, cluster]) * np.float64(sums[feature, cluster])
    factors = np.zeros(sums.shape[1], np.float32)
    stay = np.ones(sums.shape[1], np.float32)
    for cluster in range(sums.shape[1]):
        if squares[cluster] > 0.0:
            factors[cluster] = 1.0 / np.sqrt(squares[cluster])
            stay[cluster] = 0.0
    for feature in range(sums.shape[0]):
        for cluster in range(sums.shape[1]):
            centroids[feature, cluster] = (
                centroids[feature, cluster] * stay[cluster] + sums[feature, cluster] * factors[cluster]
            )


@compiled(f"void({_ROWS}, int64, float32[::1], float32[::1])")
def write_similarities(features, weights, offsets, center, dense, similarities):
    """Write the product of each document with the one called `center`; `dense` has a zero for each feature."""
    for index in range(offsets[center], offsets[center + 1]):
        dense[features[index]] = weights[index]
    for document in range(len(offsets) - 1):
        total = np.float32(0.0)
        for index in range(offsets[document], offsets[document + 1]):
            total += weights[index] * dense[features[index]]
        similarities[document] = total
    for index in range(offsets[center], offsets[center + 1]):
        dense[features[index]] = 0.0
