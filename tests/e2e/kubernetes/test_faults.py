"""Whatever happens on the cluster, a job ends in the right result, with the right reason in its status."""

from __future__ import annotations

import json
import os
import random
import secrets
import time

import pytest
from pretrain_cluster import LocalCluster
from pretrain_cluster.operator_process import OperatorProcess

from .jobs import Document, Jobs, data_only, small_job
from .murder import kill, processes_of, ranks_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def test_an_operator_killed_at_twenty_random_moments(jobs: Jobs, operator: OperatorProcess) -> None:
    seed = int(os.environ.get("FAULT_SEED", random.randrange(1_000_000)))
    print(f"FAULT_SEED={seed}")
    chance = random.Random(seed)
    name = jobs.apply(small_job("survivor"))
    for _ in range(20):
        time.sleep(chance.uniform(0.0, 5.0))  # the moment of the murder
        operator.kill()
        operator.start()
        operator.wait_until_serving()
    jobs.wait_for_phase(name, "Completed", 600)

    status = jobs.status(name)
    assert status["restarts"]["total"] == 0, "training needs no operator"
    assert all(stage["state"] == "Succeeded" for stage in status["dataPreparation"]["stages"])
    assert status["training"]["step"] == status["training"]["totalSteps"]


def test_what_happens_to_a_trainer(jobs: Jobs, cluster: LocalCluster) -> None:
    """One long job goes through everything: a pod deleted, a rank killed, the API server and etcd gone, a node lost."""
    long = small_job("trainer", training__tokens="8Mi", failurePolicy__nodeLossTimeoutSeconds=10)
    name = jobs.apply(long)
    training(jobs, name, 0)

    for pod in (f"{name}-trainer-1", f"{name}-trainer-0"):
        jobs.kubectl("delete", "pod", pod, "--wait=false")
        jobs.wait(lambda: last_restart(jobs, name).get("reason") == "PodDeleted", 60, "the deletion is told")
        print(f"{pod} deleted: training again after {training(jobs, name, jobs.step(name)):.1f} s")

    before = jobs.status(name)["restarts"]["total"]
    (victim,) = [pod for pod in jobs.pods(name, "trainer") if pod["metadata"]["name"].endswith("-1")]
    kill(ranks_of(victim))
    jobs.wait(lambda: jobs.status(name)["restarts"]["total"] > before, 60, "the restart is told")
    print(f"rank killed: training again after {training(jobs, name, jobs.step(name)):.1f} s")

    cluster.stop_api_server()
    time.sleep(60)  # so long it is gone
    cluster.start_api_server()
    training(jobs, name, jobs.step(name))
    cluster.restart_etcd()
    training(jobs, name, jobs.step(name))

    lost = next(pod["spec"]["nodeName"] for pod in jobs.pods(name, "trainer"))
    number = int(lost.rpartition("-")[2])
    cluster.stop_node(number)
    try:
        jobs.wait(lambda: last_restart(jobs, name).get("reason") == "NodeLost", 180, "the loss is told")
        training(jobs, name, jobs.step(name))
        jobs.kubectl("patch", "pretrainjob", name, "--type=merge", "-p", json.dumps(shortened(jobs, name)))
        jobs.wait_for_phase(name, "Completed", 300)
    finally:
        cluster.start_node(number)


def shortened(jobs: Jobs, name: str) -> Document:
    """Return the change that lets a job end soon: training ends a little after where it is."""
    tokens = jobs.status(name)["training"]["tokens"]
    return {"spec": {"training": {"tokens": tokens + 100 * 2048}}}


def last_restart(jobs: Jobs, name: str) -> Document:
    return jobs.status(name).get("restarts", {}).get("last") or {}


def training(jobs: Jobs, name: str, beyond: int) -> float:
    """Wait until a job trains, further than a step; return the seconds it took."""
    return jobs.wait(
        lambda: jobs.phase(name) == "Training" and jobs.step(name) > beyond, 300, f"{name} trains beyond step {beyond}"
    )


def test_a_preparation_pod_that_is_killed(jobs: Jobs) -> None:
    name = jobs.apply(data_only("killed"))
    jobs.wait(lambda: running(jobs, name, "clean"), 120, "clean runs")
    kill(processes_of(running(jobs, name, "clean")[0]))
    jobs.wait_for_phase(name, "Completed")


def running(jobs: Jobs, name: str, component: str) -> list[Document]:
    return [pod for pod in jobs.pods(name, component) if pod["status"]["phase"] == "Running"]


def test_a_full_volume(jobs: Jobs, cluster: LocalCluster) -> None:
    small = f"small-{secrets.token_hex(3)}"  # of this run alone: the volume stays until the cluster ends
    cluster.add_small_volume(small, 128 << 10)
    document = data_only("full")
    claim = {"size": "64Ki", "storageClassName": small, "accessModes": ["ReadWriteMany"]}
    document["spec"]["storage"] = {"uri": "pvc://small/job", "create": claim}
    try:
        name = jobs.apply(document)
        jobs.wait(lambda: jobs.phase(name) == "Failed", 300, "the job fails")
        failed = jobs.condition(name, "Failed")
        assert failed["reason"] == "StorageFull"
        assert "no space left" in failed["message"]
    finally:
        cluster.kubectl("delete", "pv,storageclass", small, "--wait=false")


def test_annotations_at_their_limit_and_a_status_edited_by_hand(jobs: Jobs, operator: OperatorProcess) -> None:
    document = data_only("edited")
    document["metadata"]["annotations"] = {"note": "x" * (256 * 1024 - 5)}
    jobs.kubectl("create", "-f", "-", input=json.dumps(document))
    name = "edited"
    jobs.wait(lambda: jobs.phase(name) == "Preparing", 60, "it begins")
    lie = {"status": {"phase": "Completed", "conditions": []}}
    jobs.kubectl("patch", "pretrainjob", name, "--subresource=status", "--type=merge", "-p", json.dumps(lie))
    jobs.wait(lambda: jobs.phase(name) == "Preparing", 10, "the truth is back")

    operator.kill()
    jobs.kubectl("patch", "pretrainjob", name, "--subresource=status", "--type=merge", "-p", json.dumps(lie))
    operator.start()
    operator.wait_until_serving()

    def truly_completed() -> bool:
        stages = jobs.status(name)["dataPreparation"]["stages"]
        return jobs.phase(name) == "Completed" and all(stage["state"] == "Succeeded" for stage in stages)

    jobs.wait(truly_completed, 300, "it is completed, its stages too")
