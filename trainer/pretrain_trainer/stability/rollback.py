"""Working out a rollback: where to go back to, what to skip, and what recovery.json says from then on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pretrain_api.names import Reason
from pretrain_api.schedule import BatchSchedule
from pretrain_api.status import RollbackRecord, SequenceRange
from pretrain_api.wire import RollbackRequest
from pretrain_trainer.checkpoint.layout import RecoveryLog
from pretrain_trainer.data.sample_index import SkipList
from pretrain_trainer.ledger import utc_now
from pretrain_trainer.stability.detector import Judgement
from pretrain_trainer.stability.ladder import SequenceSpan, skip_span


@dataclass(frozen=True)
class Spike:
    """A flagged step and what it read."""

    step: int
    loss: float
    judgement: Judgement


def bad_sequences(spike: Spike, schedule: BatchSchedule, skips: SkipList) -> SequenceSpan:
    """Return the range of the global sample index that was read from the onset to the flagged step."""
    first = schedule.sequences_after(spike.judgement.onset_step - 1)
    last = schedule.sequences_after(spike.step) - 1
    index = skips.index_of(np.array([first, last], dtype=np.int64))
    return SequenceSpan(int(index[0]), int(index[1]) + 1)


def plan_rollback(
    spike: Spike,
    resume_step: int,
    schedule: BatchSchedule,
    recovery: RecoveryLog,
    setting: Literal["auto"] | int,
) -> RecoveryLog:
    """Return recovery.json with one more rollback.

    Args:
        spike: Why.
        resume_step: Step of the checkpoint to go back to; 0: the initial state.
        schedule: Steps and sequences.
        recovery: Earlier rollbacks.
        setting: `rollback.skipSequences`.
    """
    skips = SkipList.from_json(recovery.skipped)
    bad = bad_sequences(spike, schedule, skips)
    earlier = [SequenceSpan(r.skipped_sequences.from_, r.skipped_sequences.to) for r in recovery.rollbacks]
    margin = schedule.span_of_step(spike.step - 1).batch_sequences
    span = skip_span(bad, earlier, setting, margin)
    rollback = RollbackRecord(
        time=utc_now(),
        reason=spike.judgement.reason,
        detected_at_step=spike.step,
        resumed_from_step=resume_step,
        skipped_sequences=SequenceRange(**{"from": span.first, "to": span.end}),
        loss=spike.loss,
        baseline=spike.judgement.baseline,
    )
    earlier_rollbacks = [_verdict(r, span) for r in recovery.rollbacks]
    return _with(recovery, [*earlier_rollbacks, rollback], skips.add(span.first, span.end))


def plan_requested_rollback(
    request: RollbackRequest, from_step: int, resume_step: int, schedule: BatchSchedule, recovery: RecoveryLog
) -> RecoveryLog:
    """Return recovery.json with a rollback that a person asks for.

    Args:
        request: What is asked for.
        from_step: Where training was.
        resume_step: Step of the checkpoint to go back to; 0: the initial state.
        schedule: Steps and sequences.
        recovery: Earlier rollbacks.
    """
    skips = SkipList.from_json(recovery.skipped)
    span = requested_skip(request, from_step, resume_step, schedule, skips)
    rollback = RollbackRecord(
        time=utc_now(),
        reason=Reason.REQUESTED_BY_USER,
        detected_at_step=from_step,
        resumed_from_step=resume_step,
        skipped_sequences=SequenceRange(**{"from": span.first, "to": span.end}),
    )
    return _with(close_request(recovery, request), [*recovery.rollbacks, rollback], skips.add(span.first, span.end))


def requested_skip(
    request: RollbackRequest, from_step: int, resume_step: int, schedule: BatchSchedule, skips: SkipList
) -> SequenceSpan:
    """Return the range of the global sample index that a requested rollback skips; may be empty."""
    first = schedule.sequences_after(resume_step)
    count = request.skip_sequences
    if count is None:
        count = schedule.sequences_after(from_step) - first
    # What earlier rollbacks skip doesn't count: that many sequences more are left out.
    index = skips.index_of(np.array([first, first + max(0, count - 1)], dtype=np.int64))
    return SequenceSpan(int(index[0]), int(index[1]) + 1 if count else int(index[0]))


def close_request(recovery: RecoveryLog, request: RollbackRequest) -> RecoveryLog:
    """Return recovery.json that knows of a request as done or refused."""
    return recovery.model_copy(update={"requests": [*recovery.requests, request.id]})


def _with(recovery: RecoveryLog, rollbacks: list[RollbackRecord], skips: SkipList) -> RecoveryLog:
    return recovery.model_copy(update={"rollbacks": rollbacks, "skipped": skips.to_json()})


def _verdict(rollback: RollbackRecord, span: SequenceSpan) -> RollbackRecord:
    """A rollback without a verdict yet, whose skip the new one continues, didn't help."""
    skipped = rollback.skipped_sequences
    continues = skipped.from_ <= span.first <= 2 * skipped.to - skipped.from_
    if rollback.recovered is None and continues:
        return rollback.model_copy(update={"recovered": False})
    return rollback
