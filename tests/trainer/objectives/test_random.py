"""Counter-based random numbers."""

import numpy as np
import pytest

from pretrain_trainer.objectives.kernels.random import below, choose_sorted, draw, segment, uniform


def test_draws_are_those_of_splitmix64() -> None:
    """The first outputs for the seed 1234567, as published with other implementations."""
    draws = [draw(np.uint64(1234567), counter) for counter in range(3)]
    assert draws == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_integers_are_uniform() -> None:
    counts = np.bincount([below(np.uint64(5), counter, 7) for counter in range(70_000)], minlength=7)
    assert abs(counts - 10_000).max() < 500
    numbers = np.array([uniform(np.uint64(5), counter) for counter in range(10_000)])
    assert numbers.mean() == pytest.approx(0.5, abs=0.015)
    assert numbers.min() >= 0
    assert numbers.max() < 1


def test_every_choice_is_equally_likely() -> None:
    """3 of 6: 20 choices."""
    out = np.empty(3, dtype=np.int64)
    counts: dict[tuple[int, ...], int] = {}
    for key in range(20_000):
        assert choose_sorted(np.uint64(key), 0, 6, 3, out) == 6
        counts[tuple(out)] = counts.get(tuple(out), 0) + 1
    assert len(counts) == 20
    assert all(list(chosen) == sorted(set(chosen)) for chosen in counts)
    assert max(abs(count - 1000) for count in counts.values()) < 5 * 1000**0.5


def test_segments_add_up() -> None:
    out = np.empty(10, dtype=np.int64)
    for key in range(100):
        segment(np.uint64(key), 3, 20, 6, out)
        assert out[:6].sum() == 20
        assert out[:6].min() >= 1
    segment(np.uint64(1), 0, 5, 1, out)
    assert out[0] == 5
