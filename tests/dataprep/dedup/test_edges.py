"""Documents with equal keys hang together, however few keys are looked at a time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.spec.data import Source
from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.cleaning.unit_layout import BAND_KEYS, BAND_ROWS, CONTENT_HASHES, CONTENT_ROWS
from pretrain_dataprep.dedup import edges
from pretrain_dataprep.dedup.clusters import Clusters
from pretrain_dataprep.manifests import Manifest, Recipe

ALL_KEYS = (0, 1 << 64)
KEYS = st.sampled_from([0, 1, 2, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 2, (1 << 64) - 1])


@given(st.lists(KEYS, max_size=60), st.integers(1, 10), st.integers(0, 6))
def test_pieces_cover_the_range_and_have_few_keys(keys: list[int], most: int, part: int) -> None:
    low, high = edges.key_range(part, 7)

    def count(first: int, last: int) -> int:
        return sum(first <= key < last for key in keys)

    found = list(edges.pieces(count, low, high, most))
    assert [found[0][0], *(piece[1] for piece in found)] == [*(piece[0] for piece in found), high]
    assert found[0][0] == low
    for first, last in found:
        assert count(first, last) <= most or last == first + 1


def unit(folder: Path, number: int, first_id: int, keys: np.ndarray) -> CleanedUnit:
    """Write a unit whose documents have a key each."""
    folder = folder / str(number)
    folder.mkdir(exist_ok=True)
    order = np.argsort(keys, kind="stable")
    np.save(folder / BAND_KEYS, keys[order])
    np.save(folder / BAND_ROWS, order.astype(np.uint32))
    np.save(folder / CONTENT_HASHES, np.stack([keys[order] >> np.uint64(1), keys[order]], axis=1))
    np.save(folder / CONTENT_ROWS, order.astype(np.uint32))
    manifest = Manifest(Recipe("clean", "", "", "", []), [], {"documentsOut": len(keys)})
    return CleanedUnit(Source(name="web", uri="-"), number, folder, manifest, first_id)


@pytest.mark.parametrize("kind", ["exact", "band"])
@settings(max_examples=40, deadline=None)
@given(keys=st.lists(st.lists(KEYS, max_size=30), min_size=1, max_size=4), most=st.integers(1, 40))
def test_documents_with_equal_keys_hang_together(
    keys: list[list[int]], most: int, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("units")
    firsts = np.cumsum([0, *map(len, keys)]).tolist()
    units = [unit(folder, n, firsts[n], np.array(some, np.uint64)) for n, some in enumerate(keys)]
    of_kind = edges.exact_edges if kind == "exact" else edges.band_edges
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edges, "KEYS_AT_A_TIME", most)
        found = list(of_kind(units, *ALL_KEYS))
        buckets = list(edges.candidates(units, *ALL_KEYS))
    assert all(len(piece) <= most for piece in found), "the edge to the chunk before takes the place of a last one"
    clusters = Clusters(np.arange(firsts[-1], dtype=np.uint64))
    clusters.merge(found)
    joined = [key for some in keys for key in some]
    newest = {key: number for number, key in enumerate(joined)}
    assert clusters.survivors.tolist() == [newest[key] for key in joined]
    members = [number for number, key in enumerate(joined) if joined.count(key) > 1]
    assert sorted(number for bucket in buckets for number in bucket.ids.tolist()) == members
    assert sum(int((~bucket.follows).sum()) for bucket in buckets) == len({joined[number] for number in members})


def test_one_piece_is_what_all_keys_at_once_give(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    parts = [generator.integers(0, 1 << 62, 3000, dtype=np.uint64) >> np.uint64(50) for _ in range(3)]
    units = [unit(tmp_path, n, 3000 * n, keys) for n, keys in enumerate(parts)]
    (found,) = edges.band_edges(units, *ALL_KEYS)
    by_key: dict[int, list[int]] = {}
    for number, key in enumerate(np.concatenate(parts).tolist()):
        by_key.setdefault(key, []).append(number)
    expected = sorted(pair for numbers in by_key.values() for pair in pairwise(numbers))
    assert found.tolist() == [list(pair) for pair in expected]
