"""What keeps a job from starting is told within half a minute, with its cause; what ended its pods, too."""

from __future__ import annotations

import json
from typing import Any

import pytest

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


def test_a_trainer_told_to_stop_while_it_starts(jobs: Jobs) -> None:
    """Its process has no handler of signals yet."""
    name = jobs.apply(small_job("early", training__tokens="8Mi"))
    jobs.wait(lambda: [pod for pod in jobs.pods(name, "trainer") if _started(pod)], 300, "a trainer that starts")
    jobs.change(name, suspend=True)
    seconds = jobs.wait_for_phase(name, "Suspended", 100)
    print(f"suspended after {seconds:.1f} s")


def _started(pod: Document) -> bool:
    return any("running" in each.get("state", {}) for each in pod["status"].get("containerStatuses", ()))
