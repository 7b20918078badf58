"""Options of the objective that are off by default: z-loss, multi-token prediction; and the experts' routers."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import LENGTH, inputs, numbers, stirred, tiny
from torch.nn import functional

from pretrain_trainer.models.cross_entropy import IGNORED_TARGET
from pretrain_trainer.models.experts import SparseFeedForward, router_loss
from pretrain_trainer.models.families import count_parameters


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "t5", "mixtral", "bloom"])
def test_z_loss_is_for_training(family: str) -> None:
    batch = inputs(family, labels=True)
    plain, pulled = stirred(tiny(family)), stirred(tiny(family, objective={"zLoss": 0.1}))
    with torch.no_grad():
        logits = plain.eval()(**{name: value for name, value in batch.items() if name != "labels"})
        expected = 0.1 * logits[batch["labels"] != IGNORED_TARGET].logsumexp(-1).square().mean()
        torch.testing.assert_close(pulled.train()(**batch) - plain.train()(**batch), expected, atol=1e-5, rtol=1e-4)
        assert pulled.eval()(**batch) == plain.eval()(**batch)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral", "bloom"])
def test_later_tokens_are_predicted_by_layers_that_are_not_exported(family: str) -> None:
    quiet = {"router_aux_loss_coef": 0.0, "router_z_loss_coef": 0.0} if family == "mixtral" else {}
    plain = tiny(family, **quiet)
    network = tiny(family, objective={"futureTokens": 2, "futureWeight": 0.5}, **quiet)
    names = {name for name, _ in network.named_parameters()}
    assert {name for name in names if network.exports(name)} == {name for name, _ in plain.named_parameters()}
    assert count_parameters(network) > count_parameters(plain)

    # Layers beside the last one that are equal to it predict what it predicts, to be judged by later tokens.
    last = list(network.layers())[-1]  # type: ignore[operator]
    for layer in network.future_layers:  # type: ignore[union-attr]
        layer.load_state_dict(last.state_dict())
    batch = inputs(family, labels=True)
    with torch.no_grad():
        logits = plain.eval()(batch["input_ids"])
        losses = []
        for places in range(3):
            labels = torch.full_like(batch["labels"], IGNORED_TARGET)
            labels[:, : LENGTH - places] = batch["labels"][:, places:]
            losses.append(functional.cross_entropy(logits.flatten(0, 1), labels.flatten()))
        torch.testing.assert_close(network.train()(**batch), losses[0] + 0.5 * (losses[1] + losses[2]) / 2)
        torch.testing.assert_close(network.eval()(**batch), losses[0])


def test_each_token_passes_the_experts_that_its_router_prefers() -> None:
    torch.manual_seed(0)
    layer, hidden = SparseFeedForward(12, 20, 5, 2), torch.randn(2, 7, 12)
    output, use = layer(hidden)
    for sample in range(2):
        for place in range(7):
            token = hidden[sample, place]
            probability = layer.gate(token).softmax(-1)
            weight, chosen = probability.topk(2)
            parts = [w / weight.sum() * layer.experts[int(e)](token[None])[0] for w, e in zip(weight, chosen)]  # noqa: B905
            torch.testing.assert_close(output[sample, place], sum(parts))
    assert use.load.sum().item() == pytest.approx(2)
    assert use.probability.sum().item() == pytest.approx(1)


def test_an_even_load_has_the_least_balance_loss() -> None:
    """Experts that a token passes, with all probabilities alike (Fedus et al. 2022, section 2.2: 1 for one expert)."""
    layer = SparseFeedForward(8, 8, 4, 1)
    with torch.no_grad():
        layer.gate.weight[:] = torch.eye(4).repeat_interleave(2, dim=1) * 5
    tokens = torch.eye(8)
    _, even = layer(tokens)
    _, skewed = layer(tokens[:2].repeat(4, 1))
    assert router_loss(even, 1, 1.0, 0.0).item() == pytest.approx(1.0, abs=1e-5)
    assert router_loss(skewed, 1, 1.0, 0.0).item() > 3.5


def test_experts_without_tokens_have_gradients_of_zero() -> None:
    """ZeRO 3 waits for all of them on all ranks."""
    network = tiny("mixtral", num_local_experts=8, num_experts_per_tok=1).train()
    network(input_ids=torch.full((1, 4), 3), labels=numbers(1, 4)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
