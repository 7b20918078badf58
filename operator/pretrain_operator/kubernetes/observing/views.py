"""What is kept of an object: small, parsed once, so that thousands of jobs fit into little memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from pretrain_api.names import ANNOTATION_CONFIGURATION, ANNOTATION_REVISION, LABEL_COMPONENT, Reason
from pretrain_api.wire import TerminationMessage

Object = Mapping[str, Any]

_INDEX_LABELS = ("batch.kubernetes.io/job-completion-index", "apps.kubernetes.io/pod-index")
_FAILURES_ANNOTATION = "batch.kubernetes.io/job-index-failure-count"
_NEVER_STARTED = frozenset({"StartError", "ContainerCannotRun"})
"""The container's end says what the machine says, not what the process says."""
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How one life of a container ended."""

    exit_code: int
    """128 + n after signal n."""
    reason: str
    """Kubernetes' word: Error, OOMKilled, Completed."""
    message: TerminationMessage | None
    """What the process said, if it did."""
    finished: datetime


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod of a job."""

    namespace: str
    name: str
    uid: str
    owner_uid: str
    component: str
    configuration: str
    """Hash of what its stage, or the training, depends on."""
    revision: str
    """Of the StatefulSet that made it; empty for pods of Jobs."""
    index: int
    """Work item, or node rank."""
    node: str
    ip: str
    phase: str
    reason: str
    """Of the status, such as Evicted."""
    message: str
    """Of the status: more about that."""
    created: datetime
    delete_at: datetime | None
    """When a deleted pod should have ended at the latest; None: it isn't being deleted."""
    restart_count: int
    failure_count: int
    """Counted failures of its work item before this pod."""
    started: bool
    """Does its container run now?"""
    waiting_reason: str
    waiting_message: str
    end: ContainerEnd | None
    """Of the life that is over, while no other has begun."""
    last_end: ContainerEnd | None
    """Of the life before this one."""
    unschedulable: str
    """The scheduler's message, where it found no node."""
    disruption: str
    """Why the cluster ended it, such as PreemptionByScheduler; empty: it didn't."""

    @property
    def deleting(self) -> bool:
        """Is it being deleted?"""
        return self.delete_at is not None

    @property
    def ended(self) -> bool:
        """Will it never run again?"""
        return self.phase in ("Succeeded", "Failed")

    @property
    def running(self) -> bool:
        """Does it run, without being told to stop?"""
        return self.started and not self.deleting

    @property
    def lived(self) -> bool:
        """Has its container ever run?"""
        return self.started or self.end is not None or self.last_end is not None

    @property
    def ended_at(self) -> datetime | None:
        """When its container ended, if none runs now."""
        return None if self.started or self.end is None else self.end.finished

    @classmethod
    def of(cls, body: Object) -> PodView:
        """Return the view of a v1 Pod."""
        metadata, spec, status = body["metadata"], body.get("spec", {}), body.get("status", {})
        labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
        container = _main_container(labels.get(LABEL_COMPONENT, ""), status)
        state = container.get("state", {})
        waiting = _waiting_in_init(status) or state.get("waiting", {})
        conditions = {each["type"]: each for each in status.get("conditions", ())}
        scheduled, disrupted = conditions.get("PodScheduled", {}), conditions.get("DisruptionTarget", {})
        last_end = _end(container.get("lastState", {}))
        end = _end(state) or (last_end if "waiting" in state else None)
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            owner_uid=next((owner["uid"] for owner in metadata.get("ownerReferences", ())), ""),
            component=labels.get(LABEL_COMPONENT, ""),
            configuration=annotations.get(ANNOTATION_CONFIGURATION, ""),
            revision=annotations.get(ANNOTATION_REVISION, ""),
            index=next((int(labels[key]) for key in _INDEX_LABELS if labels.get(key, "").isdecimal()), 0),
            node=spec.get("nodeName", ""),
            ip=status.get("podIP", ""),
            phase=status.get("phase", "Pending"),
            reason=status.get("reason", ""),
            message=status.get("message", ""),
            created=moment(metadata.get("creationTimestamp")) or EPOCH,
            delete_at=moment(metadata.get("deletionTimestamp")),
            restart_count=container.get("restartCount", 0),
            failure_count=_number(annotations.get(_FAILURES_ANNOTATION)),
            started="running" in state,
            waiting_reason=waiting.get("reason", ""),
            waiting_message=waiting.get("message", ""),
            end=end,
            last_end=last_end,
            unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
            disruption=disrupted.get("reason", "") if disrupted.get("status") == "True" else "",
        )


@dataclass(frozen=True, slots=True)
class JobView:
    """The Job of a stage."""

    namespace: str
    name: str
    uid: str
    component: str
    configuration: str
    completions: int
    parallelism: int
    completed: tuple[range, ...]
    """Indices of the work items that are done."""
    failed_items: tuple[range, ...]
    """Indices of those that have failed for good."""
    suspended: bool
    succeeded: bool
    failed: bool
    failure: str
    """Why it failed as a whole, in Kubernetes' words."""
    created: datetime
    deleting: bool

    @property
    def finished(self) -> bool:
        """Has it come to its end, or are all of its work items done? The Job controller says so a moment later."""
        return self.succeeded or self.failed or sum(map(len, self.completed)) >= self.completions

    @classmethod
    def of(cls, body: Object) -> JobView:
        """Return the view of a batch/v1 Job."""
        metadata, spec, status = body["metadata"], body.get("spec", {}), body.get("status", {})
        true = {each["type"]: each for each in status.get("conditions", ()) if each["status"] == "True"}
        failed = true.get("Failed") or true.get("FailureTarget") or {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            component=metadata.get("labels", {}).get(LABEL_COMPONENT, ""),
            configuration=metadata.get("annotations", {}).get(ANNOTATION_CONFIGURATION, ""),
            completions=spec.get("completions", 1),
            parallelism=spec.get("parallelism", 1),
            completed=index_ranges(status.get("completedIndexes", "")),
            failed_items=index_ranges(status.get("failedIndexes", "")),
            suspended=bool(spec.get("suspend")),
            succeeded="Complete" in true,
            failed="Failed" in true,
            failure=": ".join(each for each in (failed.get("reason"), failed.get("message")) if each),
            created=moment(metadata.get("creationTimestamp")) or EPOCH,
            deleting="deletionTimestamp" in metadata,
        )


@dataclass(frozen=True, slots=True)
class StatefulSetView:
    """The trainer's StatefulSet."""

    namespace: str
    name: str
    uid: str
    revision: str
    replicas: int
    created: datetime
    deleting: bool

    @classmethod
    def of(cls, body: Object) -> StatefulSetView:
        """Return the view of an apps/v1 StatefulSet."""
        metadata = body["metadata"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            revision=metadata.get("annotations", {}).get(ANNOTATION_REVISION, ""),
            replicas=body.get("spec", {}).get("replicas", 1),
            created=moment(metadata.get("creationTimestamp")) or EPOCH,
            deleting="deletionTimestamp" in metadata,
        )


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A PersistentVolumeClaim that was made for a job."""

    namespace: str
    name: str
    uid: str
    phase: str

    @classmethod
    def of(cls, body: Object) -> ClaimView:
        """Return the view of a v1 PersistentVolumeClaim."""
        metadata = body["metadata"]
        return cls(metadata["namespace"], metadata["name"], metadata["uid"], body.get("status", {}).get("phase", ""))


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node."""

    name: str
    ready: bool
    since: datetime
    """When that began."""

    @classmethod
    def of(cls, body: Object) -> NodeView:
        """Return the view of a v1 Node."""
        conditions = body.get("status", {}).get("conditions", ())
        ready: Object = next((each for each in conditions if each["type"] == "Ready"), {})
        since = moment(ready.get("lastTransitionTime")) or EPOCH
        return cls(body["metadata"]["name"], ready.get("status") == "True", since)


def moment(text: str | None) -> datetime | None:
    """Return the time that Kubernetes wrote."""
    return datetime.fromisoformat(text) if text else None


def index_ranges(text: str) -> tuple[range, ...]:
    """Return the ranges of indices that a Job's status writes as `0-3,7`."""
    pieces = (piece.partition("-") for piece in text.split(",") if piece)
    return tuple(range(int(first), int(last or first) + 1) for first, _, last in pieces)


def _main_container(component: str, status: Object) -> Object:
    """Return the status of our container: it is called like the component; others may stand beside it."""
    containers = status.get("containerStatuses", ())
    return next((each for each in containers if each["name"] == component), containers[0] if containers else {})


def _waiting_in_init(status: Object) -> Object | None:
    states = (each.get("state", {}).get("waiting", {}) for each in status.get("initContainerStatuses", ()))
    return next((each for each in states if each.get("reason") not in (None, "PodInitializing")), None)


def _end(state: Object) -> ContainerEnd | None:
    ended = state.get("terminated")
    if ended is None:
        return None
    return ContainerEnd(
        exit_code=ended.get("exitCode", 0),
        reason=ended.get("reason", ""),
        message=_termination_message(ended),
        finished=moment(ended.get("finishedAt")) or EPOCH,
    )


def _termination_message(ended: Object) -> TerminationMessage | None:
    text = ended.get("message")
    if text and ended.get("reason") in _NEVER_STARTED:
        return TerminationMessage(
            outcome="Failed", reason=Reason.CONTAINER_CREATION_FAILED, message=" ".join(text.split())
        )
    try:
        return TerminationMessage.model_validate_json(text) if text else None
    except ValidationError:  # the last lines of a log, or what another program said
        return None


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0
