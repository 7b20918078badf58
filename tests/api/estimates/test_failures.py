"""Checkpoint intervals and goodput."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.estimates.failures import (
    GPU_HOURS_BETWEEN_FAILURES,
    FailureRate,
    daly_interval_seconds,
    goodput,
    young_interval_seconds,
)


def test_young() -> None:
    assert young_interval_seconds(50, 3600) == 600


def test_llama3_failures() -> None:
    # Dubey et al. 2024: one interruption each 3 hours on 16,384 GPUs.
    assert pytest.approx(3.09, abs=0.01) == GPU_HOURS_BETWEEN_FAILURES / 16_384


def test_daly_is_young_where_saving_is_cheap() -> None:
    assert daly_interval_seconds(1, 1e8) == pytest.approx(young_interval_seconds(1, 1e8), rel=1e-3)
    assert daly_interval_seconds(300, 100) == 100


@given(save=st.floats(1, 300), mean=st.floats(10_000, 1e7), factor=st.floats(0.1, 10))
def test_daly_is_the_best_interval(save: float, mean: float, factor: float) -> None:
    rate = FailureRate(mean, save, 60.0)
    best = goodput(daly_interval_seconds(save, mean), rate)
    assert goodput(factor * daly_interval_seconds(save, mean), rate) <= best * (1 + 2e-5)
    assert 0 < best < 1


def test_goodput_against_a_simulation() -> None:
    rate = FailureRate(seconds_between_failures=3600.0, save_seconds=30.0, restart_seconds=120.0)
    interval, generator = 400.0, random.Random(7)
    useful = elapsed = 0.0
    for _ in range(60_000):  # segments of work, each followed by a save; a failure loses the segment
        while True:
            failure = generator.expovariate(1 / rate.seconds_between_failures)
            if failure >= interval + rate.save_seconds:
                elapsed += interval + rate.save_seconds
                useful += interval
                break
            elapsed += failure
            while (again := generator.expovariate(1 / rate.seconds_between_failures)) < rate.restart_seconds:
                elapsed += again
            elapsed += rate.restart_seconds
    assert goodput(interval, rate) == pytest.approx(useful / elapsed, rel=0.005)


def test_hopeless() -> None:
    assert goodput(1e6, FailureRate(1.0, 10.0, 10.0)) == 0.0
