"""MinHash of shingle hashes; `dedup.minhash` says which."""

from __future__ import annotations

import numpy as np

from pretrain_dataprep.compiled import TEXT, compiled, inlined
from pretrain_dataprep.kernels.shingles import document_shingles

MERSENNE_PRIME = np.uint64((1 << 61) - 1)
_BLOCK_SHINGLES = 8


@inlined
def _mix32(value):
    # Numba widens products of 32-bit integers to 64 bits: every step has to be cut back.
    value = np.uint32(value ^ (value >> np.uint32(16)))
    value = np.uint32(value * np.uint32(0x85EBCA6B))
    value = np.uint32(value ^ (value >> np.uint32(13)))
    value = np.uint32(value * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@compiled("void(uint32[::1], uint32[::1], uint32[::1], uint32[::1])")
def update_affine32(values, multipliers, addends, result):
    # Eight shingles a round: each load of a permutation and each store of a minimum serves all of them.
    whole = len(values) // _BLOCK_SHINGLES * _BLOCK_SHINGLES
    for first in range(0, whole, _BLOCK_SHINGLES):
        h0, h1 = _mix32(values[first]), _mix32(values[first + 1])
        h2, h3 = _mix32(values[first + 2]), _mix32(values[first + 3])
        h4, h5 = _mix32(values[first + 4]), _mix32(values[first + 5])
        h6, h7 = _mix32(values[first + 6]), _mix32(values[first + 7])
        for k in range(len(result)):
            a, b = multipliers[k], addends[k]
            low = min(
                min(np.uint32(a * h0 + b), np.uint32(a * h1 + b)), min(np.uint32(a * h2 + b), np.uint32(a * h3 + b))
            )
            high = min(
                min(np.uint32(a * h4 + b), np.uint32(a * h5 + b)), min(np.uint32(a * h6 + b), np.uint32(a * h7 + b))
            )
            result[k] = min(result[k], min(low, high))
    for index in range(whole, len(values)):
        h = _mix32(values[index])
        for k in range(len(result)):
            result[k] = min(result[k], np.uint32(multipliers[k] * h + addends[k]))


@compiled("void(uint32[::1], uint64[::1], uint64[::1], uint32[::1])")
def update_legacy(values, multipliers, addends, result):
    for index in range(len(values)):
        h = np.uint64(values[index])
        for k in range(len(result)):
            # The product wraps around at 2⁶⁴, as NumPy's does; folding is an exact remainder by a Mersenne prime.
            wrapped = multipliers[k] * h + addends[k]
            remainder = (wrapped & MERSENNE_PRIME) + (wrapped >> np.uint64(61))
            if remainder >= MERSENNE_PRIME:
                remainder -= MERSENNE_PRIME
            result[k] = min(result[k], np.uint32(remainder & np.uint64(0xFFFFFFFF)))


@compiled(
    f"void({TEXT}, int64[::1], boolean, int64, uint32[::1], uint32[::1], uint64[::1], int32[::1], uint8[::1],"
    " uint32[::1], uint32[:, ::1], int64[::1])"
)
def write_affine32_signatures(
    text, offsets, by_word, ngram, multipliers, addends, words, lengths, kinds, values, result, shingles
):
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        shingles[document] = document_shingles(text, start, end, by_word, ngram, words, lengths, kinds, values)
        update_affine32(values[: shingles[document]], multipliers, addends, result[document])


@compiled(
    f"void({TEXT}, int64[::1], boolean, int64, uint64[::1], uint64[::1], uint64[::1], int32[::1], uint8[::1],"
    " uint32[::1], uint32[:, ::1], int64[::1])"
)
def write_legacy_signatures(
    text, offsets, by_word, ngram, multipliers, addends, words, lengths, kinds, values, result, shingles
):
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        shingles[document] = document_shingles(text, start, end, by_word, ngram, words, lengths, kinds, values)
        update_legacy(values[: shingles[document]], multipliers, addends, result[document])
