"""Documented settings are sections that a job takes as they are."""

from typing import Any

import pytest

from pretrain_api.estimates.settings import documented_settings
from pretrain_api.estimates.training_section import section_names, training_section
from pretrain_api.schedule import batch_schedule, learning_rate_at
from pretrain_api.spec.training import Training
from pretrain_api.validation import validate_document


def job(training: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "pretrain.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": "test"},
        "spec": {
            "data": {"sources": [{"name": "web", "uri": "web/*.jsonl"}]},
            "model": {"preset": "llama-7b"},
            "training": training,
            "trainer": {"numProcPerNode": 1},
        },
    }


@pytest.mark.parametrize("name", section_names())
def test_every_section_is_valid(name: str) -> None:
    assert validate_document(job(training_section(name).training))[1] == []


@pytest.mark.parametrize("name", [name for name in section_names() if training_section(name).model])
def test_with_its_model_and_objective_it_is_a_valid_job(name: str) -> None:
    section = training_section(name)
    document = job(section.training)
    document["spec"] |= {"model": section.model, "objective": section.objective or {"type": "causal-lm"}}
    document["spec"]["data"]["tokenizer"] = {"train": {"vocabSize": 30_000}}
    assert validate_document(document)[1] == []


def test_every_row_of_the_table_can_be_had() -> None:
    sources = {training_section(name).source for name in section_names()}
    assert sources == {row.source for row in documented_settings().values()}


def test_gpt3_grows_its_batch_and_warms_up_as_documented() -> None:
    section = training_section("gpt3-175b")
    training = Training.model_validate(section.training)
    stages = training.batch.stages
    assert stages[0].tokens == 32 * 1024
    assert stages[-1].tokens == pytest.approx(3.2e6, rel=0.01)
    assert stages[-1].from_ == pytest.approx(12e9, rel=1e-3)
    assert [stage.tokens for stage in stages] == sorted(stage.tokens for stage in stages)
    assert training.tokens == 300 * 10**9
    assert learning_rate_at(training.learning_rate, 375_000_000, training.tokens) == pytest.approx(6e-5)
    assert training.optimizer.weight_decay == 0.1
    assert training.precision == "fp16"
    assert batch_schedule(training).total_tokens >= training.tokens


def test_llama_65b() -> None:
    section = training_section("llama-65b")
    assert section.model == {"preset": "llama-65b"}
    assert section.training["batch"] == {"stages": [{"tokens": 4 * 1024 * 1024, "from": 0}]}
    assert section.training["learningRate"] == {
        "peak": 1.5e-4,
        "warmupTokens": 2000 * 4 * 1024 * 1024,
        "decay": "cosine",
    }
    assert section.training["optimizer"] == {"type": "adamw", "betas": [0.9, 0.95], "weightDecay": 0.1}
    assert section.training["gradientClip"] == 1.0


def test_what_is_not_documented_is_said() -> None:
    notes = training_section("lamda").notes
    assert notes["learningRate.peak"] == "not documented"
    assert notes["gradientClip"].startswith("not documented")
    palm = training_section("palm")
    assert palm.training["optimizer"] == {"type": "adafactor", "weightDecay": 1e-4}
    assert "square of the current learning rate" in palm.notes["optimizer.weightDecay"]


def test_a_model_without_documented_settings_has_none() -> None:
    with pytest.raises(KeyError):
        training_section("opt-125m")
