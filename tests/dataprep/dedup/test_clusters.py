"""Union-find against a naive definition; the survivor doesn't depend on the order of edges or the numbering."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_dataprep.dedup.clusters import Clusters, ranks, scaled_scores, size_histogram

Pairs = list[tuple[int, int]]


def components(count: int, pairs: Pairs) -> list[set[int]]:
    groups = [{document} for document in range(count)]
    for one, other in pairs:
        first = next(group for group in groups if one in group)
        second = next(group for group in groups if other in group)
        if first is not second:
            first |= second
            groups.remove(second)
    return groups


@settings(deadline=None)
@given(st.data())
def test_survivors(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    documents = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(documents, documents), max_size=40))
    order = data.draw(st.permutations(range(count)))
    rank = np.array(order, np.uint64)
    clusters = Clusters(rank)
    clusters.merge([np.array(pairs, np.int64).reshape(-1, 2)])
    groups = components(count, pairs)
    for group in groups:
        best = max(group, key=lambda document: order[document])
        assert all(clusters.survivors[document] == best for document in group)
    removed = np.unpackbits(clusters.removed_mask())[:count]
    assert removed.sum() == count - len(groups)
    sizes = Counter(len(group) for group in groups if len(group) > 1)
    assert size_histogram(clusters.survivors) == dict(sizes)


def test_merging_goes_on_from_what_is_merged() -> None:
    clusters = Clusters(np.array([1, 3, 2, 0], np.uint64))
    clusters.merge([np.array([[0, 2]])])
    assert clusters.survivors.tolist() == [2, 1, 2, 3]
    clusters.merge([np.array([[2, 1]])])
    assert clusters.survivors.tolist() == [1, 1, 1, 3]


def test_memory_is_at_most_16_bytes_a_document() -> None:
    clusters = Clusters(np.zeros(1000, np.uint64))
    assert clusters.survivors.nbytes + 8 * 1000 + clusters.removed_mask().nbytes <= 16 * 1000


@pytest.mark.parametrize(
    ("keep", "winner"),
    [("longest", (1, 500, 1)), ("quality", (1, 500, 1)), ("source-priority", (0, 400, 2))],
)
def test_ranks(keep: str, winner: tuple[int, int, int]) -> None:
    candidates = [(0, 400, 1), (0, 400, 2), (0, 300, 9), (1, 500, 0), (1, 500, 1)]
    best = max(
        candidates,
        key=lambda c: ranks(c[0], np.array([c[1]], np.uint32), np.array([c[2] << 40], np.uint64), keep)[0],
    )
    assert best == winner


def test_the_better_score_survives_by_one_part_in_ten_million() -> None:
    scores = np.array([0.0, 1e-7, 0.5, 0.5000001, 1.0], np.float32)
    rank = ranks(0, scaled_scores(scores), np.zeros(5, np.uint64), "quality")
    assert (rank[1:] > rank[:-1]).all()


def test_a_longer_document_survives_however_long() -> None:
    lengths = np.array([2**24 - 2, 2**24 - 1, 2**24 + 5], np.uint32)
    rank = ranks(0, lengths, np.zeros(3, np.uint64), "longest")
    assert rank[0] < rank[1] == rank[2]
