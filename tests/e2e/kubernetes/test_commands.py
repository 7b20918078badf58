"""`pretrain` as `kubectl pretrain`: a job from its submission to its report, by commands alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pretrain_cluster import LocalCluster

from .jobs import Jobs, small_job

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PLUGIN = Path(sys.executable).with_name("kubectl-pretrain")


class Commands:
    """The plugin, with the cluster's kubeconfig and a namespace."""

    def __init__(self, cluster: LocalCluster, namespace: str) -> None:
        self.environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        self.namespace = namespace

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run one; return what it printed, both streams."""
        ended = subprocess.run(
            [PLUGIN, *arguments, "-n", self.namespace],
            env=self.environment,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        assert ended.returncode == code, f"{arguments} ended with {ended.returncode}: {ended.stdout}"
        return ended.stdout


@pytest.fixture
def pretrain(cluster: LocalCluster, namespace: str) -> Commands:
    """The commands."""
    return Commands(cluster, namespace)


def test_a_job_by_commands_alone(pretrain: Commands, jobs: Jobs, tmp_path: Path) -> None:
    assert pretrain("list") == f"no jobs in namespace {jobs.namespace}\n"
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(small_job("told", training__tokens=4_194_304, checkpoint__keepEverySteps=100)))

    assert pretrain("submit", str(file)).startswith(f"told created in namespace {jobs.namespace}\n")
    assert pretrain("submit", str(file)).startswith(f"told unchanged in namespace {jobs.namespace}\n")
    assert pretrain("submit", "-o", "name", str(file)) == "pretrainjob.pretrain.dev/told\n"
    jobs.wait(lambda: jobs.step("told") > 200, 400, "told at step 200")

    (line,) = pretrain("list").splitlines()[1:]
    assert line.split()[:2] == ["told", "Training"]
    assert "data          " in (glance := pretrain("status", "told"))
    assert "loss " in glance
    assert json.loads(pretrain("status", "told", "-o", "json"))["status"]["phase"] == "Training"
    assert "checkpoint at step 20" in pretrain("logs", "told", "--rank", "1")
    assert "documents" in pretrain("logs", "told", "--stage", "clean")
    head, *plot = pretrain("plot", "told").splitlines()
    assert head.startswith("told: loss ")
    assert plot[-1].split()[-2] == "step"

    _rollback_that_is_done(pretrain, jobs)
    _rollback_that_is_refused(pretrain, jobs)
    _suspension(pretrain, jobs)
    jobs.wait_for_phase("told", "Completed", 400)
    _after_its_end(pretrain, jobs, tmp_path)


def _rollback_that_is_done(pretrain: Commands, jobs: Jobs) -> None:
    assert "training stops, goes back to its newest whole checkpoint" in pretrain(
        "rollback", "told", "--to-step", "119", "--skip-sequences", "8"
    )
    jobs.wait(lambda: jobs.status("told").get("rollbacks"), 60, "the rollback in the status")
    (record,) = jobs.status("told")["rollbacks"]
    skipped = record["skippedSequences"]
    assert record["reason"] == "RequestedByUser"
    assert record["resumedFromStep"] == 100, "of those around step 119 only step 100 is kept for good"
    assert skipped["to"] - skipped["from"] == 8
    assert "RequestedByUser" in pretrain("status", "told")


def _rollback_that_is_refused(pretrain: Commands, jobs: Jobs) -> None:
    assert "is ahead of training" in pretrain("rollback", "told", "--to-step", "1000000", code=1)
    pretrain("rollback", "told", "--to-step", "1")
    jobs.wait(lambda: jobs.status("told").get("refusedRollback"), 60, "the refusal in the status")
    assert "no valid checkpoint at or before it" in pretrain("status", "told")
    jobs.wait(lambda: "RollbackRefused" in pretrain("events", "told"), 15, "the refusal as an event")


def _suspension(pretrain: Commands, jobs: Jobs) -> None:
    assert "saves a checkpoint" in pretrain("suspend", "told")
    jobs.wait_for_phase("told", "Suspended", 60)
    assert "suspended already" in pretrain("suspend", "told")
    # No pod of the job runs: its storage is read through another one, which goes again.
    assert pretrain("plot", "told").startswith("told: loss ")
    assert not [each for each in jobs.list("pods") if "-reader-" in each["metadata"]["name"]]
    assert "goes on from the checkpoint" in pretrain("resume", "told")


def _after_its_end(pretrain: Commands, jobs: Jobs, folder: Path) -> None:
    jobs.wait(lambda: "written" in pretrain("status", "told"), 60, "the report")
    page, picture = folder / "told.html", folder / "told.png"
    pretrain("report", "told", "-o", str(page))
    assert "told" in page.read_text()
    pretrain("plot", "told", "--png", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "told is complete" in pretrain("rollback", "told", "--to-step", "20", code=1)
    assert "has no job 'other'" in pretrain("status", "other", code=1)
