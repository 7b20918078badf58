"""Events: what is worth telling about the way from one status to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pretrain_api.names import ConditionType, Phase, Reason, StageState
from pretrain_api.status import PreparationStage, PretrainJobStatus
from pretrain_operator.planning.conditions import get_condition, is_true


@dataclass(frozen=True)
class Event:
    """An event as Kubernetes has them."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    progress: bool = False
    """Whether the status tells it as well: a log has it, the API server isn't asked to keep it."""


TRIED_AGAIN = "(tried again soon)"
"""Ends the message of a stage that waits before it tries a work item again."""

_CONDITIONS: dict[tuple[ConditionType, str], Literal["Normal", "Warning"]] = {
    (ConditionType.VALID, "False"): "Warning",
    (ConditionType.DATA_READY, "True"): "Normal",
    (ConditionType.SUSPENDED, "True"): "Normal",
    (ConditionType.COMPLETE, "True"): "Normal",
    (ConditionType.FAILED, "True"): "Warning",
}
TROUBLES = frozenset(
    {
        Reason.IMAGE_PULL_FAILED,
        Reason.UNSCHEDULABLE,
        Reason.MISSING_CLAIM,
        Reason.UNBOUND_CLAIM,
        Reason.CONTAINER_CREATION_FAILED,
        Reason.POD_CREATION_FAILED,
        Reason.VOLUME_MOUNT_FAILED,
        Reason.NOT_AVAILABLE,
    }
)
"""Reasons of the condition Running that a person may have to do something about."""
_PHASES = {
    Phase.PREPARING: Reason.PREPARING,
    Phase.STARTING: Reason.STARTING,
    Phase.TRAINING: Reason.TRAINING,
    Phase.RESCALING: Reason.RESCALING,
}


def events_between(before: PretrainJobStatus, after: PretrainJobStatus) -> tuple[Event, ...]:
    """Return the events of a change of status; none for equal ones."""
    return (
        *_stage_events(before, after),
        *_restart_events(before, after),
        *_rollback_events(before, after),
        *_refused_rollback_events(before, after),
        *_condition_events(before, after),
        *_warning_events(before, after),
        *_phase_events(before, after),
    )


def _stage_events(before: PretrainJobStatus, after: PretrainJobStatus) -> list[Event]:
    events = []
    old = {stage.name: stage for stage in _stages(before)}
    for stage in _stages(after):
        was = old.get(stage.name, PreparationStage(name=stage.name))
        if stage.redone > was.redone:
            text = f"{stage.name}: its output is gone from the storage; it is done again"
            events.append(Event("Warning", Reason.MISSING_OUTPUT, text))
        if stage.message and stage.message != was.message and stage.message.endswith(TRIED_AGAIN):
            events.append(Event("Warning", Reason.TEMPORARY_FAILURE, stage.message))
        if stage.state is was.state or stage.state is StageState.PENDING:
            continue
        if stage.state is StageState.FAILED:
            reason = Reason.REPORT_FAILED if stage.name == "report" else Reason.PREPARATION_FAILED
            events.append(Event("Warning", reason, stage.message or f"{stage.name} failed"))
        elif stage.state is StageState.SUCCEEDED:
            events.append(Event("Normal", Reason.PREPARED, f"{stage.name}: done{_flow(stage)}", progress=True))
        else:
            events.append(Event("Normal", Reason.PREPARING, f"{stage.name}: started", progress=True))
    return events


def _stages(status: PretrainJobStatus) -> list[PreparationStage]:
    stages = status.data_preparation.stages if status.data_preparation is not None else []
    return [*stages, status.report] if status.report is not None else stages


def _flow(stage: PreparationStage) -> str:
    # Not every stage counts documents.
    if not stage.documents_in or stage.documents_out is None:
        return ""
    return f", {stage.documents_in:,} documents in, {stage.documents_out:,} out"


def _restart_events(before: PretrainJobStatus, after: PretrainJobStatus) -> list[Event]:
    last = after.restarts.last
    if last is None or after.restarts.total <= before.restarts.total:
        return []
    return [Event("Warning", last.reason, last.message or "the trainer was restarted")]


def _rollback_events(before: PretrainJobStatus, after: PretrainJobStatus) -> list[Event]:
    known = {(record.time, record.detected_at_step) for record in before.rollbacks}
    return [
        Event(
            "Warning",
            record.reason,
            f"rolled back from step {record.detected_at_step} to step {record.resumed_from_step}, "
            f"skipping sequences {record.skipped_sequences.from_} to {record.skipped_sequences.to}",
        )
        for record in after.rollbacks
        if (record.time, record.detected_at_step) not in known
    ]


def _refused_rollback_events(before: PretrainJobStatus, after: PretrainJobStatus) -> list[Event]:
    refused, known = after.refused_rollback, before.refused_rollback
    if refused is None or (known is not None and known.id == refused.id):
        return []
    return [Event("Warning", Reason.ROLLBACK_REFUSED, refused.message)]


def _condition_events(before: PretrainJobStatus, after: PretrainJobStatus) -> list[Event]:
    events = []
    for (kind, value), event_type in _CONDITIONS.items():
        now, was = get_condition(after, kind), get_condition(before, kind)
        if now is not None and now.status == value and (was is None or was.status != value):
            events.append(Event(event_type, now.reason, now.message or now.reason))
    if is_true(before, ConditionType.SUSPENDED) and not is_true(after, ConditionType.SUSPENDED):
        events.append(Event("Normal", Reason.RESUMED, "the job goes on"))
    return events


def _warning_events(before: PretrainJobStatus, after: PretrainJobStatus) -> list[Event]:
    """Tell of a trouble, or an annotation that makes no sense, when it begins."""
    events = []
    kinds = ((ConditionType.RUNNING, TROUBLES), (ConditionType.VALID, frozenset({Reason.INVALID_ANNOTATION})))
    for kind, reasons in kinds:
        now, was = get_condition(after, kind), get_condition(before, kind)
        if now is not None and now.reason in reasons and (was is None or was.reason != now.reason):
            events.append(Event("Warning", now.reason, now.message or now.reason))
    return events


def _phase_events(before: PretrainJobStatus, after: PretrainJobStatus) -> list[Event]:
    if after.phase is before.phase or after.phase not in _PHASES:
        return []
    follows = before.phase is Phase.PREPARING and after.phase is Phase.STARTING
    return [Event("Normal", _PHASES[after.phase], f"phase {after.phase}", progress=follows)]
