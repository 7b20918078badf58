"""The heart: what a job needs now, as a pure function of the job, what is seen of it, and the time.

It reads no clock, no network and no files. It is level-triggered: whatever was lost, doubled or reordered before, the
same observation leads to the same plan, and following the plan leads to the same end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pretrain_api.estimates.main_figures import main_figures
from pretrain_api.names import ConditionType, Phase, Reason
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_operator.planning.bounds import bound
from pretrain_operator.planning.children import Child
from pretrain_operator.planning.conditions import get_condition, is_true, parse_timestamp, set_condition, timestamp
from pretrain_operator.planning.events import Event, events_between
from pretrain_operator.planning.failures import Failure
from pretrain_operator.planning.observed import Observed
from pretrain_operator.planning.preparation import prepare
from pretrain_operator.planning.reporting import report
from pretrain_operator.planning.stages import trains
from pretrain_operator.planning.step import Step
from pretrain_operator.planning.training import rollback_request, train


@dataclass(frozen=True)
class Plan:
    """What should be, from now until something changes."""

    children: tuple[Child, ...]
    """All that should run; what isn't listed is to be stopped. Finished stages aren't listed; they may stay."""
    status: PretrainJobStatus
    events: tuple[Event, ...] = ()
    next_look_seconds: float | None = None
    """Look again at the latest then, even if nothing changes; None: no need."""
    settled: bool = False
    """Nothing will change without a change of the job: completed, failed, invalid, or suspended, and all is written."""
    delete_job: bool = False
    """It finished longer ago than ttlSecondsAfterFinished."""


def plan(job: PretrainJob, observed: Observed, now: datetime) -> Plan:
    """Return what `job` needs now.

    Args:
        job: The job as it is wanted.
        observed: All that is seen of it.
        now: The time, with a time zone.
    """
    status = _begin(job, observed.previous, now)
    children, settled = _decide(job, observed, status, now)
    bound(status)
    left = _until_deletion(job, status, now) if settled else _until_deadline(job, status, now)
    return Plan(
        children=children,
        status=status,
        events=events_between(observed.previous, status),
        next_look_seconds=left or None,
        settled=settled,
        delete_job=settled and left == 0.0,
    )


def _until_deletion(job: PretrainJob, status: PretrainJobStatus, now: datetime) -> float | None:
    """Return the seconds until a finished job is to be deleted; None: never."""
    limit = job.spec.ttl_seconds_after_finished
    if limit is None or status.completion_time is None or not _decided(status):
        return None
    return max(0.0, limit - (now - parse_timestamp(status.completion_time)).total_seconds())


def _begin(job: PretrainJob, previous: PretrainJobStatus, now: datetime) -> PretrainJobStatus:
    """Return the status to work on. A changed job that was decided gets a new try, with a budget of its own."""
    status = previous.model_copy(deep=True)
    changed = previous.observed_generation != job.metadata.generation
    status.observed_generation = job.metadata.generation
    if changed:
        status.estimate = None
    if changed and _decided(previous):
        status.phase = Phase.PENDING
        status.completion_time = None
        status.report = None
        status.restarts.recent = []
        for kind in (ConditionType.COMPLETE, ConditionType.FAILED):
            if is_true(previous, kind):
                set_condition(status, kind, False, Reason.RESUMED, "the job was changed", now)
    if status.start_time is None:
        status.start_time = timestamp(now)
    return status


def _decided(status: PretrainJobStatus) -> bool:
    return is_true(status, ConditionType.COMPLETE) or is_true(status, ConditionType.FAILED)


def _decide(
    job: PretrainJob, observed: Observed, status: PretrainJobStatus, now: datetime
) -> tuple[tuple[Child, ...], bool]:
    """Write `status`; return the children, and whether all is settled."""
    if is_true(status, ConditionType.COMPLETE):
        return (), True
    failed = get_condition(status, ConditionType.FAILED)
    if failed is not None and failed.status == "True":
        return _report_failure(job, observed, status, failed.reason, now)
    if observed.problems:
        return _refuse(observed, status, now)
    _accept(job, status, now)
    step = _advance(job, observed, status, now)
    if step is None:
        _show_data(job, status, None, now)
        return _complete(job, observed, status, now)
    _show_data(job, status, step, now)
    if job.spec.suspend or step.paused is not None:
        return _suspend(observed, status, step, now)
    _resume(status, now)
    failure = step.failure or _deadline(job, status, now)
    if failure is not None:
        return _fail(job, observed, status, failure, now)
    status.phase = step.phase
    set_condition(status, ConditionType.RUNNING, step.running, step.reason, step.message, now)
    return step.children, False


def _accept(job: PretrainJob, status: PretrainJobStatus, now: datetime) -> None:
    """A wrong annotation is told, and ignored: it is no reason to stop a training."""
    if status.estimate is None and trains(job):
        status.estimate = main_figures(job)
    request = rollback_request(job)
    if isinstance(request, str):
        set_condition(status, ConditionType.VALID, True, Reason.INVALID_ANNOTATION, request, now)
    else:
        set_condition(status, ConditionType.VALID, True, Reason.ACCEPTED, "", now)


def _advance(job: PretrainJob, observed: Observed, status: PretrainJobStatus, now: datetime) -> Step | None:
    """Return the step the job is in; None when only the report is left."""
    step = prepare(job, observed, status, now)
    if step is None and trains(job):
        step = train(job, observed, status, now)
    return step


def _show_data(job: PretrainJob, status: PretrainJobStatus, step: Step | None, now: datetime) -> None:
    preparing = step is not None and step.phase is Phase.PREPARING
    if step is not None and preparing and step.failure is not None:
        set_condition(status, ConditionType.DATA_READY, False, step.failure.reason, step.failure.message, now)
    elif preparing:
        set_condition(status, ConditionType.DATA_READY, False, Reason.PREPARING, "", now)
    else:
        set_condition(status, ConditionType.DATA_READY, True, Reason.PREPARED, "the data is prepared", now)


def _refuse(observed: Observed, status: PretrainJobStatus, now: datetime) -> tuple[tuple[Child, ...], bool]:
    """Nothing starts; what runs already goes on being wanted by nobody."""
    set_condition(status, ConditionType.VALID, False, Reason.INVALID_SPEC, "\n".join(observed.problems), now)
    set_condition(status, ConditionType.RUNNING, False, Reason.INVALID_SPEC, "", now)
    status.phase = Phase.PENDING
    return (), True


def _suspend(
    observed: Observed, status: PretrainJobStatus, step: Step, now: datetime
) -> tuple[tuple[Child, ...], bool]:
    stopping = observed.trainer.active or any(stage.active for stage in observed.stages.values())
    why = step.paused or Failure(Reason.SUSPENDED, "")
    status.phase = Phase.SUSPENDING if stopping else Phase.SUSPENDED
    set_condition(status, ConditionType.RUNNING, stopping, why.reason, why.message, now)
    set_condition(status, ConditionType.SUSPENDED, True, why.reason, why.message, now)
    return (), not stopping


def _resume(status: PretrainJobStatus, now: datetime) -> None:
    suspended = get_condition(status, ConditionType.SUSPENDED)
    if suspended is not None and suspended.status == "True":
        since = parse_timestamp(suspended.last_transition_time)
        status.suspended_seconds += max(0.0, (now - since).total_seconds())
    reason = Reason.RESUMED if suspended is not None else Reason.ACCEPTED
    if suspended is None or suspended.status == "True":
        set_condition(status, ConditionType.SUSPENDED, False, reason, "", now)


def _until_deadline(job: PretrainJob, status: PretrainJobStatus, now: datetime) -> float | None:
    limit = job.spec.active_deadline_seconds
    if limit is None or status.start_time is None or is_true(status, ConditionType.SUSPENDED):
        return None
    lived = (now - parse_timestamp(status.start_time)).total_seconds() - status.suspended_seconds
    return max(0.0, limit - lived)


def _deadline(job: PretrainJob, status: PretrainJobStatus, now: datetime) -> Failure | None:
    if _until_deadline(job, status, now) != 0.0:
        return None
    text = (
        f"the job has lived longer than activeDeadlineSeconds={job.spec.active_deadline_seconds}; "
        "raise it to go on from the newest checkpoint"
    )
    return Failure(Reason.DEADLINE_EXCEEDED, text)


def _complete(
    job: PretrainJob, observed: Observed, status: PretrainJobStatus, now: datetime
) -> tuple[tuple[Child, ...], bool]:
    step = report(job, observed, status, Reason.COMPLETED, now)
    if step is not None and job.spec.suspend:
        return _suspend(observed, status, step, now)
    _resume(status, now)
    if step is not None:
        status.phase = step.phase if step.phase not in (Phase.SUSPENDED, Phase.SUSPENDING) else _last_phase(job)
        set_condition(status, ConditionType.RUNNING, step.running, step.reason, step.message, now)
        return step.children, False
    status.phase = Phase.COMPLETED
    status.completion_time = status.completion_time or timestamp(now)
    set_condition(status, ConditionType.RUNNING, False, Reason.COMPLETED, "", now)
    set_condition(status, ConditionType.COMPLETE, True, Reason.COMPLETED, "", now)
    return (), True


def _last_phase(job: PretrainJob) -> Phase:
    return Phase.TRAINING if trains(job) else Phase.PREPARING


def _fail(
    job: PretrainJob, observed: Observed, status: PretrainJobStatus, failure: Failure, now: datetime
) -> tuple[tuple[Child, ...], bool]:
    status.phase = Phase.FAILED
    status.completion_time = status.completion_time or timestamp(now)
    set_condition(status, ConditionType.RUNNING, False, failure.reason, "", now)
    set_condition(status, ConditionType.FAILED, True, failure.reason, failure.message, now)
    return _report_failure(job, observed, status, failure.reason, now)


def _report_failure(
    job: PretrainJob, observed: Observed, status: PretrainJobStatus, reason: str, now: datetime
) -> tuple[tuple[Child, ...], bool]:
    """The outcome stands; the report tells how far the job came."""
    step = report(job, observed, status, reason, now)
    return (step.children, False) if step is not None else ((), True)
