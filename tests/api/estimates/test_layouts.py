"""Which layouts fit, and their order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pretrain_api.availability import unavailable
from pretrain_api.estimates import plan_of_preset, published_models
from pretrain_api.estimates.activations import TRAINER_KERNELS
from pretrain_api.estimates.devices import DEVICES, GIB
from pretrain_api.estimates.layouts import (
    RECOMPUTES,
    USABLE_MEMORY,
    Workload,
    feasible_layouts,
    fewest_gpus,
    judge,
    runs_in_this_version,
)
from pretrain_api.estimates.memory import Layout, Numbers
from pretrain_api.spec.job import PretrainJob


def workload(name: str, batch_sequences: int = 2048, device: str = "h100") -> Workload:
    model = published_models()[name]
    gpu = DEVICES[device]
    return Workload(
        network=model.network,
        sequence_length=model.context_length,
        batch_sequences=batch_sequences,
        numbers=Numbers("bf16"),
        kernels=TRAINER_KERNELS,
        device=gpu,
        peak_flops_per_second=gpu.peak_flops_per_second("bf16"),
        memory_bytes=gpu.memory_bytes,
    )


@pytest.mark.parametrize(("name", "gpus"), [("llama-7b", 64), ("gpt3-175b", 1024), ("mixtral-8x7b", 256)])
def test_all_fit_and_fastest_comes_first(name: str, gpus: int) -> None:
    task = workload(name)
    layouts = feasible_layouts(task, gpus)
    assert layouts
    speeds = [round(one.utilization, 3) for one in layouts]
    assert speeds == sorted(speeds, reverse=True)
    for one in layouts:
        layout = one.layout
        assert one.memory.total <= USABLE_MEMORY * task.memory_bytes
        assert layout.data * layout.tensor * layout.pipeline == gpus
        assert 0 < one.utilization < 1
        heads = task.network.layers[0].attention.heads
        assert heads % layout.tensor == 0
        assert task.network.num_layers % layout.pipeline == 0


def test_a_layout_that_does_not_fit_is_not_listed() -> None:
    task = workload("llama-65b")
    plain = Layout(64, zero=0)
    assert not judge(task, plain).fits
    assert plain not in [one.layout for one in feasible_layouts(task, 64)]


def test_recomputation_takes_time_and_saves_memory() -> None:
    task = workload("llama-7b")
    none, _, full = (judge(task, Layout(64, micro_batch_size=2, recompute=recompute)) for recompute in RECOMPUTES)
    assert full.memory.total < none.memory.total
    assert full.tokens_per_second == pytest.approx(none.tokens_per_second * 6 / 8, rel=0.01)


def test_bubble_of_a_pipeline() -> None:
    # (p - 1) / m of the time more, Narayanan et al. 2021, where nothing else differs.
    task = workload("llama-7b", batch_sequences=64)
    one, four = judge(task, Layout(8, pipeline=1)), judge(task, Layout(8, pipeline=4))
    micro_batches = 64 / 2
    assert four.tokens_per_second / one.tokens_per_second == pytest.approx(
        micro_batches / (micro_batches + 3), rel=0.05
    )


def test_larger_micro_batches_where_launches_decide() -> None:
    task = workload("gpt2-124m", batch_sequences=512)
    small, large = (judge(task, Layout(8, micro_batch_size=size)) for size in (1, 8))
    assert small.utilization < 0.7 * large.utilization


def test_fewest_gpus() -> None:
    task = workload("gpt3-175b")
    assert not feasible_layouts(task, 16)
    enough = fewest_gpus(task)
    assert enough is not None
    assert feasible_layouts(task, enough)
    assert not feasible_layouts(task, enough // 2)
    assert fewest_gpus(replace(task, memory_bytes=0.01 * GIB)) is None


@pytest.mark.parametrize("division", [{}, {"tensor": 2}, {"pipeline": 2}, {"expert": 2}])
def test_what_this_version_runs_is_what_validation_lets_through(division: dict[str, int]) -> None:
    document = {
        "apiVersion": "pretrain.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": "a"},
        "spec": {
            "data": {"sources": [{"name": "a", "uri": "sample://python"}]},
            "model": {"preset": "llama-7b"},
            "training": {
                "tokens": "1M",
                "batch": {"stages": [{"tokens": "32Ki", "from": 0}]},
                "learningRate": {"peak": 1e-3},
                "parallelism": division,
            },
        },
    }
    refused = [path for path, _ in unavailable(PretrainJob.model_validate(document)) if "parallelism" in path]
    assert runs_in_this_version(Layout(8, **division)) == (not refused)


def test_every_device_is_plausible() -> None:
    for device in DEVICES.values():
        assert device.peak_flops_per_second("fp32") <= device.peak_flops_per_second("tf32")
        assert device.peak_flops_per_second("tf32") < device.peak_flops_per_second("bf16")
        assert device.network_bytes_per_second <= device.link_bytes_per_second
    assert DEVICES["h200"].peak_flops_per_second("bf16") == DEVICES["h100"].peak_flops_per_second("bf16") == 989e12
    assert DEVICES["a100-80gb"].peak_flops_per_second("bf16") == 312e12


def test_plan_of_preset_is_documented() -> None:
    assert plan_of_preset(published_models()["llama-65b"]).tokens == 1_400_000_000_000
    assert plan_of_preset(published_models()["gpt2-124m"]).tokens == 20 * 124_439_808
