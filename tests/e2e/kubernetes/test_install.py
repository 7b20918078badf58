"""The README's way: helm install, kubectl apply, wait, delete; then upgrade, rollback, uninstall."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pretrain_cluster import ClusterError, LocalCluster
from pretrain_cluster.processes import run, wait_until
from pretrain_cluster.progress import Progress
from pretrain_cluster.tools import MORE_MODULES, build
from pretrain_cluster.topology import tools_directory

from .jobs import Jobs, small_job

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CHART = Path(__file__).resolve().parents[3] / "charts" / "pretrain-operator"
CRD = "pretrainjobs.pretrain.dev"
SYSTEM, TEAM = "e2e-install-system", "e2e-install"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:pretrain-operator"


def helm_program() -> Path:
    """Return the real helm, built where it isn't yet."""
    module = next(each for each in MORE_MODULES if each.name == "helm")
    return build(tools_directory(), Progress(), (module,))["helm"]


class Helm:
    """Helm, for the release of these tests."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._kubeconfig = cluster.kubeconfig
        self._program = helm_program()

    def __call__(self, command: str, *arguments: str) -> str:
        """Run a command on the release."""
        return run([self._program, "--kubeconfig", self._kubeconfig, command, "pretrain", "-n", SYSTEM, *arguments])

    def install(self) -> None:
        """Install the chart with its default values."""
        self("install", str(CHART), "--create-namespace", "--wait", "--timeout", "180s")

    def upgrade(self, *values: str, reuse: bool = False) -> None:
        """Upgrade to other values; those that were there go, or stay with `reuse`."""
        switches = [word for value in values for word in ("--set", value)]
        how = ["--reuse-values"] if reuse else []
        self("upgrade", str(CHART), "--wait", "--timeout", "180s", *switches, *how)


@pytest.fixture(scope="module")
def team(cluster: LocalCluster) -> Iterator[Jobs]:
    """A namespace of people who train, with restricted Pod Security."""
    cluster.kubectl("create", "namespace", TEAM)
    cluster.kubectl("label", "namespace", TEAM, "pod-security.kubernetes.io/enforce=restricted")
    yield Jobs(cluster, TEAM)
    cluster.kubectl("delete", "namespace", TEAM, "--timeout=120s")


@pytest.fixture(scope="module")
def release(cluster: LocalCluster, team: Jobs) -> Iterator[Helm]:
    """The chart, installed with default values into a namespace of its own; gone afterwards, with its definition."""
    cluster.kubectl("delete", "crd", CRD, "--ignore-not-found", "--timeout=90s")
    helm = Helm(cluster)
    helm.install()
    yield helm
    team.kubectl("delete", "pretrainjobs", "--all", "--timeout=90s")
    helm("uninstall", "--wait")
    cluster.kubectl("delete", "crd", CRD, "--timeout=90s")
    cluster.kubectl("delete", "namespace", SYSTEM, "--timeout=120s")


def test_from_installation_to_a_model(cluster: LocalCluster, team: Jobs, release: Helm) -> None:
    name = team.apply(small_job("first"))
    team.wait_for_phase(name, "Completed", 500)

    status = team.status(name)
    assert status["training"]["step"] == status["training"]["totalSteps"] == 128
    assert status["restarts"]["total"] == 0
    assert {each["type"]: each["status"] for each in status["conditions"]} == {
        "Valid": "True",
        "DataReady": "True",
        "Running": "False",
        "Suspended": "False",
        "Complete": "True",
    }
    # Everything is in the storage, and only there.
    (claim,) = team.list("persistentvolumeclaims")
    volume = cluster.control_plane.volumes / claim["spec"]["volumeName"]
    assert json.loads((volume / "model" / "config.json").read_text())["model_type"] == "llama"
    assert (volume / "model" / "model.safetensors").stat().st_size > 0
    assert (volume / "report" / "index.html").exists()
    assert not team.list("statefulsets")

    # Columns for people.
    line = team.kubectl("get", "ptj", name, "--no-headers")
    assert "Completed" in line
    assert "128/128" in line

    team.kubectl("delete", "pretrainjob", name, "--timeout=60s")
    left = team.kubectl("get", "jobs,statefulsets,services,poddisruptionbudgets,networkpolicies,pods", "-o", "name")
    assert not [each for each in left.split() if name in each]
    assert [claim["metadata"]["name"] for claim in team.list("persistentvolumeclaims")] == [f"{name}-storage"]


def test_the_operator_may_do_no_more_than_it_needs(cluster: LocalCluster, team: Jobs, release: Helm) -> None:
    def may(verb: str, what: str, where: str = TEAM, subresource: str = "") -> bool:
        kubectl = cluster.control_plane.programs["kubectl"]
        command = [kubectl, f"--kubeconfig={cluster.kubeconfig}", "auth", "can-i", verb, what, "-n", where]
        asked = subprocess.run(
            [*command, f"--as={ACCOUNT}", f"--subresource={subresource}"], capture_output=True, text=True, check=False
        )
        assert asked.stdout.strip() in ("yes", "no"), asked.stderr
        return asked.stdout.strip() == "yes"

    assert may("create", "jobs.batch")
    assert may("patch", "pretrainjobs.pretrain.dev", subresource="status")
    assert may("update", "leases.coordination.k8s.io/pretrain-operator", SYSTEM)
    for verb, what, *subresource in (
        ("get", "secrets"),
        ("list", "secrets"),
        ("create", "pods"),
        ("create", "pods", "exec"),
        ("get", "pods", "log"),
        ("delete", "persistentvolumeclaims"),
        ("create", "deployments.apps"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("impersonate", "users"),
        ("update", "nodes"),
        ("update", "leases.coordination.k8s.io/somebody-else"),
    ):
        assert not may(verb, what, TEAM, *subresource), f"{verb} {what} {subresource}"


def test_the_operator_touches_only_what_belongs_to_a_job(team: Jobs, release: Helm) -> None:
    team.kubectl("create", "configmap", "foreign", "--from-literal=key=value")
    team.kubectl("create", "configmap", "ours")
    team.kubectl("label", "configmap", "ours", "pretrain.dev/job=some")

    def refusal(*command: str) -> str:
        try:
            team.kubectl(*command, f"--as={ACCOUNT}")
        except ClusterError as error:
            return str(error)
        return ""

    change = ("--type=merge", "-p", '{"data": {"key": "other"}}')
    # The policy reaches the API server's admission a moment after it was made.
    wait_until(
        lambda: "objects of PretrainJobs only" in refusal("patch", "configmap", "foreign", *change),
        30,
        lambda: "the operator may change what isn't its own",
        0.5,
    )
    assert "touches objects of PretrainJobs only" in refusal("label", "configmap", "foreign", "pretrain.dev/job=some")
    assert "makes objects of PretrainJobs only" in refusal("create", "job", "mine", "--image=localhost/any:1")
    assert "makes objects of PretrainJobs only" in refusal("label", "configmap", "ours", "pretrain.dev/job-")
    assert not refusal("patch", "configmap", "ours", *change)


def test_upgrade_rollback_and_every_switch(cluster: LocalCluster, team: Jobs, release: Helm) -> None:
    release.upgrade("logFormat=text", f"watch.namespaces={{{TEAM}}}", "workers=4")
    assert team.kubectl("get", "role", "-o", "name")
    release("rollback", "1", "--wait", "--timeout", "180s")
    assert not team.kubectl("get", "role", "-o", "name")
    release.upgrade("networkPolicy.enabled=false", "podDisruptionBudget.enabled=false", "dashboards.enabled=true")
    release.upgrade("replicas=1", reuse=True)
    kept = cluster.kubectl("get", "configmaps", "-n", SYSTEM, "-l", "grafana_dashboard=1", "-o", "name")
    assert len(kept.split()) == 2
    assert not cluster.kubectl("get", "networkpolicies,poddisruptionbudgets", "-n", SYSTEM, "-o", "name")


def test_jobs_outlive_the_operator_and_go_on_with_the_next(cluster: LocalCluster, team: Jobs, release: Helm) -> None:
    name = team.apply(small_job("outlives", suspend=True))
    team.wait_for_phase(name, "Suspended", 60)
    release("uninstall", "--wait")
    assert CRD in cluster.kubectl("get", "crd", "-o", "name"), "the definition stays"
    assert team.phase(name) == "Suspended"

    release.install()
    team.kubectl("patch", "pretrainjob", name, "--type=merge", "-p", '{"spec": {"suspend": false}}')
    team.wait_for_phase(name, "Preparing", 60)
