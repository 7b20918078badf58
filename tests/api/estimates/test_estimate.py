"""The whole estimate, of presets and of jobs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.estimates import estimate, estimate_document, plan_of_job, plan_of_preset, published_models
from pretrain_api.spec.job import PretrainJob

KEYS = (
    "parameters",
    "trainingFlops",
    "trainingSeconds",
    "memoryBytesPerGpu",
    "chinchilla",
    "checkpointIntervalSeconds",
    "goodput",
)


def job(**spec: Any) -> PretrainJob:
    training = {
        "tokens": "100B",
        "sequenceLength": 2048,
        "microBatchSize": 4,
        "batch": {"stages": [{"tokens": "1Mi", "from": 0}, {"tokens": "4Mi", "from": "4B", "numNodes": 16}]},
        "learningRate": {"peak": 3e-4},
        "parallelism": {"zero": 2},
        "activationCheckpointing": "full",
    } | spec.pop("training", {})
    return PretrainJob.model_validate(
        {
            "apiVersion": "pretrain.dev/v1alpha1",
            "kind": "PretrainJob",
            "metadata": {"name": "a"},
            "spec": {
                "data": {"sources": [{"name": "a", "uri": "sample://python"}]},
                "model": {"preset": "llama-7b"},
                "training": training,
                "trainer": {"numNodes": 4, "resourcesPerNode": {"limits": {"nvidia.com/gpu": 8}}},
            }
            | spec,
        }
    )


def test_llama_65b_by_hand() -> None:
    plan = replace(
        plan_of_preset(published_models()["llama-65b"]), gpus=2048, flops_per_second_per_gpu=2e14, recompute="full"
    )
    document = estimate_document(estimate(plan))
    assert document["parameters"] == 65_285_660_672
    assert document["trainingFlops"] == 8 * 1.4e12 * 65_285_660_672
    assert document["trainingSeconds"] == pytest.approx(1.78e6, rel=0.005)
    assert document["layout"]["recompute"] == "full"
    assert document["fits"]


def test_document_is_json_with_the_promised_keys() -> None:
    for model in published_models().values():
        document = estimate_document(estimate(plan_of_preset(model)))
        assert set(KEYS) <= set(document)
        assert json.loads(json.dumps(document, allow_nan=False)) == document
        assert sum(document["memoryBytesPerGpuByPart"].values()) == pytest.approx(document["memoryBytesPerGpu"], abs=9)
        assert sum(document["parametersByPart"].values()) == document["parameters"]


def test_job_at_its_last_stage() -> None:
    plan = plan_of_job(job())
    assert (plan.gpus, plan.zero, plan.micro_batch_size, plan.recompute) == (128, 2, 4, "full")
    assert (plan.tokens, plan.batch_tokens, plan.sequence_length) == (100_000_000_000, 4 * 2**20, 2048)
    assert plan.as_trainer
    found = estimate(plan)
    assert found.chosen.layout.zero == 2
    assert found.flops.total == 8 * 100e9 * 6_738_415_616


def test_vocabulary_of_a_job_is_its_tokenizers() -> None:
    sizes = {"hiddenSize": 192, "intermediateSize": 512, "numHiddenLayers": 4, "numAttentionHeads": 6}
    data = {
        "sources": [{"name": "a", "uri": "sample://python"}],
        "tokenizer": {"train": {"algorithm": "sentencepiece-bpe", "vocabSize": 4096}},
    }
    assert plan_of_job(job(model={"family": "llama", **sizes}, data=data)).network.vocab_size == 4096
    given_tokenizer = data | {"tokenizer": {"uri": "tokenizer.model"}}
    with pytest.raises(ValueError, match=r"spec\.model\.vocabSize: .* set vocabSize"):
        plan_of_job(job(model={"family": "llama", **sizes}, data=given_tokenizer))


def test_a_job_that_does_not_train() -> None:
    with pytest.raises(ValueError, match="nothing to estimate"):
        plan_of_job(job(model=None))


def test_a_job_without_gpus_is_estimated_on_one() -> None:
    assert plan_of_job(job(trainer={}, training={"batch": {"stages": [{"tokens": "64Ki", "from": 0}]}})).gpus == 1


def test_measured_save_cost_gives_youngs_interval() -> None:
    plan = replace(plan_of_preset(published_models()["llama-7b"]), save_seconds=50.0, hours_between_failures=1.0)
    document = estimate_document(estimate(plan))
    assert document["checkpointIntervalSeconds"] == 600
    assert 0.5 < document["goodput"] < 0.9


def test_interval_is_no_shorter_than_a_write() -> None:
    plan = replace(plan_of_preset(published_models()["llama-65b"]), gpus=2048)
    document = estimate_document(estimate(plan))
    assert document["checkpointIntervalSeconds"] == document["checkpointWriteSeconds"] == pytest.approx(182.8, abs=0.1)
    assert document["checkpointIntervalSecondsByYoung"] < document["checkpointWriteSeconds"]


def test_cost() -> None:
    plan = replace(plan_of_preset(published_models()["llama-7b"]), price_per_gpu_hour=2.0)
    found = estimate(plan)
    assert found.cost == pytest.approx(8 * found.wall_seconds / 3600 * 2.0)
    assert found.wall_seconds == pytest.approx(found.training_seconds / found.checkpointing.goodput)


def test_storage() -> None:
    found = estimate(plan_of_preset(published_models()["llama-7b"]))
    assert found.token_bytes == 2 * 10**12
    assert found.storage_bytes == 2 * 10**12 + 4 * 14 * 6_738_415_616 + 2 * 6_738_415_616
    assert estimate(plan_of_preset(published_models()["llama3-8b"])).token_bytes == 4 * 15 * 10**12


def test_nothing_would_ever_be_finished() -> None:
    plan = replace(plan_of_preset(published_models()["llama-7b"]), save_seconds=1e6, hours_between_failures=0.001)
    found = estimate(plan)
    assert math.isinf(found.wall_seconds)
    assert estimate_document(found)["wallSeconds"] is None


def test_no_layout_fits() -> None:
    document = estimate_document(estimate(plan_of_preset(published_models()["gpt3-175b"])))
    assert not document["fits"]
    assert document["feasibleLayouts"] == []
    assert document["fewestGpus"] == 64


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(sorted(published_models())),
    gpus=st.integers(1, 4096),
    tokens=st.integers(1, 10**14),
    length=st.sampled_from([1, 128, 2048, 131_072]),
)
def test_never_fails(name: str, gpus: int, tokens: int, length: int) -> None:
    plan = replace(plan_of_preset(published_models()[name]), gpus=gpus, tokens=tokens, sequence_length=length)
    document = estimate_document(estimate(plan))
    json.dumps(document, allow_nan=False)
    assert document["trainingSeconds"] > 0
    assert document["memoryBytesPerGpu"] > 0
