"""Training FLOPs and time against figures that papers give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.estimates import published_models
from pretrain_api.estimates.flops import attention_flops_per_token, seconds, training_flops
from pretrain_api.estimates.network import Network

TRILLION = 1e12


def network(name: str) -> Network:
    return published_models()[name].network


def test_gpt3_as_in_its_table_d1() -> None:
    # Brown et al. 2020, table D.1: 3.14e23 FLOPs for 300B tokens.
    flops = training_flops(network("gpt3-175b"), 300e9, 2048, "none")
    assert flops.total == pytest.approx(3.14e23, rel=0.002)
    assert flops.total == 6 * 300e9 * 174_604_259_328


def test_time_of_llama_65b() -> None:
    # 8CP / (2,048 x 2e14) with the nominal 65e9 parameters: 1.78e6 s = 20.6 days; Touvron et al. 2023: about 21 days.
    assert seconds(8 * 1.4 * TRILLION * 65e9, 2048, 2e14, 1.0) == pytest.approx(1.777e6, rel=1e-3)
    flops = training_flops(network("llama-65b"), 1.4 * TRILLION, 2048, "full")
    exact = seconds(flops.total, 2048, 2e14, 1.0)
    assert exact == pytest.approx(1.785e6, rel=1e-3)
    assert exact == pytest.approx(1.78e6, rel=0.005)
    assert exact / 86_400 == pytest.approx(20.6, abs=0.1)


def test_recomputation() -> None:
    model = network("llama-7b")
    none, selective, full = (training_flops(model, 1e9, 2048, recompute) for recompute in ("none", "selective", "full"))
    assert full.total == pytest.approx(none.total * 8 / 6)
    assert selective.total == none.total
    assert selective.executed - none.executed == pytest.approx(none.attention / 3)
    assert full.executed == pytest.approx(none.executed * 4 / 3)
    assert none.model == selective.model == full.model


def test_attention_term_of_llama() -> None:
    # 12·L·H·T (PaLM, appendix B)
    assert attention_flops_per_token(network("llama-7b"), 2048) == 12 * 32 * 4096 * 2048


def test_attention_term_with_wide_keys() -> None:
    # Heads of 192 for queries and keys, 128 for values: 6·A·(192 + 128)·L·T.
    expected = 6 * 128 * (192 + 128) * 61 * 4096
    assert attention_flops_per_token(network("deepseek-v3-671b"), 4096) == expected


def test_model_flops_are_those_of_the_trainer() -> None:
    pytest.importorskip("torch")
    from pretrain_api.presets import PRESETS
    from pretrain_api.spec.model import Model
    from pretrain_trainer.models.families import build_model, flops_per_token

    shape = PRESETS["llama-7b"]
    fields = shape.fields()
    model = build_model(Model(**fields), 32_000, 2048, device="meta")
    assert training_flops(network("llama-7b"), 1, 2048, "none").model == flops_per_token(model, 2048)


def test_only_active_experts_count() -> None:
    flops = training_flops(network("mixtral-8x7b"), 1, 1024, "none")
    assert flops.total == 6 * network("mixtral-8x7b").active_parameters()


def test_a_token_of_t5_passes_the_encoder_and_a_share_of_the_decoder() -> None:
    t5 = network("t5-base")
    encoder, decoder = t5.layers
    expected = 12 * t5.layer_parameters(encoder).without_experts
    expected += 114 / 512 * 12 * t5.layer_parameters(decoder).without_experts
    rest = t5.parameters() - 12 * sum(t5.layer_parameters(layer).without_experts for layer in t5.layers)
    assert t5.parameters_per_token() == pytest.approx(expected + rest)
    # Raffel et al. 2020, section 3.2.2: about the cost of a decoder alone with half of the parameters.
    assert t5.parameters_per_token() < 0.7 * t5.parameters()


@given(tokens=st.floats(1, 1e15), length=st.integers(1, 1_000_000))
def test_flops_grow_in_proportion_to_tokens(tokens: float, length: int) -> None:
    model = network("gpt2-124m")
    one, two = training_flops(model, tokens, length, "none"), training_flops(model, 2 * tokens, length, "none")
    assert two.executed == pytest.approx(2 * one.executed)
    assert one.model <= one.executed
