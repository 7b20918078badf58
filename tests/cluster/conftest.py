"""The cluster for tests that need a real Kubernetes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pretrain_cluster import ClusterError, LocalCluster, select
from pretrain_cluster.host import why_not
from pretrain_cluster.images import write_program_image

BUSYBOX_IMAGE = "localhost/pretrain-busybox:1"
BUSYBOX_PROGRAMS = ("cat", "dd", "hostname", "httpd", "id", "ls", "mkdir", "nslookup", "sh", "sleep", "wget")


def _need_a_local_cluster() -> None:
    if not isinstance(select(), LocalCluster):
        pytest.skip("CLUSTER or KUBECONFIG asks for another cluster")
    if reason := why_not():
        pytest.skip(reason)
    if os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") != "1":
        pytest.skip("there is one local cluster: run its tests without -n")


@pytest.fixture(scope="session")
def _kept_as_found() -> Iterator[None]:
    """A cluster that ran before the tests runs after them, and no other."""
    _need_a_local_cluster()
    ran = LocalCluster().ready()
    yield
    LocalCluster().up() if ran else LocalCluster().down()


@pytest.fixture
def no_cluster(_kept_as_found: None) -> LocalCluster:
    """The local cluster, ended."""
    cluster = LocalCluster()
    cluster.down()
    return cluster


@pytest.fixture
def cluster(_kept_as_found: None) -> LocalCluster:
    """The local cluster, running and ready."""
    cluster = LocalCluster()
    cluster.up()
    return cluster


@pytest.fixture
def busybox(cluster: LocalCluster, tmp_path: Path) -> str:
    """The name of an image on every node that has a shell and a few programs."""
    archive = tmp_path / "busybox.tar"
    links = tuple(f"/bin/{name}" for name in BUSYBOX_PROGRAMS)
    write_program_image(archive, BUSYBOX_IMAGE, Path("/bin/busybox"), "/bin/busybox", links)
    cluster.load_image(archive)
    return BUSYBOX_IMAGE


@pytest.fixture
def namespace(cluster: LocalCluster) -> Iterator[str]:
    """A namespace for the test, with restricted pod security; it is gone afterwards."""
    name = "cluster-test"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    try:
        cluster.kubectl("delete", "namespace", name, "--timeout=60s")
    except ClusterError:  # the test may have ended the cluster
        if cluster.ready():
            raise
