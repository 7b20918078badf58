"""Memory by part against Korthikanti et al. 2022 and Rajbhandari et al. 2020."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.estimates import published_models
from pretrain_api.estimates.activations import (
    UNFUSED_KERNELS,
    Microbatch,
    ends_bytes,
    layer_bytes,
    logits_bytes,
)
from pretrain_api.estimates.families import gpt2
from pretrain_api.estimates.flops import Recompute
from pretrain_api.estimates.memory import (
    Layout,
    Numbers,
    local_parameters,
    memory_bytes,
)

HIDDEN, HEADS, LENGTH = 12_288, 96, 2048
GPT = gpt2(HIDDEN, 96, HEADS, positions=LENGTH)
BATCH = 2
SBH = LENGTH * BATCH * HIDDEN
SCORES = 5 * HEADS * LENGTH / HIDDEN  # 5as/h = 80 for GPT-3 (Korthikanti et al. 2022, section 5)


def one_layer(recompute: Recompute, tensor: int = 1, sequence_parallel: bool = False) -> float:
    batch = Microbatch(LENGTH, BATCH, 2, tensor, sequence_parallel)
    return layer_bytes(GPT, GPT.layers[0], batch, UNFUSED_KERNELS, recompute)


def test_one_layer_as_in_korthikanti_table_2() -> None:
    t = 8
    assert SCORES == 80
    assert one_layer("none") == SBH * (34 + SCORES)
    assert one_layer("none", t) == SBH * (10 + 24 / t + SCORES / t)
    assert one_layer("none", t, sequence_parallel=True) == SBH * (34 + SCORES) / t
    assert one_layer("selective", t) == SBH * (10 + 24 / t)
    assert one_layer("selective", t, sequence_parallel=True) == SBH * 34 / t
    assert one_layer("full") == SBH * 2


def test_around_the_layers_as_in_korthikanti_section_4_3() -> None:
    # sbhp/t for the embedding's mask, 4sbh/t · (1 + v/h) for the last normalisation, the projection and the logits.
    t, p = 8, 4
    batch = Microbatch(LENGTH, BATCH, 2, t, sequence_parallel=True)
    expected = SBH * p / t + 4 * SBH / t * (1 + GPT.vocab_size / HIDDEN)
    found = ends_bytes(GPT, batch, UNFUSED_KERNELS, p) + logits_bytes(GPT, batch, UNFUSED_KERNELS)
    assert found == pytest.approx(expected)


def test_first_stage_of_a_pipeline_keeps_as_much_as_all_layers() -> None:
    # 1F1B: p micro-batches of L/p layers each (section 4.2.3).
    parts = [
        memory_bytes(GPT, Layout(64, pipeline=size), LENGTH, Numbers("bf16"), UNFUSED_KERNELS, 64) for size in (1, 8)
    ]
    layers = [part.activations for part in parts]
    mask = LENGTH * HIDDEN
    assert layers[1] - 7 * mask == pytest.approx(layers[0])


@pytest.mark.parametrize(("precision", "expected"), [("bf16", 16), ("fp16", 16), ("fp32", 16), ("tf32", 16)])
def test_sixteen_bytes_a_parameter(precision: str, expected: int) -> None:
    numbers = Numbers(precision)
    assert numbers.bytes_per_parameter(1) == expected
    memory = memory_bytes(GPT, Layout(1, zero=0), LENGTH, numbers)
    states = memory.weights + memory.gradients + memory.optimizer
    assert states == expected * GPT.parameters()


def test_zero_as_in_rajbhandari_figure_1() -> None:
    # 7.5B parameters on 64 GPUs: 120, 31.4, 16.6 and 1.9 GB.
    parameters = local_parameters(GPT, Layout(1)).dense
    scale = 7.5e9 / parameters
    for zero, gigabytes in ((0, 120), (1, 31.4), (2, 16.6), (3, 1.9)):
        memory = memory_bytes(GPT, Layout(64, zero=zero), LENGTH, Numbers("bf16"))
        states = memory.weights + memory.gradients + memory.optimizer
        assert states * scale / 1e9 == pytest.approx(gigabytes, rel=0.02)


def test_fp32_accumulation() -> None:
    assert Numbers("bf16", gradient_bytes=4).bytes_per_parameter(1) == 18


def test_division_of_parameters() -> None:
    llama = published_models()["llama-65b"].network
    whole = local_parameters(llama, Layout(8))
    assert whole.dense == llama.parameters()
    divided = local_parameters(llama, Layout(8, tensor=8))
    norms = llama.parameters_by_part()["normalization"]
    assert divided.dense == (llama.parameters() - norms) / 8 + norms
    stage = local_parameters(llama, Layout(8, pipeline=8))
    layer = llama.layer_parameters(llama.layers[0])
    assert stage.dense == 10 * layer.without_experts + llama.embedding_size + llama.norm_size


def test_experts_are_divided_by_the_expert_size_alone() -> None:
    mixtral = published_models()["mixtral-8x7b"].network
    local = local_parameters(mixtral, Layout(8, expert=8))
    assert local.experts == mixtral.parameters_by_part()["experts"] / 8
    assert local.dense == mixtral.parameters() - mixtral.parameters_by_part()["experts"]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"gpus": 9, "tensor": 2}, "take 10"), ({"gpus": 8, "expert": 3}, "divides 8")],
)
def test_layouts_that_do_not_add_up(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Layout(**sizes)


@given(
    tensor=st.sampled_from([1, 2, 4, 8]),
    zero=st.integers(0, 3),
    size=st.integers(1, 8),
    recompute=st.sampled_from(["none", "selective", "full"]),
)
def test_more_sharding_never_takes_more(tensor: int, zero: int, size: int, recompute: Recompute) -> None:
    numbers = Numbers("bf16")
    less = memory_bytes(GPT, Layout(64, tensor, zero=zero, micro_batch_size=size, recompute=recompute), 512, numbers)
    more = memory_bytes(
        GPT, Layout(64, tensor, zero=min(3, zero + 1), micro_batch_size=size, recompute=recompute), 512, numbers
    )
    states = [part.weights + part.gradients + part.optimizer for part in (less, more)]
    assert states[1] <= states[0]
    assert less.total > 0
    assert less.total == pytest.approx(sum(vars(less).values()))
