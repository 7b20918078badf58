"""PretrainJobs as tests write and watch them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pretrain_cluster import ClusterError, LocalCluster
from pretrain_cluster.processes import wait_until

QUICKSTART = Path(__file__).resolve().parents[3] / "manifests" / "quickstart.yaml"
Document = dict[str, Any]


def small_job(name: str, **changes: Any) -> Document:
    """Return a job of a few minutes: the quickstart with less of everything, on two trainer pods.

    Args:
        name: Of the job.
        changes: Values by path below spec, dots written as two underscores.
    """
    document: Document = yaml.safe_load(QUICKSTART.read_text())
    document["metadata"]["name"] = name
    spec = document["spec"]
    spec["data"]["sources"] = [{"name": "docs", "uri": "sample://python?kinds=topics,licenses"}]
    spec["data"]["shards"] = 2
    spec["data"]["workers"] = 2
    spec["data"]["tokenizer"] = {"train": {"algorithm": "sentencepiece-bpe", "vocabSize": 512, "sampleBytes": 500_000}}
    spec["model"] |= {"hiddenSize": 64, "intermediateSize": 128, "numHiddenLayers": 2, "numAttentionHeads": 2}
    spec["model"]["numKeyValueHeads"] = 2
    spec["training"] |= {"tokens": 262144, "batch": {"stages": [{"tokens": 2048, "from": 0}]}}
    spec["training"]["evaluation"] = {"everyTokens": 131072, "maxSequences": 16}
    spec["checkpoint"] = {"everySteps": 20, "keepLast": 2}
    spec["trainer"] = {"numNodes": 2, "numProcPerNode": 1}
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = spec
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return document


def data_only(name: str, **changes: Any) -> Document:
    """Return a small job that prepares data and no more."""
    document = small_job(name, **changes)
    for part in ("model", "objective", "training", "checkpoint", "stability", "trainer"):
        document["spec"].pop(part, None)
    return document


class Jobs:
    """The jobs of a namespace."""

    def __init__(self, cluster: LocalCluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, input=input)

    def apply(self, document: Document) -> str:
        """Apply a job; return its name."""
        self.kubectl("apply", "-f", "-", input=json.dumps(document))
        return str(document["metadata"]["name"])

    def list(self, kind: str, selector: str = "") -> list[Document]:
        """Return the objects of a kind."""
        chosen = ("-l", selector) if selector else ()
        items: list[Document] = json.loads(self.kubectl("get", kind, *chosen, "-o", "json"))["items"]
        return items

    def get(self, name: str) -> Document:
        """Return a job."""
        job: Document = json.loads(self.kubectl("get", "pretrainjob", name, "-o", "json"))
        return job

    def status(self, name: str) -> Document:
        """Return a job's status; an empty one if there is none, or no API server."""
        try:
            status: Document = self.get(name).get("status", {})
        except ClusterError:
            return {}
        return status

    def phase(self, name: str) -> str:
        """Return a job's phase."""
        return str(self.status(name).get("phase", ""))

    def condition(self, name: str, kind: str) -> Document:
        """Return a condition, empty if there is none."""
        return next((each for each in self.status(name).get("conditions", []) if each["type"] == kind), {})

    def change(self, name: str, **spec: Any) -> None:
        """Change fields of a job's spec."""
        self.kubectl("patch", "pretrainjob", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def step(self, name: str) -> int:
        """Return the step that training is at."""
        return int((self.status(name).get("training") or {}).get("step") or 0)

    def pods(self, name: str, component: str = "") -> list[Document]:
        """Return the pods of a job."""
        selector = f"pretrain.dev/job={name}"
        return self.list("pods", f"{selector},pretrain.dev/component={component}" if component else selector)

    def wait(
        self, what: Callable[[], object], seconds: float, meaning: str, instead: Callable[[], str] = lambda: ""
    ) -> float:
        """Wait until something holds; return the seconds it took. `instead` says what is there if it never does."""
        began = time.monotonic()
        wait_until(
            lambda: bool(what()),
            seconds,
            lambda: f"waited {seconds:.0f} s for: {meaning} {instead()}\n{self.describe()}",
            0.5,
        )
        return time.monotonic() - began

    def wait_for_phase(self, name: str, phase: str, seconds: float = 300) -> float:
        """Wait until a job is in a phase; a failure is told at once."""

        def reached() -> bool:
            now = self.phase(name)
            if now == "Failed" != phase:
                raise AssertionError(f"the job failed: {self.condition(name, 'Failed')}\n{self.describe()}")
            return now == phase

        return self.wait(reached, seconds, f"{name} {phase}")

    def describe(self) -> str:
        """Return what there is, for messages of tests that fail."""
        try:
            return self.kubectl("get", "pretrainjobs,jobs,statefulsets,pods", "-o", "wide") + self.kubectl(
                "get", "events", "--field-selector=involvedObject.kind=PretrainJob"
            )
        except ClusterError as error:
            return str(error)
