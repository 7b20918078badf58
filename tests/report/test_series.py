"""Thinning of metrics: bounded memory, no peak lost."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pretrain_report.series import MAX_DISCARDED_TRAJECTORIES, Series, collect_discarded, collect_metrics

VALUES = st.lists(st.floats(-1e6, 1e6), max_size=300)


@given(VALUES, st.sampled_from([2, 4, 10, 64]))
def test_extremes_sum_and_order_survive(values: list[float], max_buckets: int) -> None:
    series = Series(max_buckets)
    for step, value in enumerate(values):
        series.add(step, value)
    steps, kept = series.points()
    assert len(series.buckets) <= max_buckets
    assert steps == sorted(steps)
    assert all(values[int(step)] == value for step, value in zip(steps, kept, strict=True)), "only true points"
    assert sum(bucket.count for bucket in series.buckets) == len(values)
    if values:
        assert (min(kept), max(kept)) == (min(values), max(values))
        assert math.isclose(sum(bucket.total for bucket in series.buckets), math.fsum(values), abs_tol=1e-3)


@given(VALUES.filter(lambda values: len(values) <= 50))
def test_short_curves_are_kept_whole(values: list[float]) -> None:
    series = Series(50)
    for step, value in enumerate(values):
        series.add(step, value)
    assert series.points() == ([float(step) for step in range(len(values))], values)


def test_values_that_are_not_finite_are_counted_and_not_drawn() -> None:
    series = Series()
    for step, value in enumerate([1.0, math.nan, None, math.inf, 2.0]):
        series.add(step, value)
    assert series.points() == ([0, 4], [1.0, 2.0])
    assert series.not_finite_steps == [1, 2, 3]
    assert series.not_finite_count == 3


def test_smoothing_keeps_a_constant_and_the_ends() -> None:
    series = Series()
    for step in range(100):
        series.add(step, 3.0 if step else 5.0)
    _, smooth = series.smoothed(5)
    assert smooth[0] == 5.0
    assert smooth[5] == (5.0 + 10 * 3.0) / 11
    assert smooth[6:] == [3.0] * 94


def lines(count: int) -> Iterator[dict[str, Any]]:
    for step in range(1, count + 1):
        loss = 50.0 if step == 123_457 else 3.0
        yield {"step": step, "tokens": step * 1024, "loss": loss, "batchStage": step // 100_000, "batchTokens": 1024}


def test_many_steps_take_little_memory_and_lose_no_spike() -> None:
    tracemalloc.start()
    metrics = collect_metrics(lines(200_000))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert metrics is not None
    assert peak_bytes < 4_000_000
    steps, losses = metrics.series["loss"].points()
    assert 500 <= len(steps) <= 2000
    assert steps[losses.index(50.0)] == 123_457
    assert [stage.step for stage in metrics.stages] == [1, 100_000, 200_000]
    rows = metrics.rows.rows
    assert 250 <= len(rows) <= 500
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert metrics.steps == 200_000


def test_lines_without_a_step_make_no_metrics() -> None:
    assert collect_metrics([{"loss": 3.0}, {"step": None}]) is None


def test_discarded_trajectories_are_kept_apart_newest_first_to_stay() -> None:
    records = [
        {"step": 10 + step, "loss": 1.0 * number, "rollback": number} for number in range(1, 81) for step in range(3)
    ]
    trajectories = collect_discarded(records)
    assert [one.rollback for one in trajectories] == list(range(81 - MAX_DISCARDED_TRAJECTORIES, 81))
    assert all((one.first_step, one.last_step) == (10, 12) for one in trajectories)
    assert trajectories[-1].loss.points() == ([10, 11, 12], [80.0] * 3)
