"""The caps hold exactly, and who stays depends on hashes alone: by the definition, on any division of the documents."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.spec.filters import ClusterFilter
from pretrain_dataprep.topics.capping import Members, cap_clusters, cap_of, surplus
from pretrain_dataprep.topics.model import NO_CLUSTER


@pytest.mark.parametrize(
    ("documents", "most", "share", "cap"),
    [
        (1000, 30, None, 30),
        (1000, None, 0.05, 50),
        (1000, 30, 0.05, 30),
        (1000, 80, 0.05, 50),
        (100, None, 0.29, 29),  # 0.29 * 100 is 28.999… in floating point
        (10, None, 0.01, 1),
        (0, None, 0.5, 1),
    ],
)
def test_the_smaller_cap_counts(documents: int, most: int | None, share: float | None, cap: int) -> None:
    assert cap_of(documents, most, share) == cap


@st.composite
def documents(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return clusters, places (many of them equal or near each other), ids, and which documents count."""
    count = draw(st.integers(0, 80))
    generator = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    clusters = generator.choice([0, 1, 2, 2, 2, NO_CLUSTER], count).astype(np.uint16)
    places = generator.choice([0.0, 0.25, 0.2500001, 0.7, generator.random(), 1 - 2**-53], count)
    return clusters, places, generator.permutation(count).astype(np.uint64), generator.random(count) < 0.8


def removed_by_definition(
    clusters: np.ndarray, places: np.ndarray, ids: np.ndarray, counts: np.ndarray, cap: int
) -> set[int]:
    removed: set[int] = set()
    for cluster in range(3):
        members = [row for row in range(len(clusters)) if clusters[row] == cluster and counts[row]]
        removed |= set(sorted(members, key=lambda row: (places[row], ids[row]))[cap:])
    return removed


@given(documents(), st.integers(1, 30), st.lists(st.integers(0, 80), max_size=4))
def test_the_least_hashes_of_each_cluster_stay(
    found: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], cap: int, cuts: list[int]
) -> None:
    clusters, places, ids, counts = found
    bounds = [0, *sorted(min(cut, len(clusters)) for cut in cuts), len(clusters)]

    def pieces() -> Iterator[Members]:
        for first, last in itertools.pairwise(bounds):
            some = slice(first, last)
            yield Members(first, clusters[some], places[some], ids[some], counts[some])

    capped = cap_clusters(pieces, len(clusters), 3, cap, None)
    assert set(np.flatnonzero(capped.removed).tolist()) == removed_by_definition(clusters, places, ids, counts, cap)
    for cluster in range(3):
        stayed = (clusters == cluster) & counts & ~capped.removed
        assert stayed.sum() == capped.kept[cluster] <= cap
        assert capped.sizes[cluster] == ((clusters == cluster) & counts).sum()
    assert capped.sizes[3] == capped.kept[3] == ((clusters == NO_CLUSTER) & counts).sum()


def test_another_seed_keeps_others() -> None:
    generator = np.random.default_rng(3)
    hashes = generator.integers(0, 1 << 63, (400, 2)).astype(np.uint64)
    topics = np.repeat(np.array([0, 1], np.uint16), 200)
    options = ClusterFilter(count=2, maxDocuments=50)
    one, other = surplus(topics, hashes, options, 1), surplus(topics, hashes, options, 2)
    assert one.sum() == other.sum() == 300
    assert (one != other).any()
    order = generator.permutation(400)
    assert (surplus(topics[order], hashes[order], options, 1) == one[order]).all()
