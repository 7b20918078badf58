"""What pods can do on the cluster: all that the operator's will."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from pretrain_cluster import LocalCluster
from pretrain_cluster.processes import wait_until

from .workload import PORT, servers

pytestmark = pytest.mark.cluster

Exec = Callable[..., str]


@pytest.fixture
def running(cluster: LocalCluster, busybox: str, namespace: str) -> Exec:
    """Two servers run; gives what runs a command in one of them."""
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=servers(busybox))
    cluster.kubectl("rollout", "status", "-n", namespace, "statefulset/web", "--timeout=60s")

    def in_pod(pod: str, *command: str) -> str:
        return cluster.kubectl("exec", "-n", namespace, pod, "--", *command).strip()

    return in_pod


def test_pods_of_a_cluster_with_two_nodes(running: Exec, cluster: LocalCluster, namespace: str) -> None:
    pods = json.loads(cluster.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2"}

    # exec, and restricted: nobody's user on a file system that can't be written
    assert running("web-0", "id", "-u") == "1000"

    # names: of pods behind a headless Service, of Services; addresses outside don't exist, at once
    for one, other in (("web-0", "web-1"), ("web-1", "web-0")):
        assert running(one, "wget", "-qO-", f"http://{other}.web:{PORT}/name") == other
    balanced = f"http://web-balanced.{namespace}.svc.cluster.local:{PORT}/name"
    assert {running("web-0", "wget", "-qO-", balanced) for _ in range(20)} == {"web-0", "web-1"}
    assert "NXDOMAIN" in running("web-0", "sh", "-c", "nslookup example.org || true")

    # the API server, by its Service, is there for the account that every pod has
    assert running("web-0", "ls", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    assert "10.96.0.1" in running("web-0", "nslookup", "kubernetes.default.svc.cluster.local")

    assert cluster.kubectl("logs", "-n", namespace, "web-1").strip() == "serving as web-1"


def test_the_host_reaches_pods_and_services(running: Exec, cluster: LocalCluster, namespace: str) -> None:
    pods = json.loads(cluster.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    for pod in pods:
        assert _get(pod["status"]["podIP"]) == pod["metadata"]["name"]
    service = json.loads(cluster.kubectl("get", "service", "-n", namespace, "web-balanced", "-o", "json"))
    assert _get(service["spec"]["clusterIP"]) in {"web-0", "web-1"}


def test_a_claim_is_shared_by_pods_of_all_nodes_and_goes_with_its_files(
    running: Exec, cluster: LocalCluster, namespace: str
) -> None:
    running("web-0", "sh", "-c", "mkdir /shared/folder && echo from web-0 > /shared/folder/file")
    assert running("web-1", "cat", "/shared/folder/file") == "from web-0"
    (volume,) = cluster.control_plane.volumes.iterdir()

    cluster.kubectl("delete", "-n", namespace, "statefulset/web", "pvc/web-shared", "--timeout=60s")
    wait_until(lambda: not volume.exists(), 60, lambda: f"{volume} is still there")


def test_an_image_is_loaded_once(cluster: LocalCluster, busybox: str, tmp_path: Path) -> None:
    archive = tmp_path / "busybox.tar"
    assert not cluster.node(1).load_image(archive)
    assert not cluster.node(2).load_image(archive)


def _get(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address}:{PORT}/name", timeout=10) as response:
        return str(response.read().decode().strip())
