"""What follows from the end of a generation: try again, and when, or give up, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from pretrain_api.names import Reason
from pretrain_api.wire import NEVER_RETRIED, ExitCode, TerminationMessage
from pretrain_trainer.supervisor.coordinator import EndedGeneration
from pretrain_trainer.supervisor.messages import RankFailure

MAX_RESTARTS_WITHOUT_PROGRESS = 3
"""Restarts in a row that make no step, or can't save any, before we give up (as NVIDIA's resiliency extension does
after 3 cycles)."""
LONGEST_DELAY_SECONDS = 30.0
_REMEDY = "mend the cause and start the job again: it goes on from its newest checkpoint"


class Kind(IntEnum):
    """Causes by how much they explain: a smaller one is the cause where several are there."""

    FATAL = 0
    """Trying again can't help."""
    LEAVING = 1
    """A node was told to stop; free."""
    NODE_LOST = 2
    CRASH = 3
    """A rank died, hung or failed by itself."""
    TEMPORARY = 4
    """Outside the job, such as a full disk; also what a rank says whose peer went away."""
    STOPPED = 5
    """Somebody else sent SIGTERM to a rank; free."""


@dataclass(frozen=True)
class Cause:
    """Why a generation ended."""

    kind: Kind
    reason: str
    message: str
    node_rank: int
    exit_code: int = ExitCode.INTERNAL_ERROR

    @property
    def counted(self) -> bool:
        """Does the restart count against failurePolicy.maxRestarts?"""
        return self.kind not in {Kind.LEAVING, Kind.STOPPED}


@dataclass(frozen=True)
class Restart:
    """Try again."""

    cause: Cause
    delay_seconds: float


@dataclass(frozen=True)
class GiveUp:
    """Fail for good."""

    exit_code: int
    termination: TerminationMessage


@dataclass
class RestartPolicy:
    """`spec.failurePolicy`, and what has happened so far."""

    max_restarts: int
    window_seconds: float
    counted: list[float] = field(default_factory=list)
    """When counted restarts took place, in seconds since the epoch."""
    without_progress: int = 0
    """Restarts in a row of which none made a step."""

    def judge(self, cause: Cause, made_step: bool, time: float) -> Restart | GiveUp:
        """Decide after a generation, and take note of the restart.

        Args:
            cause: Why it ended.
            made_step: Has training gone on in that generation?
            time: Now, in seconds since the epoch.
        """
        if cause.kind is Kind.FATAL:
            return _give_up(cause.exit_code, cause.reason, cause.message)
        self.counted = [past for past in self.counted if time - past < self.window_seconds]
        storage_full = cause.reason == Reason.STORAGE_FULL
        if made_step and not storage_full:  # steps that can't be saved are made again and again
            self.without_progress = 0
        if not cause.counted:
            return Restart(cause, 0.0)
        if self.without_progress >= MAX_RESTARTS_WITHOUT_PROGRESS and (storage_full or cause.kind is Kind.CRASH):
            return self._no_progress(cause)
        if len(self.counted) >= self.max_restarts:
            return self._exhausted(cause)
        delay = min(LONGEST_DELAY_SECONDS, 2.0 ** (self.without_progress - 1)) if self.without_progress else 0.0
        self.without_progress += 1
        self.counted.append(time)
        return Restart(cause, delay)

    def _no_progress(self, cause: Cause) -> GiveUp:
        lacking = "saved nothing" if cause.reason == Reason.STORAGE_FULL else "made no step"
        message = (
            f"{self.without_progress} restarts in a row {lacking}; the last one: {cause.message}; "
            f"look at the log of that rank, {_REMEDY}"
        )
        return _give_up(ExitCode.INTERNAL_ERROR, Reason.NO_PROGRESS, message)

    def _exhausted(self, cause: Cause) -> GiveUp:
        message = (
            f"{len(self.counted)} restarts within {self.window_seconds:.0f} s are used up; the last failure: "
            f"{cause.message}; raise spec.failurePolicy.maxRestarts, or {_REMEDY}"
        )
        return _give_up(ExitCode.INTERNAL_ERROR, Reason.RESTART_BUDGET_EXHAUSTED, message)


def cause_of(ended: EndedGeneration) -> Cause:
    """Return what explains the end best: peers of a rank that died fail too, and often say so first."""
    causes = [_cause_of_failure(failure) for failure in sorted(ended.failures, key=lambda failure: failure.time)]
    causes += [
        Cause(Kind.NODE_LOST, Reason.NODE_LOST, f"node {node} went away without a word", node)
        for node in ended.lost_nodes
    ]
    causes += [
        Cause(Kind.LEAVING, Reason.EVICTED, f"node {node} was told to stop", node) for node in ended.leaving_nodes
    ]
    if not causes:
        message = "all ranks ended, but completed.json isn't there; the log of rank 0 says why"
        return Cause(Kind.CRASH, Reason.RANK_FAILED, message, 0)
    return min(causes, key=lambda cause: cause.kind)


def _cause_of_failure(failure: RankFailure) -> Cause:
    code = ExitCode.INTERNAL_ERROR if failure.exit_code is None else failure.exit_code
    if code in NEVER_RETRIED:
        kind = Kind.FATAL
    elif code == ExitCode.TRY_AGAIN:
        kind = Kind.TEMPORARY
    elif code == ExitCode.STOPPED:
        kind = Kind.STOPPED
    else:
        kind = Kind.CRASH
    return Cause(kind, failure.reason, failure.message, failure.node_rank, code)


def _give_up(exit_code: int, reason: str, message: str) -> GiveUp:
    return GiveUp(exit_code, TerminationMessage(outcome="Failed", reason=reason, message=message))
