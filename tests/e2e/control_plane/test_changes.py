"""What the API server takes of a job that is there: changes of its spec, and what is no change of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pretrain_cluster import ClusterError, ControlPlaneOnly
from pretrain_cluster.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

QUICKSTART = Path(__file__).resolve().parents[3] / "manifests" / "quickstart.yaml"
Document = dict[str, Any]
Apply = Callable[[Document], str]


@pytest.fixture
def spec() -> Document:
    """The spec that a test changes."""
    found: Document = yaml.safe_load(QUICKSTART.read_text())["spec"]
    return found


@pytest.fixture
def apply(plane: ControlPlaneOnly, namespace: str, spec: Document) -> Apply:
    """Applies another spec to the job that is there; no operator looks on."""

    def applied(changed: Document) -> str:
        document = {"apiVersion": "pretrain.dev/v1alpha1", "kind": "PretrainJob", "metadata": {"name": "small"}}
        return plane.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps({**document, "spec": changed}))

    applied(spec)
    return applied


def test_what_may_change_is_taken(apply: Apply, spec: Document) -> None:
    spec["suspend"] = True
    spec["data"]["workers"] = 3
    spec["training"]["tokens"] = "2Mi"
    assert "configured" in apply(spec)


CHANGES: dict[str, tuple[Callable[[Document], object], str]] = {
    "another-deduplication": (
        lambda spec: spec["data"]["dedup"].update(exact="none"),
        "spec.data: dedup cannot be changed",
    ),
    "one-source-less": (lambda spec: spec["data"]["sources"].pop(), "spec.data: sources cannot be changed"),
    "a-part-of-the-data-more": (
        lambda spec: spec["data"].update(decontaminate={"against": ["a.jsonl"]}),
        "spec.data: decontaminate cannot be changed",
    ),
    "a-part-of-the-data-less": (lambda spec: spec["data"].pop("split"), "spec.data: split cannot be changed"),
    "another-layer": (lambda spec: spec["model"].update(numHiddenLayers=5), "spec.model: the model cannot be changed"),
    "a-size-more": (lambda spec: spec["model"].update(headDim=32), "spec.model: the model cannot be changed"),
    "a-seed": (lambda spec: spec["training"].update(seed=5), "spec.training: seed cannot be changed"),
    "weight-decay": (
        lambda spec: spec["training"]["optimizer"].update(weightDecay=0.2),
        "spec.training: optimizer cannot be changed",
    ),
    "another-objective": (
        lambda spec: spec.update(objective={"type": "prefix-lm"}),
        "spec: objective cannot be changed",
    ),
    "no-objective": (lambda spec: spec.pop("objective"), "spec: objective cannot be changed"),
    "a-storage": (lambda spec: spec.update(storage={"uri": "pvc://other/x"}), "spec: storage.uri cannot be changed"),
    "no-model": (
        lambda spec: [spec.pop("model"), spec.pop("training")],
        "spec: model and training cannot be added or removed",
    ),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_what_the_run_stands_on_is_kept(
    apply: Apply, spec: Document, change: Callable[[Document], object], said: str
) -> None:
    change(spec)
    with pytest.raises(ClusterError, match=said):
        apply(spec)


def test_all_broken_rules_are_named_at_once(apply: Apply, spec: Document) -> None:
    spec["model"] |= {"headDim": 33, "numKeyValueHeads": 4}
    spec["data"]["prepared"] = "pvc://claim/prepared"
    with pytest.raises(ClusterError) as refused:
        apply(spec)
    for problem in (
        "spec.model: numAttentionHeads is not divisible by numKeyValueHeads; write a divisor",
        "spec.model: an odd head cannot be rotated",
        "spec.data: a job has one origin of its data; write exactly one of sources, tokenized, prepared",
        "spec.data: prepared cannot be changed once the job is made",
    ):
        assert problem in str(refused.value)


def test_a_job_that_newer_rules_would_refuse_can_be_suspended(
    plane: ControlPlaneOnly, apply: Apply, spec: Document
) -> None:
    binding = ("validatingadmissionpolicybinding", "pretrainjobs.pretrain.dev")
    document = json.loads(plane.kubectl("get", *binding, "-o", "json"))
    plane.kubectl("delete", *binding)
    spec["model"]["headDim"] = 33
    wait_until(lambda: "configured" in apply(spec), 30, lambda: "the policy stays in force", 0.2)
    document["metadata"] = {"name": document["metadata"]["name"], "annotations": document["metadata"]["annotations"]}
    plane.kubectl("create", "-f", "-", input=json.dumps(document))

    layers = itertools.count(5)

    def refused() -> bool:
        model = {**spec["model"], "numHiddenLayers": next(layers)}
        try:
            apply({**spec, "model": model})
        except ClusterError as error:
            return "an odd head cannot be rotated" in str(error)
        spec["model"] = model  # the policy isn't in force yet; only another change will ask for it
        return False

    wait_until(refused, 30, lambda: "the policy isn't in force again", 0.2)
    assert "configured" in apply({**spec, "suspend": True})
