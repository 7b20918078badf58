"""The operator on a control plane without nodes: what it does, as the API server sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pretrain_cluster import ControlPlaneOnly
from pretrain_cluster.host import why_not
from pretrain_cluster.operator_process import OperatorProcess
from pretrain_cluster.pretrainjobs import define_pretrainjobs


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlaneOnly]:
    """A control plane that knows PretrainJobs."""
    if reason := why_not():  # it needs no root; its programs are built where a whole cluster can run, too
        pytest.skip(reason)
    with ControlPlaneOnly(tmp_path_factory.mktemp("plane")) as running:
        define_pretrainjobs(running)
        yield running


@pytest.fixture(scope="package")
def operator(plane: ControlPlaneOnly, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """The operator, for all namespaces."""
    process = OperatorProcess(plane.kubeconfig, tmp_path_factory.mktemp("operator"))
    process.start()
    process.wait_until_serving()
    yield process
    assert process.stop() == 0
    print(process.log.read_text())


@pytest.fixture
def namespace(plane: ControlPlaneOnly, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own; what is in it goes with it."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "").replace(".", "-")[:60].strip("-")
    plane.kubectl("create", "namespace", name)
    yield name
    plane.kubectl("delete", "pretrainjobs", "-n", name, "--all", "--timeout=60s")
    plane.kubectl("delete", "namespace", name, "--wait=false")
