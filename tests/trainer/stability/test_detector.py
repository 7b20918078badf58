from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.spec.training import Spike
from pretrain_trainer.stability.detector import SpikeDetector

SETTINGS = Spike(window=64, threshold=6.0, warmup_steps=50, healthy_after_steps=20)


def learning_curve(random: np.random.Generator, steps: int, noise: float, heavy: bool) -> tuple[np.ndarray, np.ndarray]:
    """A loss that falls as a power of the step with noise that halves at a batch stage, and a gradient norm that
    jumps."""
    step = np.arange(1, steps + 1)
    start, end = random.uniform(7, 11), random.uniform(1.5, 4)
    loss = end + (start - end) * (1 + step / random.uniform(2, 30)) ** -random.uniform(0.25, 0.6)
    draws = random.standard_t(5, steps) / math.sqrt(5 / 3) if heavy else random.standard_normal(steps)
    scale = np.where(step < random.integers(50, steps), noise, noise / 2)
    norm = (
        random.uniform(0.3, 2)
        * (1 + 5 * np.exp(-step / 30))
        * np.exp(random.uniform(0.1, 0.5) * random.standard_normal(steps))
    )
    return loss + scale * draws, norm


def observe_all(detector: SpikeDetector, losses: np.ndarray, norms: np.ndarray) -> list[int]:
    return [
        step
        for step, (loss, norm) in enumerate(zip(losses, norms, strict=True), 1)
        if detector.observe(step, float(loss), float(norm)).flagged
    ]


def test_learning_curves_raise_no_alarm() -> None:
    """40,000 steps of 40 curves: at most one flagged step in 5,000, and never two in a row, which a rollback takes."""
    random = np.random.default_rng(0)
    alarms = []
    for _ in range(40):
        losses, norms = learning_curve(random, 1000, 10 ** random.uniform(-2.3, -0.7), bool(random.integers(2)))
        alarms.append(observe_all(SpikeDetector(SETTINGS), losses, norms))
    assert sum(map(len, alarms)) <= 8
    assert not any(after - before == 1 for flagged in alarms for before, after in itertools.pairwise(flagged))


@pytest.mark.parametrize("rise_steps", [1, 3, 8])
def test_spikes_are_found_with_their_onset(rise_steps: int) -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        losses, norms = learning_curve(random, 500, 0.02, heavy=False)
        losses[300:] += 1.5 * np.minimum(1, np.arange(1, 201) / rise_steps)
        detector = SpikeDetector(SETTINGS)
        judgements = [
            detector.observe(step, float(loss), float(norm))
            for step, (loss, norm) in enumerate(zip(losses, norms, strict=True), 1)
        ]
        first = next(step for step, judgement in enumerate(judgements, 1) if judgement.flagged)
        assert 301 <= first <= 300 + rise_steps
        lasting = judgements[first]
        assert lasting.flagged
        assert abs(lasting.onset_step - 301) <= 1


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (3.0, math.nan), (3.0, math.inf)])
def test_what_is_not_finite_is_noticed_from_the_first_step(loss: float, norm: float) -> None:
    judgement = SpikeDetector(SETTINGS).observe(1, loss, norm)
    assert judgement.flagged
    assert judgement.reason == "NonFinite"


def test_a_nan_does_not_blind_the_detector() -> None:
    losses, norms = learning_curve(np.random.default_rng(2), 300, 0.02, heavy=False)
    losses[200] = math.nan
    detector = SpikeDetector(SETTINGS)
    assert observe_all(detector, losses, norms) == [201]
    assert detector.observe(301, float(losses[-1]) + 1.0, float(norms[-1])).flagged


def test_flagged_readings_do_not_become_normal() -> None:
    losses, norms = learning_curve(np.random.default_rng(3), 200, 0.02, heavy=False)
    detector = SpikeDetector(SETTINGS)
    observe_all(detector, losses, norms)
    assert all(detector.observe(201 + i, 9.0, 1.0).flagged for i in range(500))
    detector.accept_new_level()
    assert not detector.observe(701, 9.0, 1.0).flagged


def test_the_clean_steps_before_a_spike_are_known() -> None:
    detector = SpikeDetector(SETTINGS)
    steps = [*range(1, 41), *range(42, 101)]  # step 41 comes in between, and isn't finite
    for step in steps:
        if step == 42:
            detector.observe(41, math.nan, 1.0)
        detector.observe(step, 3.0 + 0.01 * (step % 3), 1.0)
    for step in (101, 102):
        assert detector.observe(step, 9.0, 1.0).flagged
    assert detector.clean_streak == 0
    assert detector.clean_streak_before(101, 102) == 100 - 41
    assert detector.clean_streak_before(99, 102) == 98 - 41  # the loss was on its way up two steps earlier
    restored = SpikeDetector(SETTINGS)
    restored.load_state_dict(detector.state_dict())
    assert restored.clean_streak_before(101, 102) == 100 - 41


def test_a_gradient_spike_alone_is_noticed() -> None:
    losses, norms = learning_curve(np.random.default_rng(4), 200, 0.02, heavy=False)
    detector = SpikeDetector(SETTINGS)
    observe_all(detector, losses, norms)
    judgement = detector.observe(201, float(losses[-1]), 1e4)
    assert judgement.flagged
    assert judgement.reason == "GradientSpike"


def test_nothing_is_judged_during_the_warm_up() -> None:
    detector = SpikeDetector(SETTINGS)
    assert not any(detector.observe(step, 3.0 if step % 7 else 30.0, 1.0).flagged for step in range(1, 50))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), cut=st.integers(1, 299))
def test_the_state_goes_with_the_checkpoint(seed: int, cut: int) -> None:
    random = np.random.default_rng(seed)
    losses, norms = learning_curve(random, 300, 0.02, heavy=True)
    losses[random.integers(0, 300, 5)] += random.choice([1.0, math.nan], 5)
    whole, first, second = SpikeDetector(SETTINGS), SpikeDetector(SETTINGS), SpikeDetector(SETTINGS)
    for step in range(300):
        reading = (step + 1, float(losses[step]), float(norms[step]))
        expected = whole.observe(*reading)
        if step == cut:
            second.load_state_dict(first.state_dict())
        found = (first if step < cut else second).observe(*reading)
        assert repr(found) == repr(expected)
    assert second.state_dict() == whole.state_dict()
