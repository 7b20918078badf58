"""What the validation says about whole files and worlds; the rules themselves are tried in test_bad_manifests."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pretrain_api.json_schema import Schema, job_schema, schema_at
from pretrain_api.problems import format_path, parse_path
from pretrain_api.spec.base import PATTERN_MEANINGS
from pretrain_api.validation import check_world, validate_document, validate_file, validate_text
from pretrain_api.validation.rules import RULES
from pretrain_api.validation.rules.sample import SAMPLE_CORRUPTIONS, SAMPLE_KINDS, SAMPLE_PARAMETERS
from pretrain_api.validation.suggestions import closest, homes_of
from pretrain_dataprep.sources import sample
from pretrain_dataprep.sources.corruption import Corruption
from pretrain_dataprep.text import pii, presets

ROOT = Path(__file__).parents[2]


def test_several_documents(small_text: str) -> None:
    other = small_text.replace("name: small", "name: other")
    result = validate_text(f"---\n{small_text}---\n# a comment\n---\n{other}")
    assert [job.metadata.name for job in result.jobs] == ["small", "other"]
    assert result.problems == []
    assert result.documents == 2


def test_two_jobs_of_one_name(small_text: str) -> None:
    (problem,) = validate_text(f"{small_text}---\n{small_text}").problems
    assert (problem.path, problem.document) == ("metadata.name", 1)
    elsewhere = small_text.replace("name: small", "name: small, namespace: other")
    assert validate_text(f"{small_text}---\n{elsewhere}").problems == []


def test_valid_documents_beside_others_are_returned(small_text: str) -> None:
    result = validate_text(f"{small_text}---\nkind: ConfigMap\n---\n{small_text.replace('1024', '1000')}")
    assert [job.metadata.name for job in result.jobs] == ["small"]
    assert {problem.document for problem in result.problems} == {1, 2}


def test_problems_know_line_and_job(small_text: str) -> None:
    problem = validate_text(small_text.replace("peak: 3e-4", "peak: 3")).problems[0]
    assert small_text.splitlines()[(problem.line or 0) - 1].strip().startswith("learningRate")
    assert problem.job == "small"


def test_problems_are_in_the_order_of_the_text(small_text: str) -> None:
    text = small_text.replace("weight: 0.8", "weight: -1").replace("peak: 3e-4", "peak: 3").replace("numNodes", "nodes")
    lines = [problem.line or 0 for problem in validate_text(text).problems]
    assert len(lines) == 3
    assert lines == sorted(lines)


@pytest.mark.parametrize("document", [None, 3, "text", [], {"kind": 3}, {}, {1: 2}, {"spec": {"data": {1: 2}}}])
def test_any_value_has_an_answer(document: Any) -> None:
    job, problems = validate_document(document)
    assert job is None
    assert problems


def test_objects_of_the_api_server_may_carry_our_annotations(small_job: dict[str, Any]) -> None:
    small_job["metadata"]["annotations"] = {"pretrain.dev/seen": "1"}
    small_job["status"] = {"phase": "Training"}
    assert validate_document(small_job)[1] == []
    assert [problem.path for problem in validate_document(small_job, authored=True)[1]] == [
        "metadata.annotations[pretrain.dev/seen]"
    ]


def test_the_document_is_left_alone(small_job: dict[str, Any]) -> None:
    small_job["spec"]["training"]["batch"]["stages"][0] = {"tokens": "4m"}
    small_job["spec"]["extra"] = 1
    before = repr(small_job)
    validate_document(small_job)
    assert repr(small_job) == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.yaml", None, "cannot be read"),
        (".", None, "cannot be read"),
        ("latin.yaml", b"a: caf\xe9", "is not UTF-8 (byte 6)"),
        ("large.yaml", b"#" * 1_100_000, "is larger than"),
        ("nul\0.yaml", None, "null"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    (problem,) = validate_file(str(path)).problems
    assert problem.path == "file"
    assert message in problem.message


def test_a_byte_order_mark_is_no_problem(tmp_path: Path, small_text: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + small_text.replace("\n", "\r\n").encode())
    assert validate_file(str(path)).problems == []


def test_worlds(small_job: dict[str, Any]) -> None:
    del small_job["spec"]["trainer"]["numProcPerNode"]
    job, problems = validate_document(small_job)
    assert problems == []
    assert job is not None
    # 32Ki tokens are 32 sequences: 8 micro-batches of 4 for 2 nodes.
    assert check_world(job, 1) == check_world(job, 2) == check_world(job, 4) == []
    assert [problem.path for problem in check_world(job, 8)] == ["spec.training.batch.stages[0].tokens"]
    assert [problem.path for problem in check_world(job, 3)] == [
        f"spec.training.batch.stages[{stage}].tokens" for stage in range(3)
    ]


def test_examples_of_the_project_are_valid() -> None:
    manifests = sorted((ROOT / "manifests").glob("*.yaml"))
    assert manifests
    for manifest in manifests:
        assert validate_file(str(manifest)).problems == [], manifest


def test_what_samples_know_is_in_step_with_the_data_preparation() -> None:
    assert tuple(sample.KINDS) == SAMPLE_KINDS
    assert tuple(Corruption) == SAMPLE_CORRUPTIONS
    assert {field.name for field in fields(sample.SampleParameters)} == set(SAMPLE_PARAMETERS)


def test_what_is_available_is_in_step_with_the_data_preparation() -> None:
    """Everything of the contract that the preparation refuses is refused here first, and nothing else."""
    assert available("clean", "preset") == set(presets.PRESETS)
    assert available("clean", "pii", "redact") == set(pii.KINDS)


def available(*path: str) -> set[str]:
    """Return the choices of a field of spec.data that this version has."""
    schema = schema_at(("spec", "data", *path))
    assert schema is not None
    choices = schema.get("enum") or schema["items"]["enum"]
    found = set()
    for choice in choices:
        value: Any = [choice] if "items" in schema else choice
        for part in reversed(path):
            value = {part: value}
        job, problems = validate_document(
            {
                "apiVersion": "pretrain.dev/v1alpha1",
                "kind": "PretrainJob",
                "metadata": {"name": "small"},
                "spec": {"data": {"sources": [{"name": "web", "uri": "sample://python"}], **value}},
            }
        )
        assert all("not available in this version" in problem.message for problem in problems)
        found |= {choice} if job else set()
    return found


def test_rules_read_fields_that_exist() -> None:
    for rule in RULES:
        for path in rule.reads:
            parts = tuple(0 if part is None else part for part in parse_path(path))
            assert schema_at(parts) is not None, path


def _fields(node: Schema, path: str) -> list[tuple[str, Schema]]:
    found = [(path, node)]
    for name, child in node.get("properties", {}).items():
        found += _fields(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            found += _fields(node[key], f"{path}[]")
    return found


def test_every_field_is_described_and_every_pattern_has_words() -> None:
    for path, schema in _fields(job_schema()["properties"]["spec"], "spec"):
        assert schema.get("description") or path.endswith("[]"), path
        if "pattern" in schema and "x-kubernetes-int-or-string" not in schema:
            assert schema["pattern"] in PATTERN_MEANINGS, path


def test_required_fields_have_examples() -> None:
    for path, schema in _fields(job_schema(), ""):
        for name in schema.get("required", []):
            assert schema["properties"][name]["examples"], f"{path}.{name}"


def test_paths() -> None:
    path = ("spec", "data", "sources", 0, "pretrain.dev/x", "y")
    assert format_path(path) == "spec.data.sources[0][pretrain.dev/x].y"
    assert parse_path(format_path(path)) == path
    assert parse_path("a[].b") == ("a", None, "b")


def test_suggestions() -> None:
    assert closest("sequence_length", ["sequenceLength", "seed"]) == "sequenceLength"
    assert closest("Sequence-Length", ["sequenceLength", "seed"]) == "sequenceLength"
    assert closest("lr", ["learningRate", "seed"]) == "learningRate"
    assert closest("something", ["learningRate", "seed"]) is None
    assert homes_of("warmupTokens") == ("spec.training.learningRate",)
