"""Objects as an API server gives them: recorded from Kubernetes 1.36, and made for what is hard to record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RECORDED = Path(__file__).parent / "recorded.json"


def build_pod(
    component: str = "clean",
    index: int = 0,
    *,
    state: dict[str, Any] | None = None,
    last_state: dict[str, Any] | None = None,
    phase: str = "Running",
    restarts: int = 0,
    owner: str = "job-uid",
    uid: str = "",
    deleted: str | None = None,
    disruption: str = "",
    failures: int = 0,
    created: str = "2026-01-01T00:00:00Z",
    node: str = "node-1",
    **status: Any,
) -> dict[str, Any]:
    """Return a v1 Pod; `state` and `last_state` are those of its container."""
    kind = "apps.kubernetes.io/pod-index" if component == "trainer" else "batch.kubernetes.io/job-completion-index"
    container = {"name": component, "restartCount": restarts, "state": state or {}, "lastState": last_state or {}}
    conditions = [{"type": "DisruptionTarget", "status": "True", "reason": disruption}] if disruption else []
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"tiny-{component}-{index}",
            "namespace": "research",
            "uid": uid or f"{component}-{index}-uid",
            "creationTimestamp": created,
            "labels": {"pretrain.dev/job": "tiny", "pretrain.dev/component": component, kind: str(index)},
            "annotations": {
                "pretrain.dev/configuration": "c1",
                "batch.kubernetes.io/job-index-failure-count": str(failures),
            },
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"nodeName": node},
        "status": {"phase": phase, "podIP": "10.0.0.1", "conditions": conditions, **status},
    }
    if component == "trainer":
        body["metadata"]["annotations"]["pretrain.dev/revision"] = "r1"
    if deleted is not None:
        body["metadata"]["deletionTimestamp"] = deleted
    if state is not None:
        body["status"]["containerStatuses"] = [container]
    return body


def build_stage_job(
    completions: int = 3, completed: str = "", failed: str = "", condition: tuple[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """Return the Job of the stage clean; `condition` is the type and the reason of a true one."""
    conditions = [{"type": condition[0], "status": "True", "reason": condition[1]}] if condition else []
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "tiny-clean",
            "namespace": "research",
            "uid": "job-uid",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"pretrain.dev/job": "tiny", "pretrain.dev/component": "clean"},
            "annotations": {"pretrain.dev/configuration": "c1"},
        },
        "spec": {"completions": completions, "parallelism": 2, **spec},
        "status": {"completedIndexes": completed, "failedIndexes": failed, "conditions": conditions},
    }


def build_stateful_set(replicas: int = 2, revision: str = "r1", deleted: bool = False) -> dict[str, Any]:
    """Return the trainer's StatefulSet."""
    metadata: dict[str, Any] = {
        "name": "tiny-trainer",
        "namespace": "research",
        "uid": "set-uid",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"pretrain.dev/revision": revision},
    }
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": {"replicas": replicas}}


def build_node(ready: str = "True", since: str = "2026-01-01T00:00:00Z", name: str = "node-1") -> dict[str, Any]:
    """Return a Node."""
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": since}]
    return {"metadata": {"name": name}, "status": {"conditions": conditions}}


@pytest.fixture(scope="session")
def recorded() -> dict[str, Any]:
    """Recorded objects by what they show; `warnings`: of some, the newest Warning event."""
    objects: dict[str, Any] = json.loads(RECORDED.read_text())
    return objects


@pytest.fixture
def make_pod() -> Callable[..., dict[str, Any]]:
    """Makes pods; see `build_pod`."""
    return build_pod


@pytest.fixture
def make_stage_job() -> Callable[..., dict[str, Any]]:
    """Makes Jobs; see `build_stage_job`."""
    return build_stage_job


@pytest.fixture
def make_stateful_set() -> Callable[..., dict[str, Any]]:
    """Makes StatefulSets; see `build_stateful_set`."""
    return build_stateful_set


@pytest.fixture
def make_node() -> Callable[..., dict[str, Any]]:
    """Makes nodes; see `build_node`."""
    return build_node
