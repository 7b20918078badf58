"""Working out a rollback: where to go back to, what to skip, and what recovery.json says from then on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pretrain_api.schedule import BatchSchedule
from pretrain_api.status import RollbackRecord, SequenceRange
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
    return RecoveryLog(
        rollbacks=[*earlier_rollbacks, rollback],
        skipped=skips.add(span.first, span.end).to_json(),
    )


def _verdict(rollback: RollbackRecord, span: SequenceSpan) -> RollbackRecord:
    """A rollback without a verdict yet, whose skip the new one continues, didn't help."""
    skipped = rollback.skipped_sequences
    continues = skipped.from_ <= span.first <= 2 * skipped.to - skipped.from_
    if rollback.recovered is None and continues:
        return rollback.model_copy(update={"recovered": False})
    return rollback
