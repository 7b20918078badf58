"""The resolved job."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from job_strategies import jobs

from pretrain_api.resolve import changed_fields, content_hash, load_resolved, resolve, resolved_json
from pretrain_api.schedule import batch_schedule
from pretrain_api.spec.data import Data
from pretrain_api.validation import validate_document, validate_text

_SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_SLOW
@given(jobs())
def test_valid_jobs_are_valid(document: dict[str, Any]) -> None:
    result = validate_text(yaml.safe_dump(document))
    assert result.problems == []
    job, problems = validate_document(document)
    assert problems == []
    assert [job] == result.jobs
    assert job is not None
    assert job.spec.training is not None
    assert batch_schedule(job.spec.training).total_steps > 0


@_SLOW
@given(jobs())
def test_resolving_is_idempotent(document: dict[str, Any]) -> None:
    job, _ = validate_document(document)
    assert job is not None
    resolved = resolve(job)
    assert resolve(resolved) == resolved
    text = resolved_json(job)
    assert resolved_json(resolved) == text
    again, problems = validate_document(json.loads(text))
    assert problems == []
    assert again is not None
    assert resolved_json(again) == text


def test_load(tmp_path: Any, small_job: dict[str, Any]) -> None:
    job, _ = validate_document(small_job)
    assert job is not None
    path = tmp_path / "job.json"
    path.write_text(resolved_json(job))
    assert resolved_json(load_resolved(path)) == resolved_json(job)


def test_what_the_api_server_adds_changes_nothing(small_job: dict[str, Any]) -> None:
    job, _ = validate_document(small_job)
    assert job is not None
    small_job["metadata"] |= {"uid": "1", "generation": 3, "resourceVersion": "9", "managedFields": [{"manager": "x"}]}
    small_job["spec"]["suspend"] = True
    served, problems = validate_document(small_job)
    assert problems == []
    assert served is not None
    assert resolved_json(served) == resolved_json(job)


def test_every_default_is_written(small_job: dict[str, Any]) -> None:
    job, _ = validate_document(small_job)
    assert job is not None
    spec = json.loads(resolved_json(job))["spec"]
    assert spec["model"]["headDim"] == 64
    assert spec["model"]["rmsNormEps"] == 1e-5
    assert spec["training"]["tokens"] == 1_000_000_000
    assert spec["data"]["dedup"]["near"]["permutations"] == 128


def test_a_hash_holds_when_a_release_adds_a_field() -> None:
    class Later(Data):
        """The section of a later release."""

        something_new: int | None = None

    document = {"sources": [{"name": "web", "uri": "web/*.jsonl"}], "clean": {"preset": "gopher"}}
    before, after = Data.model_validate(document), Later.model_validate(document)
    assert content_hash([before]) == content_hash([after])
    assert content_hash([before]) != content_hash([Later.model_validate(document | {"somethingNew": 1})])


def test_changed_fields_are_those_that_are_not_at_their_default() -> None:
    data = Data.model_validate(
        {"sources": [{"name": "web", "uri": "web", "weight": 1.0}], "split": {"validation": 0.001, "test": 0.1}}
    )
    assert changed_fields(data, exclude={"sources"}) == {"split": {"test": 0.1}}
    assert changed_fields(data, include={"dedup"}) == {}
    assert changed_fields(data.model_copy(update={"dedup": data.dedup.model_copy(update={"near": None})})) == {
        "sources": [{"name": "web", "uri": "web", "weight": 1.0}],
        "split": {"test": 0.1},
        "dedup": {"near": None},
    }
