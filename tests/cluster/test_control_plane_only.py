"""A control plane without nodes: it does what Kubernetes does, in seconds, and ends with whoever started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pretrain_cluster import ClusterError, ControlPlaneOnly
from pretrain_cluster.processes import all_processes, wait_until

pytestmark = pytest.mark.cluster

PACKAGE_FOLDER = Path(__file__).parent
SECONDS_TO_START = 20.0  # 3 s where nothing else is at work


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlaneOnly]:
    """A control plane that schedules, running."""
    with ControlPlaneOnly(tmp_path, scheduler=True) as running:
        yield running


def _daemons_of(directory: Path) -> set[str]:
    # etcd's files are on its command line, as kubeconfigs and certificates are on the others'.
    found = (process.arguments for process in all_processes())
    return {Path(words[0]).name for words in found if any(str(directory) in word for word in words[1:])}


def test_it_starts_in_seconds_and_leaves_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    with ControlPlaneOnly(tmp_path) as plane:
        assert time.monotonic() - began < SECONDS_TO_START
        assert plane.kubectl("get", "namespace", "default", "-o", "name") == "namespace/default\n"
        assert plane.kubeconfig.stat().st_mode & 0o077 == 0
        assert _daemons_of(tmp_path) == {"etcd", "kube-apiserver", "kube-controller-manager"}
    assert list(tmp_path.iterdir()) == []
    assert _daemons_of(tmp_path) == set()


def test_two_run_side_by_side(tmp_path: Path, plane: ControlPlaneOnly) -> None:
    with ControlPlaneOnly(tmp_path / "other") as other:
        other.kubectl("create", "namespace", "elsewhere")
        assert "elsewhere" not in plane.kubectl("get", "namespaces", "-o", "name")


def test_pods_of_its_nodes_run_and_jobs_complete(plane: ControlPlaneOnly) -> None:
    plane.add_nodes(3)
    plane.kubectl("create", "job", "once", "--image=localhost/any:1")
    plane.kubectl("create", "deployment", "lasting", "--image=localhost/any:1", "--replicas=3")
    plane.kubectl("wait", "job/once", "--for=condition=Complete", "--timeout=30s")
    plane.kubectl("rollout", "status", "deployment/lasting", "--timeout=30s")

    pods = json.loads(plane.kubectl("get", "pods", "-l", "app=lasting", "-o", "json"))["items"]
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    assert {pod["spec"]["nodeName"] for pod in pods} == {"kwok-0", "kwok-1", "kwok-2"}
    plane.kubectl("delete", "deployment/lasting")
    plane.kubectl("wait", "pods", "-l", "app=lasting", "--for=delete", "--timeout=30s")


def test_the_api_server_comes_back_with_everything(plane: ControlPlaneOnly) -> None:
    plane.kubectl("create", "configmap", "kept", "--from-literal=key=value")
    plane.stop_api_server()
    with pytest.raises(ClusterError):
        plane.kubectl("get", "configmap", "kept")
    plane.start_api_server()
    plane.restart_etcd()
    assert plane.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.key}") == "value"


def test_it_ends_with_its_starter_however_that_ends(tmp_path: Path) -> None:
    script = (
        f"import pathlib; from pretrain_cluster import ControlPlaneOnly; "
        f"ControlPlaneOnly(pathlib.Path({str(tmp_path)!r})).up(); print('up', flush=True); input()"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_FOLDER)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdin=pipe, stdout=pipe) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        assert _daemons_of(tmp_path)
        starter.kill()
    wait_until(lambda: not _daemons_of(tmp_path), 10, lambda: f"still there: {_daemons_of(tmp_path)}")


def test_what_is_not_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"isn't up: call up\(\) first"):
        ControlPlaneOnly(tmp_path).kubectl("get", "nodes")
