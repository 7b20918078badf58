"""What kopf watches: indices of views by job, and a note in the queue for every event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import kopf

from pretrain_api.names import GROUP, LABEL_JOB, PLURAL, VERSION
from pretrain_api.wire import StageProgress, TrainerProgress
from pretrain_operator.kubernetes.memory import Memories
from pretrain_operator.kubernetes.observing import Children, ClaimView, JobView, NodeView, PodView, StatefulSetView
from pretrain_operator.kubernetes.queue import JobKey, WorkQueue

_OURS = {LABEL_JOB: kopf.PRESENT}
_INDICES = ("pretrainjobs", "pods", "stage_jobs", "stateful_sets", "claims", "nodes")
_READ_METADATA = (
    "name",
    "namespace",
    "uid",
    "generation",
    "labels",
    "annotations",
    "deletionTimestamp",
    "finalizers",
    "creationTimestamp",
)


class Watched:
    """All that is known of the cluster: kopf's indices."""

    def __init__(self) -> None:
        self._indices: Mapping[str, Any] = {}

    def use(self, indices: Mapping[str, Any]) -> None:
        """Take the indices, which kopf keeps up to date."""
        self._indices = indices

    def job(self, key: JobKey) -> dict[str, Any] | None:
        """Return a PretrainJob; None: there is none."""
        found = self._all("pretrainjobs", key)
        job: dict[str, Any] | None = json.loads(found[0]) if found else None
        return job

    def jobs(self) -> list[JobKey]:
        """Return all PretrainJobs there are."""
        return list(self._indices.get("pretrainjobs", ()))

    def children(
        self,
        key: JobKey,
        departed: tuple[PodView, ...],
        progress: Mapping[str, StageProgress | TrainerProgress],
        warnings: Mapping[str, str],
    ) -> Children:
        """Return all that is seen of a job's children."""
        pods = tuple(sorted(self._all("pods", key), key=lambda pod: pod.name))
        names = {pod.node for pod in (*pods, *departed) if pod.node}
        nodes = {name: found[0] for name in names if (found := self._all("nodes", name))}
        sets = self._all("stateful_sets", key)
        return Children(
            pods=pods,
            jobs=tuple(self._all("stage_jobs", key)),
            stateful_set=sets[0] if sets else None,
            claims=tuple(self._all("claims", key)),
            departed=departed,
            progress=progress,
            warnings=warnings,
            nodes=nodes,
        )

    def pods(self, key: JobKey) -> list[PodView]:
        """Return the pods of a job."""
        return self._all("pods", key)

    def jobs_on_node(self, node: str) -> list[JobKey]:
        """Return the jobs that have a pod on a node."""
        pods = self._indices.get("pods", {})
        return [key for key in pods if any(pod.node == node for pod in pods[key])]

    def _all(self, index: str, key: Any) -> list[Any]:
        found = self._indices.get(index)
        return list(found[key]) if found is not None and key in found else []


def registry(watched: Watched, queue: WorkQueue, memories: Memories, watch_nodes: bool) -> kopf.OperatorRegistry:
    """Return kopf's handlers: they read, and put notes into the queue; nothing else."""
    handlers = kopf.OperatorRegistry()
    _index_objects(handlers)
    _note_events(handlers, queue, memories)
    if watch_nodes:
        _watch_nodes(handlers, watched, queue)

    @kopf.on.login(registry=handlers)
    async def log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.startup(registry=handlers)
    async def take_indices(**arguments: Any) -> None:
        watched.use({name: arguments[name] for name in _INDICES if name in arguments})

    return handlers


def _index_objects(handlers: kopf.OperatorRegistry) -> None:
    @kopf.index(GROUP, VERSION, PLURAL, registry=handlers, id="pretrainjobs")
    async def pretrainjobs(body: kopf.Body, **_: Any) -> dict[JobKey, bytes]:
        # As text: thousands of jobs as nested dicts would take ten times the memory.
        kept = {key: value for key, value in body["metadata"].items() if key in _READ_METADATA}
        whole = {part: body[part] for part in ("apiVersion", "kind", "spec", "status") if part in body}
        return {_own_key(body): json.dumps({**whole, "metadata": kept}).encode()}

    @kopf.index("pods", labels=_OURS, registry=handlers, id="pods")
    async def pods(body: kopf.Body, **_: Any) -> dict[JobKey, PodView]:
        return {_key(body): PodView.of(body)}

    @kopf.index("batch", "v1", "jobs", labels=_OURS, registry=handlers, id="stage_jobs")
    async def stage_jobs(body: kopf.Body, **_: Any) -> dict[JobKey, JobView]:
        return {_key(body): JobView.of(body)}

    @kopf.index("apps", "v1", "statefulsets", labels=_OURS, registry=handlers, id="stateful_sets")
    async def stateful_sets(body: kopf.Body, **_: Any) -> dict[JobKey, StatefulSetView]:
        return {_key(body): StatefulSetView.of(body)}

    @kopf.index("persistentvolumeclaims", labels=_OURS, registry=handlers, id="claims")
    async def claims(body: kopf.Body, **_: Any) -> dict[JobKey, ClaimView]:
        return {_key(body): ClaimView.of(body)}


def _note_events(handlers: kopf.OperatorRegistry, queue: WorkQueue, memories: Memories) -> None:
    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers, id="job-changed")
    async def job_changed(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002
        key = _own_key(body)
        memory = memories.get(key)
        if memory is None:
            queue.add(key, new=True)
        elif type == "DELETED" or body["metadata"]["resourceVersion"] not in memory.written:
            queue.note(key)

    @kopf.on.event("pods", labels=_OURS, registry=handlers, id="pod-changed")
    async def pod_changed(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002
        key = _key(body)
        memory = memories.get(key)
        if type == "DELETED" and memory is not None:
            view = PodView.of(body)
            memory.departed[view.uid] = view
            memory.progress.pop(view.uid, None)
        queue.note(key)

    async def child_changed(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002
        key = _key(body)
        memory = memories.get(key)
        if type == "DELETED" and memory is not None:
            memory.child_gone(body["metadata"]["uid"])
        queue.note(key)

    kopf.on.event("batch", "v1", "jobs", labels=_OURS, registry=handlers, id="stage-job-changed")(child_changed)
    kopf.on.event("apps", "v1", "statefulsets", labels=_OURS, registry=handlers, id="set-changed")(child_changed)
    kopf.on.event("persistentvolumeclaims", labels=_OURS, registry=handlers, id="claim-changed")(child_changed)


def _watch_nodes(handlers: kopf.OperatorRegistry, watched: Watched, queue: WorkQueue) -> None:
    @kopf.index("nodes", registry=handlers, id="nodes")
    async def nodes(body: kopf.Body, name: str, **_: Any) -> dict[str, NodeView]:
        return {name: NodeView.of(body)}

    ready: dict[str, bool] = {}

    @kopf.on.event("nodes", registry=handlers, id="node-changed")
    async def node_changed(body: kopf.Body, name: str, type: str | None, **_: Any) -> None:  # noqa: A002
        now_ready = type != "DELETED" and NodeView.of(body).ready
        if ready.get(name) != now_ready:
            ready[name] = now_ready
            for key in watched.jobs_on_node(name):
                queue.note(key)


def _own_key(body: Mapping[str, Any]) -> JobKey:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _key(body: Mapping[str, Any]) -> JobKey:
    metadata = body["metadata"]
    return metadata["namespace"], metadata["labels"][LABEL_JOB]
