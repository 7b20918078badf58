"""From a PretrainJob to its children and back, on a real API server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pretrain_cluster import ControlPlaneOnly
from pretrain_cluster.operator_process import OperatorProcess
from pretrain_cluster.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

QUICKSTART = Path(__file__).resolve().parents[3] / "manifests" / "quickstart.yaml"
Document = dict[str, Any]


class Namespace:
    """A namespace of the control plane."""

    def __init__(self, plane: ControlPlaneOnly, name: str) -> None:
        self.plane, self.name = plane, name

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        return self.plane.kubectl("-n", self.name, *arguments, input=input)

    def apply(self, **spec: Any) -> None:
        document = yaml.safe_load(QUICKSTART.read_text())
        document["metadata"]["name"] = "small"
        document["spec"] |= spec
        self.kubectl("apply", "-f", "-", input=json.dumps(document))

    def list(self, kind: str) -> list[Document]:
        items: list[Document] = json.loads(self.kubectl("get", kind, "-o", "json"))["items"]
        return items

    def job(self) -> Document:
        document: Document = json.loads(self.kubectl("get", "pretrainjob", "small", "-o", "json"))
        return document

    def status(self) -> Document:
        status: Document = self.job().get("status", {})
        return status

    def condition(self, kind: str) -> Document:
        return next((each for each in self.status().get("conditions", []) if each["type"] == kind), {})

    def warn(self, pod: Document, reason: str, message: str, moment: str) -> None:
        """Say what the kubelet would."""
        names = {key: pod["metadata"][key] for key in ("namespace", "name", "uid")}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{names['name']}.{reason.lower()}"},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", **names},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": moment,
        }
        self.kubectl("create", "-f", "-", input=json.dumps(event))

    def wait(self, what: Callable[[], object], meaning: str, seconds: float = 30.0) -> None:
        wait_until(lambda: bool(what()), seconds, lambda: f"waited for {meaning}: {self.status()}", 0.1)


@pytest.fixture
def there(plane: ControlPlaneOnly, operator: OperatorProcess, namespace: str) -> Namespace:
    return Namespace(plane, namespace)


def test_a_job_gets_its_first_children_and_a_status(there: Namespace) -> None:
    there.apply()
    there.wait(lambda: there.status().get("phase") == "Preparing", "Preparing")
    uid = there.job()["metadata"]["uid"]
    assert there.job()["metadata"]["finalizers"] == ["pretrain.dev/finalizer"]
    (stage,) = there.list("jobs")
    assert stage["metadata"]["name"] == "small-clean"
    assert stage["spec"]["completionMode"] == "Indexed"
    assert [owner["uid"] for owner in stage["metadata"]["ownerReferences"]] == [uid]
    (claim,) = there.list("persistentvolumeclaims")
    assert claim["metadata"]["name"] == "small-storage"
    assert not claim["metadata"].get("ownerReferences"), "storage outlives its job"
    assert there.condition("Valid")["status"] == "True"
    there.wait(lambda: [each["reason"] for each in there.list("events") if each["reason"] == "Preparing"], "the event")


def test_what_is_suspended_has_no_children_until_it_is_resumed(there: Namespace) -> None:
    there.apply(suspend=True)
    there.wait(lambda: there.condition("Suspended").get("status") == "True", "Suspended")
    assert there.status()["phase"] == "Suspended"
    assert not there.list("jobs")
    there.kubectl("patch", "pretrainjob", "small", "--type=merge", "-p", '{"spec": {"suspend": false}}')
    there.wait(lambda: there.list("jobs"), "the first stage")


def test_what_runs_is_suspended_with_its_stage(there: Namespace) -> None:
    there.apply()
    there.wait(lambda: there.list("jobs"), "the first stage")
    there.kubectl("patch", "pretrainjob", "small", "--type=merge", "-p", '{"spec": {"suspend": true}}')
    there.wait(lambda: there.list("jobs")[0]["spec"]["suspend"], "its suspension")
    there.wait(lambda: there.status()["phase"] == "Suspended", "the phase")


def test_a_deleted_job_leaves_nothing_but_its_storage(there: Namespace) -> None:
    there.apply()
    there.wait(lambda: there.condition("Valid"), "a status")
    there.kubectl("delete", "pretrainjob", "small", "--timeout=30s")
    there.wait(lambda: not there.list("jobs"), "the end of its children")
    assert len(there.list("persistentvolumeclaims")) == 1


def test_a_child_that_somebody_deletes_is_made_again(there: Namespace) -> None:
    there.apply()
    there.wait(lambda: there.list("jobs"), "the first stage")
    uid = there.list("jobs")[0]["metadata"]["uid"]
    there.kubectl("delete", "job", "small-clean")
    there.wait(lambda: [each for each in there.list("jobs") if each["metadata"]["uid"] != uid], "another one")


def test_a_status_that_somebody_edits_is_put_right(there: Namespace) -> None:
    there.apply()
    there.wait(lambda: there.status().get("phase") == "Preparing", "Preparing")
    change = '{"status": {"phase": "Completed", "restarts": {"total": 99}}}'
    there.kubectl("patch", "pretrainjob", "small", "--subresource=status", "--type=merge", "-p", change)
    there.wait(lambda: there.status()["phase"] == "Preparing", "the right phase")
    assert there.status()["restarts"]["total"] == 0


def test_what_keeps_a_pod_from_starting_is_told(there: Namespace) -> None:
    there.apply()
    there.wait(lambda: there.list("pods"), "pods")
    pod = there.list("pods")[0]
    there.warn(pod, "FailedMount", 'secret "corpus" not found', "2026-01-01T00:00:01Z")
    # A probe is newer, and no cause: what is probed has started.
    there.warn(pod, "Unhealthy", "Startup probe failed: connection refused", "2026-01-01T00:00:02Z")
    there.wait(lambda: there.condition("Running").get("reason") == "VolumeMountFailed", "the cause")
    assert 'secret "corpus" not found' in there.condition("Running")["message"]


def test_another_number_of_workers_is_a_change_in_place(there: Namespace) -> None:
    there.apply()
    there.wait(lambda: there.list("jobs"), "the first stage")
    before = there.list("jobs")[0]
    assert before["spec"]["parallelism"] > 1
    there.kubectl("patch", "pretrainjob", "small", "--type=merge", "-p", '{"spec": {"data": {"workers": 1}}}')
    there.wait(lambda: there.list("jobs")[0]["spec"]["parallelism"] == 1, "one pod at a time")
    assert there.list("jobs")[0]["metadata"]["uid"] == before["metadata"]["uid"]


def test_replicas_take_turns(plane: ControlPlaneOnly, namespace: str, tmp_path: Path) -> None:
    """One leads; when it is killed another one does, once the lease has run out."""
    election = {"enabled": True, "name": "turns", "leaseDurationSeconds": 3, "renewDeadlineSeconds": 2}
    config = {"namespaces": [namespace], "leaderElection": {**election, "retryPeriodSeconds": 0.5}}
    replicas = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        replicas.append(OperatorProcess(plane.kubeconfig, folder, config))
    try:
        for replica in replicas:
            replica.start()
            replica.wait_until_serving()

        def leaders() -> list[OperatorProcess]:
            return [each for each in replicas if "pretrain_operator_leader 1.0" in each.get("/metrics")]

        wait_until(lambda: len(leaders()) == 1, 20, lambda: "nobody leads", 0.2)
        time.sleep(2)
        (first,) = leaders()
        first.kill()
        replicas.remove(first)
        began = time.monotonic()
        wait_until(lambda: leaders() == replicas, 20, lambda: "nobody took over", 0.2)
        assert time.monotonic() - began < 10
        Namespace(plane, namespace).apply()
        wait_until(lambda: bool(Namespace(plane, namespace).list("jobs")), 20, lambda: "it does nothing", 0.2)
        Namespace(plane, namespace).kubectl("delete", "pretrainjob", "small", "--timeout=30s")
    finally:
        for replica in replicas:
            replica.stop()
