"""What keeps a job from starting is told within half a minute, with its cause; what ended its pods, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pretrain_cluster.node import PAUSE_IMAGE

from .jobs import Document, Jobs, data_only, small_job
from .test_faults import last_restart, training

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

SECONDS_TO_TELL = 30


def preparation(**container: Any) -> Document:
    """Return the pod template with something more for the container of every stage."""
    return {"spec": {"containers": [{"name": "preparation", **container}]}}


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"storage": {"uri": "pvc://nothing/there"}}, "MissingClaim", "nothing"),
        (
            {"data__podTemplate": preparation(envFrom=[{"secretRef": {"name": "no-such-secret"}}])},
            "ContainerCreationFailed",
            "no-such-secret",
        ),
        ({"data__podTemplate": {"spec": {"nodeSelector": {"gpu": "h100"}}}}, "Unschedulable", "node"),
        (
            {"storage": {"uri": "pvc://own/x", "create": {"size": "1Gi", "storageClassName": "no-such-class"}}},
            "UnboundClaim",
            "unbound",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing_is_told(jobs: Jobs, changes: Document, reason: str, words: str) -> None:
    name = jobs.apply(data_only("waits", **changes))
    running = lambda: jobs.condition(name, "Running")  # noqa: E731
    jobs.wait(lambda: running().get("reason") == reason, SECONDS_TO_TELL, f"the reason {reason}")
    assert words in running()["message"]
    assert running()["status"] == "False"


def test_an_image_that_is_not_there_is_told(jobs: Jobs) -> None:
    name = jobs.apply(small_job("image", trainer__image="localhost/no-such-image:1"))
    jobs.wait(lambda: jobs.pods(name, "trainer"), 300, "trainer pods")
    told = lambda: jobs.condition(name, "Running").get("reason") == "ImagePullFailed"  # noqa: E731
    print(f"told after {jobs.wait(told, SECONDS_TO_TELL, 'the cause'):.1f} s")
    assert "no-such-image" in jobs.condition(name, "Running")["message"]


def test_a_pod_without_enough_memory(jobs: Jobs) -> None:
    little = {"requests": {"memory": "16Mi"}, "limits": {"memory": "16Mi"}}
    name = jobs.apply(data_only("little", data__podTemplate=preparation(resources=little)))
    jobs.wait(lambda: jobs.condition(name, "Running").get("reason") == "OutOfMemory", 60, "OutOfMemory in the status")


def test_an_evicted_trainer_is_free(jobs: Jobs) -> None:
    name = jobs.apply(small_job("evicted", training__tokens="8Mi"))
    training(jobs, name, 0)
    pod = f"{name}-trainer-1"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": jobs.namespace}}
    path = f"/api/v1/namespaces/{jobs.namespace}/pods/{pod}/eviction"
    jobs.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(eviction))
    jobs.wait(lambda: last_restart(jobs, name).get("reason") == "Evicted", 60, "the eviction in the status")
    training(jobs, name, jobs.step(name))
    assert jobs.status(name)["restarts"]["counted"] == 0


def test_a_preempted_trainer_is_free_and_goes_on_when_there_is_room(jobs: Jobs, urgent: Document) -> None:
    most_of_a_node = {"requests": {"cpu": "1200m"}}  # nodes have two cores
    document = small_job("preempted", training__tokens="8Mi", trainer__resourcesPerNode=most_of_a_node)
    name = jobs.apply(document)
    training(jobs, name, 0)
    (pod,) = [pod for pod in jobs.pods(name, "trainer") if pod["metadata"]["name"] == f"{name}-trainer-1"]
    urgent["spec"]["nodeSelector"] = {"kubernetes.io/hostname": pod["spec"]["nodeName"]}
    jobs.kubectl("create", "-f", "-", input=json.dumps(urgent))

    jobs.wait(lambda: last_restart(jobs, name).get("reason") == "Evicted", 60, "the preemption in the status")
    assert "PreemptionByScheduler" in last_restart(jobs, name)["message"]
    unschedulable = lambda: jobs.condition(name, "Running").get("reason") == "Unschedulable"  # noqa: E731
    jobs.wait(unschedulable, SECONDS_TO_TELL, "that there is no room now")
    jobs.kubectl("delete", "pod", "urgent", "--grace-period=0", "--force")
    training(jobs, name, jobs.step(name))
    assert jobs.status(name)["restarts"]["counted"] == 0


@pytest.fixture
def urgent(jobs: Jobs) -> Iterator[Document]:
    """A pod that takes most of a node's cores and comes before all others."""
    priority = f"urgent-{jobs.namespace[-20:].strip('-')}"
    jobs.kubectl("create", "priorityclass", priority, "--value=1000000")
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "pause", "image": PAUSE_IMAGE, "imagePullPolicy": "Never", "securityContext": restricted}
    container["resources"] = {"requests": {"cpu": "1500m"}}
    spec = {"priorityClassName": priority, "terminationGracePeriodSeconds": 0, "containers": [container]}
    yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "urgent"}, "spec": spec}
    jobs.kubectl("delete", "pod", "urgent", "--ignore-not-found", "--grace-period=0", "--force")
    jobs.kubectl("delete", "priorityclass", priority)


def test_a_trainer_told_to_stop_while_it_starts(jobs: Jobs) -> None:
    """Its process has no handler of signals yet."""
    name = jobs.apply(small_job("early", training__tokens="8Mi"))
    jobs.wait(lambda: [pod for pod in jobs.pods(name, "trainer") if _started(pod)], 300, "a trainer that starts")
    jobs.change(name, suspend=True)
    seconds = jobs.wait_for_phase(name, "Suspended", 100)
    print(f"suspended after {seconds:.1f} s")


def _started(pod: Document) -> bool:
    return any("running" in each.get("state", {}) for each in pod["status"].get("containerStatuses", ()))
