"""What of a status is worth a write at once, and events as Kubernetes has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pretrain_api.names import API_VERSION, KIND, ConditionType, Reason, StageState
from pretrain_api.resolve import content_hash
from pretrain_api.status import Condition, DataPreparation, PreparationStage, PretrainJobStatus
from pretrain_operator.planning import Event
from pretrain_operator.planning.conditions import timestamp

COMPONENT = "pretrain-operator"
MAX_EVENT_MESSAGE = 1024
"""The API server takes no longer message."""
_ON_ITS_WAY = frozenset({Reason.PREPARING, Reason.STARTING, Reason.TRAINING, Reason.REPORTING})
"""Reasons of the condition Running for which it doesn't matter whether the pods run by now."""


def differs_in_substance(before: PretrainJobStatus, after: PretrainJobStatus) -> bool:
    """Is there more to tell than figures that have moved on?"""
    return _substance(before) != _substance(after)


def _substance(status: PretrainJobStatus) -> PretrainJobStatus:
    preparation = status.data_preparation or DataPreparation()
    checkpoints = status.checkpoints
    healthy = checkpoints.healthy.step if checkpoints is not None and checkpoints.healthy is not None else None
    return status.model_copy(
        update={
            "data_preparation": preparation.model_copy(
                update={"stages": [_substance_of_stage(stage) for stage in preparation.stages]}
            ),
            "report": _substance_of_stage(status.report) if status.report is not None else None,
            "training": {"begun": status.training is not None, "healthy": healthy is not None},
            "checkpoints": None,
            "conditions": [_substance_of_condition(condition) for condition in status.conditions],
            "goodput": None,
            "fingerprint": None,
        }
    )


def _substance_of_stage(stage: PreparationStage) -> PreparationStage:
    """Whether its pods run already is a figure, too."""
    state = StageState.PENDING if stage.state is StageState.RUNNING else stage.state
    left_out: dict[str, Any] = {"documents_in": None, "documents_out": None, "bytes_in": None, "removed": None}
    if stage.finished_at is None:
        left_out |= {"message": None, "started_at": None}
    return stage.model_copy(update={"completed": 0, "state": state, **left_out})


def _substance_of_condition(condition: Condition) -> Condition:
    if condition.type == ConditionType.RUNNING and condition.reason in _ON_ITS_WAY:
        return condition.model_copy(update={"message": "", "status": "True", "last_transition_time": ""})
    return condition.model_copy(update={"message": ""}) if condition.status == "True" else condition


def is_as_seen(seen: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Is a job, as the API server has it after a write of ours, what was looked at, but for that write?

    Else somebody changed it meanwhile, and the event of this very version may be the one to tell: a write that changes
    nothing makes no version of its own.
    """
    fields = ("uid", "generation", "labels", "annotations", "deletionTimestamp")
    return all(answer["metadata"].get(field) == seen["metadata"].get(field) for field in fields)


def event_manifest(document: dict[str, Any], event: Event, now: datetime) -> dict[str, Any]:
    """Return a v1 Event about a PretrainJob."""
    metadata = document["metadata"]
    moment = timestamp(now)
    unique = content_hash([metadata["uid"], event.reason, event.message, now.isoformat()])[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{unique}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:MAX_EVENT_MESSAGE],
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
    }
