import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_trainer.data.sample_index import PhaseWeights, SampleIndex, SkipList

PHASES = [PhaseWeights(0, (0.7, 0.3, 0.0)), PhaseWeights(1000, (0.0, 0.5, 0.5)), PhaseWeights(70_500, (1.0, 0.0, 1.0))]


def test_uses_of_a_source_are_counted_over_the_whole_run() -> None:
    """The n-th use of a source has number n, across tables and phases."""
    source, use = SampleIndex(PHASES, seed=3).locate(np.arange(140_000))
    for number in range(3):
        assert np.array_equal(use[source == number], np.arange((source == number).sum()))
    assert set(source[:1000]) == {0, 1}
    assert set(source[1000:70_500]) == {1, 2}
    assert set(source[70_500:]) == {0, 2}


@settings(max_examples=50, deadline=None)
@given(index=st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_a_sequence_depends_on_its_index_alone(index: list[int]) -> None:
    samples = SampleIndex(PHASES, seed=3)
    together = samples.locate(np.array(index))
    for place, single in enumerate(index):
        source, use = samples.locate(np.array([single]))
        assert (source[0], use[0]) == (together[0][place], together[1][place])


def test_phases_must_begin_at_the_beginning() -> None:
    with pytest.raises(ValueError, match="start at 0"):
        SampleIndex([PhaseWeights(5, (1.0,))], seed=0)


RANGES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)).map(lambda r: (r[0], r[0] + r[1])), max_size=8)


@given(ranges=RANGES)
def test_skipped_sequences_are_left_out_and_no_others(ranges: list[tuple[int, int]]) -> None:
    skips = SkipList()
    for first, end in ranges:
        skips = skips.add(first, end)
    skipped = {index for first, end in ranges for index in range(first, end)}
    expected = [index for index in range(1000) if index not in skipped][:500]
    assert skips.index_of(np.arange(500)).tolist() == expected
    assert SkipList.from_json(skips.to_json()) == skips


@given(ranges=RANGES, first=st.integers(100, 300))
def test_skipping_ahead_changes_nothing_before(ranges: list[tuple[int, int]], first: int) -> None:
    skips = SkipList.from_json(ranges)
    consumed = np.arange(400)
    before, after = skips.index_of(consumed), skips.add(first, first + 10).index_of(consumed)
    assert np.array_equal(before[before < first], after[: (before < first).sum()])
