"""What is done about a flagged step, and what a rollback skips. Pure functions of judgements and history."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pretrain_api.names import Reason
from pretrain_api.spec.training import Stability
from pretrain_trainer.stability.detector import Judgement

FLAGGED_STEPS_BEFORE_ROLLBACK = 2
"""A finite spike of a single step is left out; one that lasts leads to a rollback. NaN and infinity do at once."""


class Action(StrEnum):
    """What is done about a step."""

    APPLY = "apply"
    """Apply the update."""
    WITHHOLD = "withhold"
    """Leave the update out and go on."""
    ROLL_BACK = "roll-back"
    """Leave it out, go back to a healthy checkpoint, skip the sequences."""
    PAUSE = "pause"
    """Leave it out, save, stop until somebody has had a look."""


def choose_action(policy: Stability, judgement: Judgement, flagged_streak: int) -> Action:
    """Return what is done about a step.

    Args:
        policy: What the job asks for.
        judgement: What the detector makes of the step.
        flagged_streak: Flagged steps in a row, this one included.
    """
    if not judgement.flagged or policy.on_spike == "ignore":
        return Action.APPLY
    if policy.on_spike == "skip-step":
        return Action.WITHHOLD
    lasting = judgement.reason == Reason.NON_FINITE or flagged_streak >= FLAGGED_STEPS_BEFORE_ROLLBACK
    if not lasting:
        return Action.WITHHOLD
    return Action.ROLL_BACK if policy.on_spike == "rollback" else Action.PAUSE


@dataclass(frozen=True)
class SequenceSpan:
    """Sequences [first, end) of the global sample index."""

    first: int
    end: int

    @property
    def length(self) -> int:
        """Number of sequences."""
        return self.end - self.first


def skip_span(
    bad: SequenceSpan,
    earlier: list[SequenceSpan],
    setting: Literal["auto"] | int,
    margin: int,
) -> SequenceSpan:
    """Return what a rollback skips.

    Args:
        bad: From the first sequence of the onset to the last of the flagged step.
        earlier: What earlier rollbacks skipped, oldest first.
        setting: `rollback.skipSequences`: "auto" skips `bad` and a margin.
        margin: Sequences after `bad` that are skipped as well.

    A spike at the place where an earlier skip ended means that the bad stretch is longer than thought: each time,
    twice as much is skipped as the time before.
    """
    length = bad.length + margin if setting == "auto" else setting
    for span in earlier:
        if span.first - span.length <= bad.first <= span.end + span.length:
            length = max(length, 2 * span.length)
    return SequenceSpan(bad.first, bad.first + length)


def recovered(losses: list[float], baseline: float, spread: float) -> bool:
    """Return whether the losses after a rollback are back at the baseline: their median within 3 deviations of it."""
    middle = sorted(losses)[len(losses) // 2]
    return middle <= baseline + 3.0 * spread
