"""The chart as helm renders it, and as a real API server takes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pretrain_cluster import ClusterError, ControlPlaneOnly
from pretrain_cluster.definitions import prometheus_operator_definitions
from pretrain_cluster.host import why_not
from pretrain_cluster.processes import run
from pretrain_cluster.progress import Progress
from pretrain_cluster.tools import MORE_MODULES, build
from pretrain_cluster.topology import tools_directory

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

EVERYTHING = (
    "serviceMonitor.enabled=true",
    "podMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "dashboards.enabled=true",
)
NOTHING = (
    "serviceAccount.create=false",
    "serviceAccount.name=mine",
    "rbac.create=false",
    "podDisruptionBudget.enabled=false",
    "networkPolicy.enabled=false",
)
Render = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def helm() -> Path:
    """The real one."""
    if reason := why_not():
        pytest.skip(reason)
    return build(tools_directory(), Progress(), tuple(each for each in MORE_MODULES if each.name == "helm"))["helm"]


@pytest.fixture
def render(helm: Path, chart: Path) -> Render:
    """Renders the chart with values."""

    def rendered(*values: str) -> list[dict[str, Any]]:
        switches = [word for value in values for word in ("--set", value)]
        text = run([helm, "template", "pretrain", chart, "-n", "pretrain-system", *switches])
        return [document for document in yaml.safe_load_all(text) if document]

    return rendered


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlaneOnly]:
    """A control plane that knows the Prometheus operator's resources."""
    if reason := why_not():
        pytest.skip(reason)
    with ControlPlaneOnly(tmp_path_factory.mktemp("plane")) as running:
        for definition in prometheus_operator_definitions(Progress()):
            running.define(definition, definition.stem.rpartition("_")[2])
        running.kubectl("create", "namespace", "pretrain-system")
        running.kubectl("create", "namespace", "team")
        yield running


def test_lint_finds_nothing(helm: Path, chart: Path) -> None:
    said = run([helm, "lint", "--strict", chart])
    assert "0 chart(s) failed" in said


@pytest.mark.parametrize(
    "values",
    [(), EVERYTHING, NOTHING, ("watch.namespaces={team}",), ("watch.nodes=false", "replicas=1")],
    ids=["default", "everything", "nothing", "namespaces", "one replica"],
)
def test_the_api_server_takes_every_object(plane: ControlPlaneOnly, render: Render, values: tuple[str, ...]) -> None:
    documents = render(*values)
    kinds = {document["kind"] for document in documents}
    assert {"Deployment", "ConfigMap", "Service"} <= kinds
    assert ({"ServiceMonitor", "PodMonitor", "PrometheusRule"} <= kinds) == (values == EVERYTHING)
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=everything)


def test_dashboards_arrive_as_they_are(render: Render, chart: Path) -> None:
    maps = [each for each in render(*EVERYTHING) if "grafana_dashboard" in each["metadata"].get("labels", {})]
    assert len(maps) == 2
    for each in maps:
        ((name, text),) = each["data"].items()
        assert json.loads(text) == json.loads((chart / "dashboards" / name).read_text())


def test_rules_arrive_as_they_are(render: Render, chart: Path) -> None:
    (rule,) = (each for each in render(*EVERYTHING) if each["kind"] == "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((chart / "rules.yaml").read_text())


@pytest.mark.parametrize(
    ("value", "said"),
    [("replicas=-1", "replicas"), ("replicaz=2", "replicaz"), ("logFormat=xml", "logFormat"), ("workers=0", "workers")],
)
def test_wrong_values_are_refused(render: Render, value: str, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        render(value)


def test_pods_of_the_operator_are_restricted(render: Render) -> None:
    (deployment,) = (each for each in render() if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
