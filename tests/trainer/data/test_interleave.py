import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_trainer.data.interleave import TABLE_SLOTS, interleave_table, slot_counts

WEIGHTS = st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1.0)), min_size=1, max_size=12).filter(lambda w: sum(w) > 0)


@settings(max_examples=100, deadline=None)
@given(weights=WEIGHTS)
def test_shares_are_exact_to_a_slot_and_nobody_is_left_out(weights: list[float]) -> None:
    counts = slot_counts(np.array(weights))
    assert counts.sum() == TABLE_SLOTS
    exact = np.array(weights) / sum(weights) * TABLE_SLOTS
    for weight, count, share in zip(weights, counts, exact, strict=True):
        assert (count > 0) == (weight > 0)
        assert abs(count - share) <= len(weights)


def test_largest_remainders_get_the_rest() -> None:
    counts = slot_counts(np.array([0.5 + 0.6 / TABLE_SLOTS, 0.25, 0.25 - 0.6 / TABLE_SLOTS]))
    assert counts.tolist() == [TABLE_SLOTS // 2 + 1, TABLE_SLOTS // 4, TABLE_SLOTS // 4 - 1]


def test_no_weight_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="positive weight"):
        slot_counts(np.zeros(3))


@settings(max_examples=20, deadline=None)
@given(weights=WEIGHTS, seed=st.integers(0, 2**32), length=st.integers(1, 3 * TABLE_SLOTS))
def test_sources_are_spread_evenly(weights: list[float], seed: int, length: int) -> None:
    """Up to any point of the run, a source has had its share to within a use or two of each source."""
    table = interleave_table(np.array(weights), seed, 0)
    before = table.uses_before(length)
    assert before.sum() == length
    expected = table.counts / TABLE_SLOTS * length
    assert np.abs(before - expected).max() <= len(weights) + 1


@settings(max_examples=20, deadline=None)
@given(weights=WEIGHTS, seed=st.integers(0, 2**32))
def test_occurrences_count_the_uses(weights: list[float], seed: int) -> None:
    table = interleave_table(np.array(weights), seed, 1)
    for source in range(len(weights)):
        assert np.array_equal(table.occurrence[table.source == source], np.arange(table.counts[source]))


def test_the_seed_and_the_phase_change_the_order() -> None:
    weights = np.array([0.4, 0.35, 0.25])
    tables = [interleave_table(weights, seed, phase).source for seed, phase in ((1, 0), (2, 0), (1, 1))]
    assert not np.array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])
