"""Why something doesn't start, what to ask the cluster about it, and what will never end by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pretrain_api.names import Reason
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_operator.kubernetes.observing import (
    Children,
    JobView,
    NodeView,
    PodView,
    StatefulSetView,
    lost_pods,
    observe,
    stuck,
)
from pretrain_operator.kubernetes.observing.troubles import trouble_of

BORN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BORN + timedelta(seconds=10)
Make = Callable[..., dict[str, Any]]
MakeJob = Callable[..., PretrainJob]
CREATING: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("bad-image", Reason.IMAGE_PULL_FAILED, "registry.invalid/pretrain:1"),
        ("bad-image-later", Reason.IMAGE_PULL_FAILED, "registry.invalid/pretrain:1"),
        ("bad-name", Reason.IMAGE_PULL_FAILED, "Not A Name"),
        ("missing-secret", Reason.CONTAINER_CREATION_FAILED, 'secret "hub-token" not found'),
        ("missing-claim", Reason.MISSING_CLAIM, 'persistentvolumeclaim "corpus" not found'),
        ("too-large", Reason.UNSCHEDULABLE, "2 Insufficient nvidia.com/gpu"),
        ("bad-init", Reason.CONTAINER_CREATION_FAILED, "stat /nope: no such file"),
    ],
)
def test_recorded_troubles_name_their_cause(recorded: dict[str, Any], name: str, reason: str, words: str) -> None:
    pod = recorded[name]
    trouble = trouble_of(PodView.of(pod), {})
    assert trouble is not None
    assert trouble.reason == reason
    assert words in trouble.message
    assert trouble.message.startswith(pod["metadata"]["name"])
    assert "\n" not in trouble.message


def test_an_event_tells_what_the_status_does_not(recorded: dict[str, Any]) -> None:
    pod = PodView.of(recorded["missing-config-map"])
    assert trouble_of(pod, {}) is None
    later = pod.created + timedelta(seconds=4)
    assert stuck(Children(pods=(pod,)), later) == (pod,)
    trouble = trouble_of(pod, {pod.uid: recorded["warnings"]["missing-config-map"]})
    assert trouble is not None
    assert trouble.reason == Reason.VOLUME_MOUNT_FAILED
    assert 'configmap "nowhere" not found' in trouble.message


def test_a_quota_is_told(recorded: dict[str, Any], make_job: MakeJob) -> None:
    there = StatefulSetView.of(recorded["starved"])
    children = Children(stateful_set=there, warnings={there.uid: recorded["warnings"]["starved"]})
    assert stuck(children, there.created + timedelta(seconds=4)) == (there,)
    trouble = observe(make_job(), PretrainJobStatus(), (), children, NOW).trainer.pods[0].trouble
    assert trouble is not None
    assert trouble.reason == Reason.POD_CREATION_FAILED
    assert "exceeded quota: no-more" in trouble.message


@pytest.mark.parametrize("more", ["", " not found"])
def test_a_claim_without_a_volume(make_pod: Make, more: str) -> None:
    pod = make_pod(phase="Pending")
    text = f"0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.{more}"
    pod["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
    ]
    trouble = trouble_of(PodView.of(pod), {})
    assert trouble is not None
    assert trouble.reason == Reason.UNBOUND_CLAIM


def test_what_waits_in_a_queue_is_no_trouble(make_pod: Make) -> None:
    pod = make_pod(phase="Pending")
    pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
    assert trouble_of(PodView.of(pod), {}) is None


def test_what_has_only_just_begun_is_not_stuck(make_pod: Make, make_stage_job: Make) -> None:
    young = Children(pods=(PodView.of(make_pod(state=CREATING, phase="Pending")),))
    assert stuck(young, BORN + timedelta(seconds=2)) == ()
    assert stuck(young, BORN + timedelta(seconds=4)) == young.pods
    without_pods = Children(jobs=(JobView.of(make_stage_job()),))
    assert stuck(without_pods, NOW) == without_pods.jobs


def test_what_runs_rests_or_has_ended_is_not_stuck(make_pod: Make, make_stage_job: Make) -> None:
    end = {"terminated": {"exitCode": 1}}
    pods = (
        make_pod(state={"running": {}}),
        make_pod(state=end, phase="Failed"),
        make_pod(state=CREATING, phase="Pending", deleted="2026-01-01T00:00:00Z"),
    )
    assert stuck(Children(pods=tuple(PodView.of(pod) for pod in pods)), NOW) == ()
    for job in (make_stage_job(suspend=True), make_stage_job(condition=("Complete", ""))):
        assert stuck(Children(jobs=(JobView.of(job),)), NOW) == ()


def test_pods_of_a_lost_node(make_job: MakeJob, make_pod: Make, make_node: Make) -> None:
    job = make_job({"failurePolicy": {"nodeLossTimeoutSeconds": 60.0}})
    pod = PodView.of(make_pod("trainer", state={"running": {}}))
    nodes = {"node-1": NodeView.of(make_node("Unknown", "2026-01-01T00:00:00Z"))}
    children = Children(pods=(pod,), nodes=nodes)
    assert lost_pods(job, children, BORN + timedelta(seconds=20)) == ((), 40.0)
    assert lost_pods(job, children, BORN + timedelta(seconds=60))[0] == (pod,)
    well = Children(pods=(pod,), nodes={"node-1": NodeView.of(make_node())})
    assert lost_pods(job, well, BORN + timedelta(days=1)) == ((), None)


def test_pods_that_outlive_their_deletion(make_job: MakeJob, make_pod: Make, make_node: Make) -> None:
    pod = PodView.of(make_pod("trainer", state={"running": {}}, deleted="2026-01-01T00:00:00Z"))
    children = Children(pods=(pod,), nodes={"node-1": NodeView.of(make_node())})
    assert lost_pods(make_job(), children, BORN + timedelta(seconds=5)) == ((), 10.0)
    assert lost_pods(make_job(), children, BORN + timedelta(seconds=15))[0] == (pod,)


def test_pods_that_have_ended_are_not_lost(make_job: MakeJob, make_pod: Make, make_node: Make) -> None:
    pod = PodView.of(make_pod(state={"terminated": {"exitCode": 0}}, phase="Succeeded"))
    nodes = {"node-1": NodeView.of(make_node("Unknown"))}
    assert lost_pods(make_job(), Children(pods=(pod,), nodes=nodes), NOW + timedelta(days=1)) == ((), None)
