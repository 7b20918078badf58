"""Keyed hashing and permutations, vectorised: the randomness of the data order, without any state.

Every value is a pure function of its key, so that any process can compute the order of any part of a run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

UInt64Array = NDArray[np.uint64]

FEISTEL_ROUNDS = 8
"""Four rounds make a pseudorandom permutation of a random round function (Luby and Rackoff 1988); the rest is margin
for the narrow blocks of small corpora."""


def mix64(value: UInt64Array) -> UInt64Array:
    """Return a hash of each 64-bit integer: SplitMix64's finalizer (Steele, Lea and Flood 2014)."""
    value = np.atleast_1d(value) + np.uint64(0x9E3779B97F4A7C15)  # of arrays numpy lets products wrap around
    value ^= value >> np.uint64(30)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> np.uint64(27)
    value *= np.uint64(0x94D049BB133111EB)
    value ^= value >> np.uint64(31)
    return value


def keyed_hash(*parts: ArrayLike, after: UInt64Array | None = None) -> UInt64Array:
    """Return a 64-bit hash of the parts (non-negative integers or arrays of them, broadcast together).

    Args:
        parts: What is hashed.
        after: Hash of the parts before them: keyed_hash(b, after=keyed_hash(a)) is keyed_hash(a, b).
    """
    state = np.zeros(1, dtype=np.uint64) if after is None else after
    for part in parts:
        state = mix64(state ^ np.asarray(part).astype(np.uint64))
    return state


def permute(index: UInt64Array, size: int, key: UInt64Array) -> UInt64Array:
    """Return where a keyed pseudorandom permutation of [0, size) takes each index.

    A balanced Feistel network over the next even number of bits; what falls outside goes through it again until it is
    inside (cycle walking: Black and Rogaway 2002), which takes four passes at most on average.

    Args:
        index: uint64, each in [0, size).
        size: Length of the permuted range, at least 1.
        key: uint64, of the length of `index` or of length 1: one key an index, or one for all.
    """
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = _round_keys(key)
    value = _feistel(index.astype(np.uint64), half_bits, keys)
    outside = np.flatnonzero(value >= size)
    while outside.size:
        chosen = keys if keys.shape[1] == 1 else keys[:, outside]
        value[outside] = _feistel(value[outside], half_bits, chosen)
        outside = outside[value[outside] >= size]
    return value


def _round_keys(key: UInt64Array) -> UInt64Array:
    """Return the keys of the rounds: uint64[FEISTEL_ROUNDS, len(key)]."""
    return keyed_hash(np.arange(FEISTEL_ROUNDS)[:, None], after=keyed_hash(key))


def _feistel(value: UInt64Array, half_bits: int, round_keys: UInt64Array) -> UInt64Array:
    shift, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = value >> shift, value & mask
    for round_key in round_keys:
        left, right = right, left ^ (mix64(right ^ round_key) & mask)
    return (left << shift) | right
