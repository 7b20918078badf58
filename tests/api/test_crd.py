"""The generated files are up to date, and the CRD keeps the rules of structural schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient, V1CustomResourceDefinition

from pretrain_api.cel import POLICY_RULES, SCHEMA_RULES
from pretrain_api.crd import custom_resource_definition
from pretrain_api.generate import generated, main
from pretrain_api.json_schema import job_schema
from pretrain_api.policy import admission_policy, admission_policy_binding
from pretrain_api.status import DataPreparation, PreparationStage, PretrainJobStatus, TrainingStatus

ROOT = Path(__file__).parents[2]
CRD = custom_resource_definition()
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]

# JSONSchemaProps of apiextensions.k8s.io/v1, as far as structural schemas may use it.
ALLOWED = {
    "type",
    "format",
    "description",
    "nullable",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
}


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}" if path else name)
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from nodes(node["additionalProperties"], f"{path}{{}}")


NODES = dict(nodes(SCHEMA))
RULES = {**POLICY_RULES, **SCHEMA_RULES}


@pytest.mark.parametrize("path", generated(), ids=str)
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == generated()[path], "run `make generate`"


def test_generation_writes_whole_files(tmp_path: Path) -> None:
    main(tmp_path)
    main(tmp_path)
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == set(generated())


def test_the_file_is_plain_yaml_for_helm_and_kubectl() -> None:
    (text,) = (text for path, text in generated().items() if path.suffix == ".yaml")
    assert "{{" not in text
    assert list(yaml.safe_load_all(text)) == [CRD, admission_policy(), admission_policy_binding()]


@pytest.mark.parametrize("path", NODES)
def test_structural(path: str) -> None:
    node = NODES[path]
    assert set(node) <= ALLOWED
    if node.get("x-kubernetes-int-or-string"):
        assert "type" not in node
    else:
        assert node["type"] in ("object", "array", "string", "integer", "number", "boolean")
    assert not ("properties" in node and "additionalProperties" in node)
    assert set(node.get("required", ())) <= set(node.get("properties", ()))
    assert ("items" in node) == (node.get("type") == "array")
    if "minimum" in node and "exclusiveMinimum" in node:
        assert isinstance(node["exclusiveMinimum"], bool)
    if "pattern" in node:
        re.compile(node["pattern"])
    for key in node.get("x-kubernetes-list-map-keys", ()):
        assert key in node["items"]["required"]
        assert node["items"]["properties"][key]["type"] == "string"


@pytest.mark.parametrize("path", [path for path in NODES if path.startswith("spec")])
def test_spec_is_bounded(path: str) -> None:
    """The API server refuses a CRD whose rules could cost too much: everything they may read has a bound."""
    node = NODES[path]
    if node.get("type") == "array":
        assert "maxItems" in node
    if node.get("type") == "string" and "enum" not in node:
        assert "maxLength" in node
    if "additionalProperties" in node:
        assert "maxProperties" in node


@pytest.mark.parametrize("path", RULES)
def test_cel_rules_are_where_they_belong(path: str) -> None:
    required = NODES[path].get("required", [])
    for rule in RULES[path]:
        assert "; " in rule.message
        assert len(rule.message) < 2048
        assert rule.expression.count("(") == rule.expression.count(")")
        # Fields that the rule reads of the object it stands at.
        if NODES[path]["type"] == "object":
            for field in re.findall(r"\b(?:self|oldSelf)\.[?]?(\w+)\b(?!\()", rule.expression):
                assert field in NODES[path]["properties"], field
        for field in re.findall(r"(?<!has\()\bself\.(\w+)\b(?![(.])", rule.expression):
            assert field in required or f"has(self.{field})" in rule.expression, (field, rule.expression)


@pytest.mark.parametrize("path", SCHEMA_RULES)
def test_rules_of_fields_are_in_the_schema(path: str) -> None:
    assert NODES[path]["x-kubernetes-validations"] == [rule.as_schema() for rule in SCHEMA_RULES[path]]
    assert not any(rule.is_of_change for rule in SCHEMA_RULES[path])


@pytest.mark.parametrize("path", POLICY_RULES)
def test_rules_of_sections_are_in_the_policy(path: str) -> None:
    """Not in the schema: there they would be checked at every write of a status."""
    assert "x-kubernetes-validations" not in NODES[path]
    expressions = "".join(each["expression"] for each in admission_policy()["spec"]["variables"])
    for rule in POLICY_RULES[path]:
        assert f"({rule.expression}) ? '' : {json.dumps(f'{path}: {rule.message}')}" in expressions


@pytest.mark.parametrize("path", POLICY_RULES)
def test_no_rule_of_the_policy_reads_what_may_be_null(path: str) -> None:
    """Null counts as absent to `has` in a schema, not in a policy."""
    nullable = [name for name, child in NODES[path]["properties"].items() if child.get("nullable")]
    assert nullable == []


def test_null_is_kept_only_where_it_has_a_meaning() -> None:
    nullable = {path for path, node in NODES.items() if node.get("nullable") and path.startswith("spec")}
    assert nullable == {"spec.data.dedup.near", "spec.checkpoint.everySteps", "spec.checkpoint.everyMinutes"}


def test_every_field_of_the_model_is_in_the_schema() -> None:
    def names(node: dict[str, Any]) -> dict[str, Any]:
        children = node.get("properties") or node.get("items", {}).get("properties", {})
        return {name: names(child) for name, child in children.items()}

    assert names(SCHEMA["properties"]["spec"]) == names(job_schema()["properties"]["spec"])


def test_kubernetes_client_reads_it() -> None:
    client = ApiClient()
    crd = client._ApiClient__deserialize(CRD, V1CustomResourceDefinition)
    assert isinstance(crd, V1CustomResourceDefinition)
    assert crd.spec.names.short_names == ["ptj"]
    assert crd.spec.names.categories == ["all"]
    assert client.sanitize_for_serialization(crd) == CRD


def test_printer_columns_read_the_status() -> None:
    columns = {column["name"]: column["jsonPath"] for column in VERSION["additionalPrinterColumns"]}
    assert list(columns) == ["Phase", "Progress", "Step", "Tokens", "Loss", "Tokens/s", "ETA", "Restarts", "Age"]
    for path in columns.values():
        assert path.removeprefix(".") in NODES or path == ".metadata.creationTimestamp"


def test_summary_of_a_training() -> None:
    training = TrainingStatus(
        step=1200,
        total_steps=3000,
        tokens=1_200_000_000,
        total_tokens=3_000_000_000,
        progress_percentage=40.0,
        estimated_remaining_seconds=7_384,
        loss=2.3456,
        tokens_per_second=12_345.6,
    )
    summary = PretrainJobStatus(training=training).model_dump(by_alias=True)["summary"]
    assert summary == {
        "progress": "40.0 %",
        "step": "1200/3000",
        "tokens": "1.2B/3B",
        "loss": "2.346",
        "tokensPerSecond": "12.3K",
        "estimatedRemaining": "2h 3m",
    }


def test_summary_of_a_preparation() -> None:
    stages = [
        PreparationStage(name="clean", state="Succeeded", completed=64, total=64),
        PreparationStage(name="dedup-pairs", state="Running", completed=12, total=64),
    ]
    assert PretrainJobStatus(data_preparation=DataPreparation(stages=stages)).summary.progress == "dedup-pairs 12/64"
    assert PretrainJobStatus().summary.progress == ""


def test_status_round_trip() -> None:
    status = PretrainJobStatus(training=TrainingStatus(step=3))
    assert PretrainJobStatus.model_validate_json(status.model_dump_json(by_alias=True)) == status
