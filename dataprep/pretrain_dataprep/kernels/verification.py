"""Which members of a bucket are really similar."""

from __future__ import annotations

import numpy as np
from numba import types

from pretrain_dataprep.compiled import compiled, inlined

SHINGLES = types.Array(types.uint32, 1, "C", readonly=True)
_INTEGERS = types.Array(types.int64, 1, "C", readonly=True)
_SKETCHES = types.Array(types.uint64, 1, "C", readonly=True)
_SET = types.Array(types.int64, 2, "C", readonly=True)


@inlined
def _bits(value):
    """Return the number of set bits of a uint64."""
    value -= (value >> np.uint64(1)) & np.uint64(0x5555555555555555)
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((value * np.uint64(0x0101010101010101)) >> np.uint64(56))


@inlined
def _common(one, start, end, other, other_start, other_end):
    """Return how many values two sorted parts share."""
    count = 0
    while start < end and other_start < other_end:
        left, right = one[start], other[other_start]
        count += left == right
        start += left <= right
        other_start += right <= left
    return count


@inlined
def _reaches(shingles, sets, one, other, threshold):
    """Tell whether the Jaccard similarity of two sets reaches the threshold."""
    size = sets[one, 2] - sets[one, 1]
    other_size = sets[other, 2] - sets[other, 1]
    if min(size, other_size) < threshold * max(size, other_size) or size == 0 or other_size == 0:
        return False
    left, right = shingles[sets[one, 0]], shingles[sets[other, 0]]
    common = _common(left, sets[one, 1], sets[one, 2], right, sets[other, 1], sets[other, 2])
    return common >= threshold * (size + other_size - common)


@compiled(
    types.int64(
        _INTEGERS,
        types.ListType(SHINGLES),
        _SET,
        types.float64,
        _SKETCHES,
        types.int64,
        types.int64,
        types.Array(types.int64, 2, "C"),
    )
)
def connect(bucket_ends, shingles, sets, threshold, sketches, max_distance, most, pairs):
    """Write pairs of members that hang all similar members of each bucket together; return how many.

    A member is compared with all before it that it isn't connected with yet, but with `most` of them at most. With
    sketches those are similar that differ in at most `max_distance` bits; else those whose sets, (unit, start, end) of
    `shingles`, reach the threshold.
    """
    count = first = 0
    following = np.empty(len(sets) if len(sketches) == 0 else len(sketches), np.int64)
    heads = np.empty_like(following)
    tails = np.empty_like(following)
    for bucket in range(len(bucket_ends)):
        components = 0
        for member in range(first, bucket_ends[bucket]):
            following[member] = -1
            compared = 0
            joined = -1
            kept = 0
            for component in range(components):
                other = heads[component]
                similar = False
                while other >= 0 and compared < most and not similar:
                    compared += 1
                    if len(sketches) > 0:
                        similar = _bits(sketches[member] ^ sketches[other]) <= max_distance
                    else:
                        similar = _reaches(shingles, sets, member, other, threshold)
                    if similar:
                        pairs[count, 0], pairs[count, 1] = other, member
                        count += 1
                    else:
                        other = following[other]
                if similar and joined >= 0:
                    following[tails[joined]] = heads[component]
                    tails[joined] = tails[component]
                    continue
                heads[kept], tails[kept] = heads[component], tails[component]
                if similar:
                    following[tails[kept]] = member
                    tails[kept] = member
                    joined = kept
                kept += 1
            if joined < 0:
                heads[kept] = tails[kept] = member
                kept += 1
            components = kept
        first = bucket_ends[bucket]
    return count
