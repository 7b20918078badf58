"""A cluster, a namespace, an operator for the tests of whole jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pretrain_cluster import LocalCluster, select
from pretrain_cluster.host import why_not
from pretrain_cluster.operator_process import OperatorProcess
from pretrain_cluster.pretrainjobs import DEFINITION
from pretrain_cluster.progress import Progress
from pretrain_cluster.project_images import load_project_images

from .jobs import Jobs


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """The local cluster with the project's images; it is ended afterwards unless it ran before."""
    chosen = select()
    if not isinstance(chosen, LocalCluster):
        pytest.skip("these tests lose nodes and stop API servers: they need the local cluster")
    if reason := why_not():
        pytest.skip(reason)
    ran = chosen.ready()
    chosen.up()
    load_project_images(chosen, Progress())
    yield chosen
    if not ran:
        chosen.down()


@pytest.fixture
def namespace(cluster: LocalCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, with restricted Pod Security; gone afterwards, with all that was in it."""
    name = f"e2e-{request.node.name.replace('_', '-').replace('[', '-').replace(']', '')[:50].lower().strip('-')}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    cluster.kubectl("delete", "namespace", name, "--timeout=120s")


@pytest.fixture
def operator(cluster: LocalCluster, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator of that namespace, running."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(DEFINITION))
    process = OperatorProcess(cluster.kubeconfig, tmp_path, {"namespaces": [namespace]})
    process.start()
    process.wait_until_serving()
    yield process
    if not process.serving():
        process.start()
        process.wait_until_serving()
    cluster.kubectl("delete", "pretrainjobs", "-n", namespace, "--all", "--timeout=90s")
    assert process.stop() == 0
    print(process.log.read_text())


@pytest.fixture
def jobs(cluster: LocalCluster, namespace: str, operator: OperatorProcess) -> Jobs:
    """The jobs of the namespace."""
    return Jobs(cluster, namespace)
