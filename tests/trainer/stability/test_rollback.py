from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.schedule import batch_schedule
from pretrain_api.spec.training import Stability, Training
from pretrain_api.wire import RollbackRequest
from pretrain_trainer.checkpoint.layout import RecoveryLog
from pretrain_trainer.stability.detector import Judgement
from pretrain_trainer.stability.ladder import Action, SequenceSpan, choose_action, skip_span
from pretrain_trainer.stability.rollback import Spike, plan_requested_rollback, plan_rollback

SCHEDULE = batch_schedule(
    Training.model_validate(
        {
            "tokens": 80_000,
            "sequenceLength": 10,
            "batch": {"stages": [{"tokens": 40, "from": 0}, {"tokens": 80, "from": 400}]},
            "learningRate": {"peak": 1e-3},
        }
    )
)


def judgement(reason: str = "LossSpike", onset_step: int = 20) -> Judgement:
    return Judgement(bool(reason), reason, 3.0, math.inf if reason == "NonFinite" else 9.0, onset_step)


@pytest.mark.parametrize(
    ("on_spike", "reason", "streak", "expected"),
    [
        ("rollback", "", 0, Action.APPLY),
        ("rollback", "LossSpike", 1, Action.WITHHOLD),
        ("rollback", "LossSpike", 2, Action.ROLL_BACK),
        ("rollback", "NonFinite", 1, Action.ROLL_BACK),
        ("skip-step", "LossSpike", 9, Action.WITHHOLD),
        ("skip-step", "NonFinite", 1, Action.WITHHOLD),
        ("pause", "LossSpike", 1, Action.WITHHOLD),
        ("pause", "GradientSpike", 2, Action.PAUSE),
        ("ignore", "NonFinite", 5, Action.APPLY),
    ],
)
def test_the_ladder(on_spike: str, reason: str, streak: int, expected: Action) -> None:
    assert choose_action(Stability(on_spike=on_spike), judgement(reason), streak) is expected  # type: ignore[arg-type]


def test_a_rollback_skips_from_the_onset_to_the_flagged_step_and_a_batch_more() -> None:
    recovery = plan_rollback(Spike(21, 9.0, judgement(onset_step=20)), 15, SCHEDULE, RecoveryLog(), "auto")
    (rollback,) = recovery.rollbacks
    # Step 20 begins after 10 steps of 4 sequences and 9 of 8; step 21 ends 16 sequences later.
    assert (rollback.skipped_sequences.from_, rollback.skipped_sequences.to) == (112, 112 + 16 + 8)
    assert recovery.skipped == [[112, 136]]
    assert rollback.resumed_from_step == 15
    assert rollback.recovered is None


def test_a_given_number_of_sequences_is_skipped() -> None:
    recovery = plan_rollback(Spike(21, 9.0, judgement(onset_step=20)), 15, SCHEDULE, RecoveryLog(), 500)
    assert recovery.skipped == [[112, 612]]


def test_repeated_spikes_at_one_place_skip_twice_as_much_each_time() -> None:
    recovery = RecoveryLog()
    lengths = []
    for _ in range(4):
        # After the skip the same step reads what comes next, and that is bad as well.
        recovery = plan_rollback(Spike(21, 9.0, judgement(onset_step=20)), 15, SCHEDULE, recovery, "auto")
        skipped = recovery.rollbacks[-1].skipped_sequences
        lengths.append(skipped.to - skipped.from_)
    assert lengths == [24, 48, 96, 192]
    assert recovery.skipped == [[112, 112 + sum(lengths)]]
    assert [rollback.recovered for rollback in recovery.rollbacks] == [False, False, False, None]


def test_a_spike_elsewhere_starts_afresh() -> None:
    recovery = plan_rollback(Spike(21, 9.0, judgement(onset_step=20)), 15, SCHEDULE, RecoveryLog(), "auto")
    recovery = plan_rollback(Spike(900, 9.0, judgement(onset_step=900)), 890, SCHEDULE, recovery, "auto")
    skipped = recovery.rollbacks[-1].skipped_sequences
    assert skipped.to - skipped.from_ == 16
    assert recovery.rollbacks[0].recovered is None


@given(
    bad=st.tuples(st.integers(0, 1000), st.integers(1, 100)),
    earlier=st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 100)), max_size=5),
    margin=st.integers(1, 50),
)
def test_a_skip_covers_what_was_bad(bad: tuple[int, int], earlier: list[tuple[int, int]], margin: int) -> None:
    span = SequenceSpan(bad[0], sum(bad))
    found = skip_span(span, [SequenceSpan(first, first + length) for first, length in earlier], "auto", margin)
    assert found.first == span.first
    assert found.end >= span.end + margin


def test_checkpoints_on_the_way_that_was_left_do_not_survive() -> None:
    recovery = plan_rollback(Spike(21, 9.0, judgement()), 15, SCHEDULE, RecoveryLog(), "auto")
    recovery = plan_rollback(Spike(41, 9.0, judgement(onset_step=40)), 35, SCHEDULE, recovery, "auto")
    assert recovery.survives(15, 0)
    assert not recovery.survives(20, 0)
    assert recovery.survives(35, 1)
    assert not recovery.survives(40, 1)
    assert recovery.survives(40, 2)


def requested(to_step: int, skip_sequences: int | None) -> RollbackRequest:
    return RollbackRequest(id="a", to_step=to_step, skip_sequences=skip_sequences)


@pytest.mark.parametrize(
    ("skip_sequences", "skipped"),
    [
        (None, (80, 120)),  # 10 steps of 4 sequences, then steps of 8: step 15 ends after 80, step 20 after 120
        (0, (80, 80)),
        (100, (80, 180)),
    ],
)
def test_a_requested_rollback_skips_what_is_asked_for(skip_sequences: int | None, skipped: tuple[int, int]) -> None:
    recovery = plan_requested_rollback(requested(17, skip_sequences), 20, 15, SCHEDULE, RecoveryLog())
    (rollback,) = recovery.rollbacks
    assert (rollback.skipped_sequences.from_, rollback.skipped_sequences.to) == skipped
    assert recovery.skipped == ([list(skipped)] if skip_sequences != 0 else [])
    assert (rollback.reason, rollback.detected_at_step, rollback.resumed_from_step) == ("RequestedByUser", 20, 15)
    assert recovery.requests == ["a"]
    assert recovery.automatic == []


@given(st.integers(1, 300), st.integers(0, 200), st.integers(0, 400), st.integers(1, 50))
def test_a_requested_skip_leaves_out_as_many_as_asked_beside_what_is_left_out_already(
    count: int, resume: int, hole: int, width: int
) -> None:
    before = RecoveryLog(skipped=[[hole, hole + width]])
    after = plan_requested_rollback(requested(resume, count), resume + 9, resume, SCHEDULE, before)
    left_out = {index for first, end in after.skipped for index in range(first, end)}
    assert len(left_out - set(range(hole, hole + width))) == count
    assert min(left_out - set(range(hole, hole + width))) >= SCHEDULE.sequences_after(resume)


def test_automatic_rollbacks_keep_the_requests() -> None:
    recovery = plan_requested_rollback(requested(15, 0), 20, 15, SCHEDULE, RecoveryLog())
    recovery = plan_rollback(Spike(41, 9.0, judgement(onset_step=40)), 35, SCHEDULE, recovery, "auto")
    assert recovery.requests == ["a"]
    assert [rollback.reason for rollback in recovery.automatic] == ["LossSpike"]
