"""The figures that a job's status has from the start."""

from typing import Any

import pytest

from pretrain_api.estimates.main_figures import main_figures
from pretrain_api.spec.job import PretrainJob


def job(model: dict[str, Any], **trainer: Any) -> PretrainJob:
    spec = {
        "data": {"sources": [{"name": "web", "uri": "web.jsonl"}], "tokenizer": {"uri": "tokenizer.model"}},
        "model": model,
        "training": {
            "tokens": "1.4T",
            "batch": {"stages": [{"tokens": "4Mi", "from": 0}]},
            "learningRate": {"peak": 3e-4},
            "parallelism": {"zero": 3},
            "activationCheckpointing": "full",
        },
        "trainer": {"numNodes": 256, "resourcesPerNode": {"limits": {"nvidia.com/gpu": 8}}, **trainer},
    }
    names = {"apiVersion": "pretrain.dev/v1alpha1", "kind": "PretrainJob", "metadata": {"name": "test"}}
    return PretrainJob.model_validate({**names, "spec": spec})


def test_llama_65b_on_2048_gpus() -> None:
    figures = main_figures(job({"preset": "llama-65b"}))
    assert figures is not None
    assert figures.parameters == 65_285_660_672
    assert figures.training_flops == pytest.approx(8 * 1.4e12 * 65_285_660_672)
    assert figures.tokens_per_parameter == pytest.approx(21.44, abs=0.01)
    assert figures.gpus == 2048
    assert 16 * 65e9 / 2048 < figures.memory_bytes_per_gpu < 80e9
    assert figures.active_parameters is None
    assert figures.training_seconds is None  # nothing says what the GPUs are


@pytest.mark.parametrize(
    ("label", "name", "peak"),
    [
        ("NVIDIA-H100-80GB-HBM3", "h100", 989e12),
        ("NVIDIA-A100-SXM4-80GB", "a100-80gb", 312e12),
        ("NVIDIA-A100-SXM4-40GB", "a100-40gb", 312e12),
        ("nvidia-h200-141gb", "h200", 989e12),
    ],
)
def test_the_time_where_the_node_selector_names_the_accelerator(label: str, name: str, peak: float) -> None:
    pods = {"spec": {"nodeSelector": {"nvidia.com/gpu.product": label, "pool": "b200-spare"}}}
    figures = main_figures(job({"preset": "llama-65b"}, podTemplate=pods))
    assert figures is not None
    assert figures.gpu == name
    assert figures.training_seconds == pytest.approx(figures.training_flops / (2048 * peak * 0.4), rel=1e-6)


def test_nothing_is_said_where_the_size_of_the_vocabulary_is_not_known() -> None:
    sizes = {"hiddenSize": 64, "intermediateSize": 128, "numHiddenLayers": 2, "numAttentionHeads": 4}
    assert main_figures(job(sizes)) is None
    assert main_figures(job({**sizes, "vocabSize": 1000})) is not None


def test_ranks_that_depend_on_the_machines_are_not_guessed() -> None:
    figures = main_figures(job({"preset": "llama-65b"}, resourcesPerNode={}))
    assert figures is not None
    assert figures.gpus is None
    assert figures.training_seconds is None
