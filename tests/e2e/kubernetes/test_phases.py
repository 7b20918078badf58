"""Deleted, suspended or changed in whatever phase: nothing is left, nothing is lost."""

from __future__ import annotations

import pytest

from .jobs import Document, Jobs, data_only, small_job

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

KINDS = "pods,jobs.batch,statefulsets,services,configmaps,poddisruptionbudgets,networkpolicies"
LONG = {"training__tokens": "8Mi"}


def everything_of(jobs: Jobs, name: str) -> list[str]:
    """Return the names of all that the operator made for a job, but for its storage."""
    return jobs.kubectl("get", KINDS, "-l", f"pretrain.dev/job={name}", "-o", "name").split()


@pytest.mark.parametrize(
    ("phase", "document"),
    [
        ("Preparing", data_only("gone")),
        ("Starting", small_job("gone", **LONG)),
        ("Training", small_job("gone", **LONG)),
        ("Suspended", data_only("gone", suspend=True)),
        ("Failed", data_only("gone", activeDeadlineSeconds=3)),
        ("Completed", data_only("gone")),
    ],
)
def test_a_job_deleted_in_a_phase_leaves_its_storage_alone(jobs: Jobs, phase: str, document: Document) -> None:
    name = jobs.apply(document)
    jobs.wait(lambda: jobs.phase(name) == phase, 300, f"{name} {phase}")
    jobs.kubectl("delete", "pretrainjob", name, "--timeout=90s")
    jobs.wait(lambda: not everything_of(jobs, name), 30, "its children go")
    claims = {claim["metadata"]["name"] for claim in jobs.list("persistentvolumeclaims")}
    assert claims == ({f"{name}-storage"} if phase != "Suspended" else set()), "one that never ran needs no storage"


def test_a_job_suspended_in_each_phase_goes_on(jobs: Jobs) -> None:
    name = jobs.apply(small_job("rests", training__tokens="1Mi"))
    for phase in ("Preparing", "Starting", "Training"):
        jobs.wait(lambda phase=phase: jobs.phase(name) == phase, 300, f"{name} {phase}")
        jobs.change(name, suspend=True)
        jobs.wait_for_phase(name, "Suspended")
        assert not [pod for pod in jobs.pods(name) if pod["status"]["phase"] in ("Pending", "Running")]
        jobs.change(name, suspend=False)
    jobs.wait_for_phase(name, "Completed", 400)
    assert jobs.status(name)["restarts"]["counted"] == 0
    assert jobs.status(name)["suspendedSeconds"] > 0


def test_what_can_be_changed_while_it_runs(jobs: Jobs) -> None:
    """Other stages ahead while it trains, more tokens when it is complete: nothing that was done is done again."""
    name = jobs.apply(small_job("changed", training__tokens="1Mi"))
    jobs.wait(lambda: jobs.step(name) > 20, 300, f"{name} at step 20")
    stages = [{"tokens": 2048, "from": 0}, {"tokens": 4096, "from": "512Ki"}]
    jobs.change(name, training={"batch": {"stages": stages}})
    jobs.wait_for_phase(name, "Completed", 400)
    assert jobs.status(name)["training"]["step"] == 256 + 128
    assert jobs.status(name)["restarts"]["counted"] == 0
    prepared = jobs.status(name)["dataPreparation"]["stages"]

    jobs.change(name, training={"tokens": (1 << 20) + 64 * 4096})
    jobs.wait(lambda: jobs.phase(name) != "Completed", 30, "it trains on")
    jobs.wait_for_phase(name, "Completed", 400)
    assert jobs.status(name)["training"]["step"] == 256 + 128 + 64
    again = jobs.status(name)["dataPreparation"]["stages"]
    assert [each["startedAt"] for each in again[:-1]] == [each["startedAt"] for each in prepared[:-1]]
