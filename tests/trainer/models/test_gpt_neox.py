"""GPT-NeoX: heads that are rotary in part, and initial weights as published."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import tiny

from pretrain_api.spec.training import Optimizer
from pretrain_trainer.engine.optimizer import parameter_groups
from pretrain_trainer.models.attention import RotaryEmbedding, rotate


def test_a_narrow_table_turns_the_first_elements_of_a_head_alone() -> None:
    heads = torch.randn(2, 3, 7, 16, generator=torch.Generator().manual_seed(0))
    table = RotaryEmbedding(4, 10_000.0).table(torch.empty(2, 7, 16))
    turned = rotate(heads, table)
    assert torch.equal(turned[..., 4:], heads[..., 4:])
    assert torch.equal(turned[..., :4], rotate(heads[..., :4], table))
    assert not torch.equal(turned[..., 1:, :4], heads[..., 1:, :4])


def test_initial_weights_have_the_deviations_of_the_paper() -> None:
    """Section 3.1: 2 / (L sqrt(d)) into the residual stream, sqrt(2 / (d + 4 d)) elsewhere."""
    network = tiny("gpt-neox", hidden_size=200, intermediate_size=800, num_attention_heads=5)
    for name, weight in network.named_parameters():
        if weight.ndim < 2:
            assert (weight == (0 if name.endswith("bias") else 1)).all()
            continue
        expected = 2 / (3 * 200**0.5) if "dense.weight" in name or "4h_to_h" in name else (2 / 1000) ** 0.5
        assert weight.std().item() == pytest.approx(expected, rel=0.02), name


def test_the_output_projection_is_none_of_the_matrices_inside() -> None:
    network = tiny("gpt-neox")
    inside, outside, _ = parameter_groups(network, Optimizer(type="muon"))
    assert {id(p) for p in outside["params"]} == {id(network.embed_out.weight), id(network.gpt_neox.embed_in.weight)}
    assert len(inside["params"]) == 3 * 4
