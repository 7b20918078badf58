"""Hashed words and word pairs of documents; `filtering.classifier` says how they are weighed."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.words import mix64, scan_words

_PAIR = np.uint64(0x9E3779B97F4A7C15)


@inlined
def _bucket(value, buckets):
    return np.int64(mix64(value) & np.uint64(buckets - 1))


@inlined
def _pair(first, second):
    return first * _PAIR + second


@compiled(
    f"int64({TEXT}, int64[::1], uint64[::1], int32[::1], uint8[::1], int64, int32[::1], int64[::1])",
)
def write_features(text, offsets, hashes, lengths, kinds, buckets, features, feature_offsets):
    """Write the buckets of each document's words, then pairs; return how many there are."""
    count = 0
    feature_offsets[0] = 0
    for document in range(len(offsets) - 1):
        words = scan_words(text, offsets[document], offsets[document + 1], hashes, lengths, kinds)
        for word in range(words):
            features[count] = _bucket(hashes[word], buckets)
            count += 1
        for word in range(words - 1):
            features[count] = _bucket(_pair(hashes[word], hashes[word + 1]), buckets)
            count += 1
        feature_offsets[document + 1] = count
    return count


@compiled(
    f"void({TEXT}, int64[::1], uint64[::1], int32[::1], uint8[::1], float32[::1], float64, float64[::1])",
)
def write_scores(text, offsets, hashes, lengths, kinds, weights, bias, scores):
    """Write the probability of each document."""
    for document in range(len(offsets) - 1):
        words = scan_words(text, offsets[document], offsets[document + 1], hashes, lengths, kinds)
        total = 0.0
        for word in range(words):
            total += weights[_bucket(hashes[word], len(weights))]
        for word in range(words - 1):
            total += weights[_bucket(_pair(hashes[word], hashes[word + 1]), len(weights))]
        scores[document] = 1.0 / (1.0 + np.exp(-(bias + total / max(2 * words - 1, 1))))
