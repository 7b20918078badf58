"""Batch stages and learning rate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.schedule import annealing_start, batch_factor, batch_schedule, learning_rate_at
from pretrain_api.spec.training import LearningRate, Training


def make_training(tokens: int, sequence_length: int, stages: list[tuple[int, int]]) -> Training:
    return Training.model_validate(
        {
            "tokens": tokens,
            "sequenceLength": sequence_length,
            "batch": {"stages": [{"tokens": size, "from": start} for size, start in stages]},
            "learningRate": {"peak": 1e-3},
        }
    )


@st.composite
def trainings(draw: st.DrawFn) -> Training:
    sequence_length = draw(st.integers(8, 300))
    total = draw(st.integers(1, 2_000_000))
    starts = sorted(draw(st.lists(st.integers(1, 3_000_000), max_size=5, unique=True)))
    sizes = draw(st.lists(st.integers(1, 500), min_size=len(starts) + 1, max_size=len(starts) + 1))
    stages = [(size * sequence_length, start) for size, start in zip(sizes, [0, *starts], strict=True)]
    return make_training(total, sequence_length, stages)


@given(trainings())
def test_stages_are_contiguous_and_start_where_they_should(training: Training) -> None:
    schedule = batch_schedule(training)
    step = sequence = 0
    for span in schedule.spans:
        assert (span.first_step, span.first_sequence) == (step, sequence)
        assert span.num_steps > 0
        start = training.batch.stages[span.index].from_
        consumed = sequence * training.sequence_length
        # The first step that begins at or after `from`: the step before began earlier.
        assert consumed >= start
        if span.first_step:
            before = schedule.span_of_step(span.first_step - 1)
            assert consumed - before.batch_tokens < start
        step += span.num_steps
        sequence += span.num_steps * span.batch_sequences
    assert (schedule.total_steps, schedule.total_sequences) == (step, sequence)


@given(trainings())
def test_the_run_is_rounded_up_to_a_whole_batch(training: Training) -> None:
    schedule = batch_schedule(training)
    assert training.tokens <= schedule.total_tokens < training.tokens + schedule.spans[-1].batch_tokens


@given(trainings(), st.data())
def test_steps_and_sequences_are_inverse(training: Training, data: st.DataObject) -> None:
    schedule = batch_schedule(training)
    step = data.draw(st.integers(0, schedule.total_steps - 1))
    first, end = schedule.sequences_after(step), schedule.sequences_after(step + 1)
    assert end - first == schedule.span_of_step(step).batch_sequences
    assert schedule.step_of_sequence(first) == step
    assert schedule.step_of_sequence(end - 1) == step


def test_gpt3_ramp() -> None:
    # Brown et al. 2020, table 2.1 and appendix B: 32 K to 3.2 M tokens over the first 12 B tokens, 300 B in all.
    training = make_training(300_000_000_000, 2048, [(32_768, 0), (1_048_576, 4_000_000_000), (3_276_800, 12 * 10**9)])
    schedule = batch_schedule(training)
    assert [span.batch_sequences for span in schedule.spans] == [16, 512, 1600]
    assert [span.num_steps for span in schedule.spans] == [122_071, 7_630, 87_891]
    assert schedule.total_steps == 217_592


def test_a_batch_that_cuts_a_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 100"):
        batch_schedule(make_training(1000, 100, [(150, 0)]))


def rate(**fields: Any) -> LearningRate:
    return LearningRate.model_validate({"peak": 0.5, "floor": 0.1, **fields})


def share_of_peak(schedule: LearningRate, tokens: int, total_tokens: int) -> float:
    return learning_rate_at(schedule, tokens, total_tokens) / schedule.peak


@st.composite
def rates(draw: st.DrawFn) -> tuple[LearningRate, int]:
    total = draw(st.integers(2, 10**9))
    warmup = draw(st.integers(0, total - 1))
    shape = draw(st.sampled_from(["cosine", "linear", "constant", "inverse-sqrt", "wsd"]))
    if shape == "inverse-sqrt":
        warmup = max(1, warmup)
    return rate(warmupTokens=warmup, decay=shape, floor=draw(st.floats(0, 1))), total


@settings(max_examples=300)
@given(rates(), st.data())
def test_learning_rate_falls_from_peak_to_floor(case: tuple[LearningRate, int], data: st.DataObject) -> None:
    schedule, total = case
    tokens = data.draw(st.integers(schedule.warmup_tokens, 2 * total))
    value = share_of_peak(schedule, tokens, total)
    assert schedule.floor - 1e-12 <= value <= 1
    assert share_of_peak(schedule, tokens + 1, total) <= value + 1e-12


@settings(max_examples=300)
@given(rates(), st.data())
def test_learning_rate_is_continuous(case: tuple[LearningRate, int], data: st.DataObject) -> None:
    schedule, total = case
    tokens = data.draw(st.integers(0, 2 * total))
    step = abs(share_of_peak(schedule, tokens + 1, total) - share_of_peak(schedule, tokens, total))
    # The steepest slopes: the warm-up's, and pi/2 of the decay's mean; of wsd the last part's.
    length = total - (annealing_start(schedule, total) if schedule.decay == "wsd" else schedule.warmup_tokens)
    slopes = [2 / max(1, length), 1 / max(1, schedule.warmup_tokens)]
    assert step <= max(slopes) + 1e-12


def test_learning_rate_at_known_points() -> None:
    cosine = rate(warmupTokens=100)
    assert share_of_peak(cosine, 0, 1100) == 0
    assert share_of_peak(cosine, 50, 1100) == 0.5
    assert share_of_peak(cosine, 100, 1100) == 1
    assert share_of_peak(cosine, 600, 1100) == pytest.approx(0.55)
    assert share_of_peak(cosine, 1100, 1100) == pytest.approx(0.1)
    assert share_of_peak(cosine, 5000, 1100) == pytest.approx(0.1)
    linear = rate(warmupTokens=100, decay="linear", decayTokens=300)
    assert share_of_peak(linear, 200, 1100) == pytest.approx(0.55)
    assert share_of_peak(linear, 300, 1100) == pytest.approx(0.1)
    assert share_of_peak(rate(decay="constant"), 10**9, 1100) == 1


def test_warmup_stable_decay_at_known_points() -> None:
    schedule = rate(warmupTokens=100, decay="wsd", annealTokens=200)
    assert share_of_peak(schedule, 50, 1000) == 0.5
    assert share_of_peak(schedule, 100, 1000) == share_of_peak(schedule, 800, 1000) == 1
    assert share_of_peak(schedule, 900, 1000) == pytest.approx(0.55)
    assert share_of_peak(schedule, 1000, 1000) == share_of_peak(schedule, 3000, 1000) == pytest.approx(0.1)
    root = rate(decay="wsd", annealTokens=200, annealShape="1-sqrt")
    assert share_of_peak(root, 850, 1000) == pytest.approx(0.1 + 0.9 * 0.5)
    assert annealing_start(rate(decay="wsd"), 1000) == 900  # a tenth


def test_inverse_square_root_at_known_points() -> None:
    schedule = rate(warmupTokens=100, decay="inverse-sqrt")
    assert share_of_peak(schedule, 100, 1000) == 1
    assert share_of_peak(schedule, 400, 1000) == pytest.approx(0.5)
    assert share_of_peak(schedule, 10**9, 1000) == pytest.approx(0.1)  # the floor


@given(st.sampled_from(["cosine", "linear", "constant", "inverse-sqrt", "wsd"]), st.integers(0, 2_000_000))
def test_batch_stages_do_not_bend_the_rate(decay: str, tokens: int) -> None:
    """It is a function of tokens: one stage or several, the rate after as many tokens is the same."""
    schedule = rate(warmupTokens=1000, decay=decay)
    one = batch_schedule(make_training(2_000_000, 100, [(1000, 0)]))
    ramp = batch_schedule(make_training(2_000_000, 100, [(1000, 0), (5000, 500_000)]))
    rates = [
        {
            plan.sequences_after(step) * 100: learning_rate_at(schedule, plan.sequences_after(step) * 100, 2_000_000)
            for step in range(0, plan.total_steps, 7)
        }
        for plan in (one, ramp)
    ]
    shared = rates[0].keys() & rates[1].keys()
    assert len(shared) > 10
    assert all(rates[0][place] == rates[1][place] for place in shared)
    assert learning_rate_at(schedule, tokens, 2_000_000) > 0 or tokens == 0


def test_the_rate_may_grow_with_the_batch() -> None:
    assert batch_factor(rate(), 400, 100) == 1
    assert batch_factor(rate(batchScaling="sqrt"), 400, 100) == 2
    assert batch_factor(rate(batchScaling="linear"), 400, 100) == 4
    assert batch_factor(rate(batchScaling="sqrt"), 100, 100) == 1
