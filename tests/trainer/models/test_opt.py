"""OPT: positions that begin two rows later, no dropout on embeddings, initial weights as published."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import LENGTH, numbers, stirred, tiny

from pretrain_trainer.models.opt import POSITION_OFFSET


def test_the_rows_before_the_positions_are_not_used() -> None:
    network = stirred(tiny("opt")).train()
    table = network.get_parameter("model.decoder.embed_positions.weight")
    assert table.shape[0] == LENGTH + POSITION_OFFSET
    network(input_ids=numbers(2, LENGTH), labels=numbers(2, LENGTH)).backward()
    assert table.grad is not None
    assert (table.grad.abs().amax(1) > 0).tolist() == [False, False] + [True] * LENGTH


def test_embeddings_have_no_dropout() -> None:
    """Section 2.2."""
    network = tiny("opt", dropout=0.5).train()
    hidden, _ = network.embed(numbers(2, LENGTH), None)  # type: ignore[operator]
    assert (hidden != 0).all()


def test_initial_weights_have_the_deviations_of_the_paper() -> None:
    """Section 2.2: 0.006, smaller by sqrt(2 L) into the residual stream."""
    network = tiny("opt", hidden_size=192, intermediate_size=768)
    for name, weight in network.named_parameters():
        if weight.ndim < 2:
            assert torch.equal(weight, torch.full_like(weight, 0.0 if name.endswith("bias") else 1.0))
            continue
        expected = 0.006 / 6**0.5 if "out_proj" in name or "fc2" in name else 0.006
        assert weight.std().item() == pytest.approx(expected, rel=0.03), name
