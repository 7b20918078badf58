"""`make cluster` and `make cluster-down`: they can be repeated, cut short at any moment, and leave nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pretrain_cluster import LocalCluster, packages, tools
from pretrain_cluster.progress import Progress
from pretrain_cluster.topology import tools_directory

from .traces import traces

pytestmark = pytest.mark.cluster

PACKAGE_FOLDER = Path(__file__).parent


@pytest.fixture
def host(no_cluster: LocalCluster) -> dict[str, object]:
    """What the host looks like without a cluster, everything for one being installed and built."""
    packages.install(packages.CLUSTER_PACKAGES | packages.IMAGE_PACKAGES, Progress())
    tools.build(tools_directory(), Progress())
    return traces()


def _launch(command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_FOLDER)}
    return subprocess.Popen(
        [sys.executable, "-m", "pretrain_cluster", command], env=environment, stdout=subprocess.PIPE, text=True
    )


def _finish(command: str) -> str:
    with _launch(command) as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    return output


def test_up_and_down_can_be_repeated_and_leave_nothing(host: dict[str, object], no_cluster: LocalCluster) -> None:
    first = _finish("up")
    assert first.splitlines()[-1] == f"export KUBECONFIG={no_cluster.kubeconfig}"
    assert no_cluster.kubeconfig.stat().st_mode & 0o077 == 0
    running = traces()
    changed = {name for name, before in host.items() if running[name] != before}
    assert changed == {"processes", "links", "addresses", "routes", "control groups", "state"}
    uid = no_cluster.kubectl("get", "namespace", "default", "-o", "jsonpath={.metadata.uid}")
    assert _finish("up") == first
    assert no_cluster.kubectl("get", "namespace", "default", "-o", "jsonpath={.metadata.uid}") == uid

    _finish("down")
    assert traces() == host
    _finish("down")
    assert traces() == host


@pytest.mark.parametrize("moment", [0.3, 0.8, 1.5, 3.0, 6.0, 10.0])
def test_a_launcher_killed_half_way_leaves_nothing_after_down(
    moment: float, host: dict[str, object], no_cluster: LocalCluster
) -> None:
    with _launch("up") as process:
        try:
            process.wait(timeout=moment)  # the moment is the point: whatever has been started by then
        except subprocess.TimeoutExpired:
            process.kill()
    _finish("down")
    assert traces() == host


def test_a_cluster_whose_launcher_was_killed_is_started_anew(no_cluster: LocalCluster) -> None:
    with _launch("up") as process:
        deadline = time.monotonic() + 60
        while not (no_cluster.directory / "node-2" / "log" / "containerd.log").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    assert not no_cluster.ready()
    no_cluster.up()
    assert no_cluster.ready()
