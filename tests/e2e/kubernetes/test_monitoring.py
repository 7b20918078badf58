"""A real Prometheus scrapes the operator and the pods of a job: every panel shows something, every rule is healthy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import yaml
from pretrain_cluster.operator_process import OperatorProcess
from pretrain_cluster.processes import run, wait_until
from pretrain_cluster.prometheus import Prometheus

from pretrain_api.wire import DEFAULT_HTTP_PORT

from .jobs import Jobs, small_job
from .test_install import helm_program

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

CHART = Path(__file__).resolve().parents[3] / "charts" / "pretrain-operator"
ONLY_AFTER_TROUBLE = {"Rollbacks", "Restarts"}
"""Annotations, and panels by cause."""
OFTEN_NOTHING = {"Refused requests", "Model FLOP utilisation", "Time left"}
"""Panels that show a zero where there is nothing. In all others something has to be."""


class Targets:
    """The pods of a namespace as service discovery shows them: Debian's Prometheus comes without Kubernetes'."""

    def __init__(self, jobs: Jobs, folder: Path) -> None:
        self._jobs = jobs
        self.file = folder / "targets.json"
        self.refresh()

    def refresh(self) -> None:
        """Look which pods run now."""
        running = [pod for pod in self._jobs.list("pods", "pretrain.dev/job") if pod["status"].get("podIP")]
        shown = [
            {"targets": [f"{pod['status']['podIP']}:{DEFAULT_HTTP_PORT}"], "labels": _discovered(pod["metadata"])}
            for pod in running
            if pod["status"]["phase"] == "Running"
        ]
        unfinished = self.file.with_suffix(".new")
        unfinished.write_text(json.dumps(shown))
        unfinished.replace(self.file)


def _discovered(metadata: dict[str, Any]) -> dict[str, str]:
    labels = {
        f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', key)}": value
        for key, value in metadata["labels"].items()
    }
    # These two are what the Prometheus operator adds to every target by itself.
    return {**labels, "namespace": metadata["namespace"], "pod": metadata["name"]}


def scrape_configs(operator: OperatorProcess, targets: Targets) -> list[dict[str, Any]]:
    """As the chart's ServiceMonitor and PodMonitor have the Prometheus operator write them."""
    switches = [word for kind in ("serviceMonitor", "podMonitor") for word in ("--set", f"{kind}.enabled=true")]
    text = run([helm_program(), "template", CHART, "--show-only", "templates/monitoring.yaml", *switches])
    monitors = {each["kind"]: each["spec"] for each in yaml.safe_load_all(text)}
    (endpoint,), (pod_endpoint,) = (
        monitors["ServiceMonitor"]["endpoints"],
        monitors["PodMonitor"]["podMetricsEndpoints"],
    )
    relabelings = [
        {"source_labels": each["sourceLabels"], "target_label": each["targetLabel"]}
        for each in pod_endpoint["relabelings"]
    ]
    return [
        {
            "job_name": "operator",
            "metrics_path": endpoint["path"],
            "honor_labels": endpoint["honorLabels"],
            "static_configs": [{"targets": [operator.address]}],
        },
        {
            "job_name": "jobs",
            "metrics_path": pod_endpoint["path"],
            "file_sd_configs": [{"files": [str(targets.file)]}],
            "relabel_configs": relabelings,
        },
    ]


def panels(dashboard: Path, **variables: str) -> list[tuple[str, str]]:
    """Title and query of each panel and annotation, with the variables put in."""
    document = json.loads(dashboard.read_text())
    found = [
        (panel["title"], target["expr"]) for panel in document["panels"] for target in panel.get("targets", ())
    ] + [(note["name"], note["expr"]) for note in document["annotations"]["list"]]
    for name, value in variables.items():
        found = [(title, text.replace(f"${name}", value)) for title, text in found]
    zero = " or vector(0)"
    return [(title, text if title in OFTEN_NOTHING else text.removesuffix(zero)) for title, text in found]


def test_every_panel_shows_something_and_every_rule_is_healthy(
    namespace: str, jobs: Jobs, operator: OperatorProcess, tmp_path: Path
) -> None:
    asked = panels(CHART / "dashboards" / "job.json", namespace=namespace, job="watched")
    asked += panels(CHART / "dashboards" / "operator.json")
    targets = Targets(jobs, tmp_path)

    def wait(what: Callable[[], object], seconds: float, meaning: str) -> None:
        def look() -> object:
            targets.refresh()
            return what()

        jobs.wait(look, seconds, meaning, lambda: f"; no data in {empty}")

    with Prometheus(tmp_path, scrape_configs(operator, targets), CHART / "rules.yaml") as prometheus:
        empty = list(asked)

        def all_shown(but: Collection[str] = ()) -> bool:
            empty[:] = [(title, text) for title, text in empty if not prometheus.shows(text)]
            return all(title in but for title, _ in empty)

        often = {"training__evaluation__everyTokens": 16 * 2048, "checkpoint__everySteps": 10}
        # Enough text, the same some times, that each work item is scraped at least twice, on a fast machine too.
        everything = "sample://python?kinds=topics,docstrings,licenses,sources"
        text = [{"name": f"docs-{number}", "uri": everything} for number in range(8)]
        name = jobs.apply(small_job("watched", data__sources=text, training__tokens="8Mi", **often))
        wait(lambda: all_shown(but=ONLY_AFTER_TROUBLE), 500, "data in every panel")
        wait(lambda: jobs.step(name) > 20, 200, f"{name} at step 20")
        jobs.kubectl("delete", "pod", f"{name}-trainer-1", "--wait=false")
        wait(lambda: jobs.status(name)["restarts"]["total"], 100, "the restart in the status")
        request = '{"id": "1", "toStep": 0, "skipSequences": 8}'
        jobs.kubectl("annotate", "pretrainjob", name, f"pretrain.dev/rollback={request}")
        wait(lambda: jobs.status(name).get("rollbacks"), 300, "the rollback in the status")
        wait(all_shown, 100, "data in the panels about trouble")

        wait_until(lambda: _healthy(prometheus), 30, lambda: f"not healthy: {prometheus.rules()}", 1.0)
        wait_until(lambda: "PretrainJobRolledBack" in _firing(prometheus), 60, lambda: "the alert doesn't fire", 1.0)
        assert not {"PretrainJobFailed", "PretrainOperatorHasNoLeader"} & _firing(prometheus)

    jobs.kubectl("delete", "pretrainjob", name, "--timeout=120s")
    wait_until(lambda: f'name="{name}"' not in operator.get("/metrics"), 30, lambda: "series outlive their job", 1.0)


def _healthy(prometheus: Prometheus) -> bool:
    rules = prometheus.rules()
    return len(rules) >= 8 and all(rule["health"] == "ok" for rule in rules)


def _firing(prometheus: Prometheus) -> set[str]:
    return {each["metric"]["alertname"] for each in prometheus.query('ALERTS{alertstate="firing"}')}
