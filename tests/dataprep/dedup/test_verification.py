"""Members of a bucket are connected if and only if the similar ones among them connect them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.typed import List

from pretrain_dataprep.dedup.shingles import jaccard
from pretrain_dataprep.dedup.verification import MOST_COMPARISONS
from pretrain_dataprep.kernels.verification import SHINGLES, connect

from .test_clusters import components

Pairs = list[tuple[int, int]]


def connected(bucket_ends: list[int], sets: list[list[int]], threshold: float, most: int = MOST_COMPARISONS) -> Pairs:
    """Return the pairs that the kernel writes; the sets are in two arrays, as those of two units."""
    units, places = [[], []], []
    for number, members in enumerate(sets):
        unit = number % 2
        places.append((unit, len(units[unit]), len(units[unit]) + len(members)))
        units[unit].extend(members)
    shingles = List.empty_list(SHINGLES)
    for values in units:
        array = np.array(values, np.uint32)
        array.flags.writeable = False
        shingles.append(array)
    pairs = np.empty((len(sets), 2), np.int64)
    count = connect(
        np.array(bucket_ends, np.int64),
        shingles,
        np.array(places, np.int64).reshape(-1, 3),
        threshold,
        np.empty(0, np.uint64),
        0,
        most,
        pairs,
    )
    return [(int(one), int(other)) for one, other in pairs[:count]]


def connected_by_bits(sketches: list[int], max_distance: int) -> Pairs:
    pairs = np.empty((len(sketches), 2), np.int64)
    count = connect(
        np.array([len(sketches)], np.int64),
        List.empty_list(SHINGLES),
        np.empty((0, 3), np.int64),
        0.5,
        np.array(sketches, np.uint64),
        max_distance,
        MOST_COMPARISONS,
        pairs,
    )
    return [(int(one), int(other)) for one, other in pairs[:count]]


def as_sets(groups: list[set[int]]) -> set[frozenset[int]]:
    return {frozenset(group) for group in groups}


SETS = st.lists(st.sets(st.integers(0, 12), max_size=10).map(sorted), max_size=12)


@settings(deadline=None)
@given(buckets=st.lists(SETS, max_size=3), threshold=st.sampled_from([0.3, 0.5, 0.8]))
def test_jaccard_similarity(buckets: list[list[list[int]]], threshold: float) -> None:
    sets = [members for bucket in buckets for members in bucket]
    ends = np.cumsum([len(bucket) for bucket in buckets]).tolist()
    pairs = connected(ends, sets, threshold)
    similar, first = [], 0
    for end in ends:
        similar += [
            (one, other)
            for one in range(first, end)
            for other in range(first, one)
            if jaccard(np.array(sets[one]), np.array(sets[other])) >= threshold
        ]
        first = end
    assert as_sets(components(len(sets), pairs)) == as_sets(components(len(sets), similar))
    assert len(pairs) == len(sets) - len(components(len(sets), pairs)), "no pair says what others say already"


@settings(deadline=None)
@given(sketches=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 31), max_size=12), most=st.integers(0, 5))
def test_hamming_distance(sketches: list[int], most: int) -> None:
    similar = [
        (one, other)
        for one in range(len(sketches))
        for other in range(one)
        if (sketches[one] ^ sketches[other]).bit_count() <= most
    ]
    found = connected_by_bits(sketches, most)
    assert as_sets(components(len(sketches), found)) == as_sets(components(len(sketches), similar))


def test_a_member_gives_up_after_some_comparisons() -> None:
    sets = [[number] for number in range(5)] + [[4]]
    assert connected([6], sets, 0.5) == [(4, 5)]
    assert connected([6], sets, 0.5, most=4) == []
