"""Options of the objective that are off by default: z-loss, multi-token prediction; and the experts' routers."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import DECODERS, FAMILIES, LENGTH, inputs, numbers, stirred, tiny
from torch import nn
from torch.nn import functional

from pretrain_api.presets import EXPERT_FAMILIES
from pretrain_trainer.models.cross_entropy import IGNORED_TARGET
from pretrain_trainer.models.experts import (
    Expert,
    Router,
    RouterUse,
    Routing,
    SparseFeedForward,
    router_loss,
    sequence_router_loss,
)
from pretrain_trainer.models.families import count_parameters


@pytest.mark.parametrize("family", FAMILIES)
def test_z_loss_is_for_training(family: str) -> None:
    batch = inputs(family, labels=True)
    plain, pulled = stirred(tiny(family)), stirred(tiny(family, objective={"zLoss": 0.1}))
    with torch.no_grad():
        logits = plain.eval()(**{name: value for name, value in batch.items() if name != "labels"})
        expected = 0.1 * logits[batch["labels"] != IGNORED_TARGET].logsumexp(-1).square().mean()
        torch.testing.assert_close(pulled.train()(**batch) - plain.train()(**batch), expected, atol=1e-5, rtol=1e-4)
        assert pulled.eval()(**batch) == plain.eval()(**batch)


@pytest.mark.parametrize("family", DECODERS)
def test_later_tokens_are_predicted_by_layers_that_are_not_exported(family: str) -> None:
    quiet = {"router_aux_loss_coef": 0.0, "router_z_loss_coef": 0.0} if family in EXPERT_FAMILIES else {}
    quiet |= {"max_z_loss_coef": 0.0} if family == "baichuan" else {}
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


def experts(router: Router, intermediate_size: int) -> SparseFeedForward:
    number, hidden_size = router.weight.shape
    return SparseFeedForward(router, (Expert(hidden_size, intermediate_size) for _ in range(number)))


@pytest.mark.parametrize("normalized", [True, False])
def test_each_token_passes_the_experts_that_its_router_prefers(normalized: bool) -> None:
    torch.manual_seed(0)
    layer, hidden = experts(Router(12, Routing(5, 2, normalized)), 20), torch.randn(2, 7, 12)
    nn.init.normal_(layer.gate.weight)
    output, use = layer(hidden)
    for sample in range(2):
        for place in range(7):
            token = hidden[sample, place]
            probability = functional.linear(token, layer.gate.weight).softmax(-1)
            weight, chosen = probability.topk(2)
            total = weight.sum() if normalized else 1.0
            parts = [w / total * layer.experts[int(e)](token[None])[0] for w, e in zip(weight, chosen)]  # noqa: B905
            torch.testing.assert_close(output[sample, place], sum(parts))
    torch.testing.assert_close(use.load.sum(-1), torch.full((2,), 2.0))
    torch.testing.assert_close(use.probability.sum(-1), torch.ones(2))


def routed(*sequences: list[int]) -> RouterUse:
    """Return how a router of four experts divides sequences whose tokens are each sure of an expert."""
    router = Router(4, Routing(4, 1))
    with torch.no_grad():
        router.weight[:] = torch.eye(4) * 10
    use: RouterUse = router(torch.eye(4)[torch.tensor(sequences)])[2]
    return use


def test_an_even_load_has_the_least_balance_loss() -> None:
    """Experts that a token passes, with all probabilities alike (Fedus et al. 2022, section 2.2: 1 for one expert)."""
    assert router_loss([routed([0, 1, 2, 3])], 1.0, 0.0).item() == pytest.approx(1.0, abs=1e-5)
    assert router_loss([routed([2, 2, 2, 2])], 1.0, 0.0).item() > 3.5
    assert router_loss([routed([0, 0, 1, 1], [2, 2, 3, 3])], 1.0, 0.0).item() == pytest.approx(1.0, abs=1e-5)
    assert router_loss([routed([0, 1]), routed([2, 3])], 1.0, 0.0).item() == pytest.approx(1.0, abs=1e-5)


def test_a_balance_of_sequences_and_layers_counts_each_alone() -> None:
    """What one sequence or layer makes up for another still costs (Dai et al. 2024, section 3.3)."""
    assert sequence_router_loss([routed([0, 1, 2, 3])] * 3, 0.1, 0.0).item() == pytest.approx(0.3, abs=1e-4)
    assert sequence_router_loss([routed([0, 0, 1, 1], [2, 2, 3, 3])], 1.0, 0.0).item() == pytest.approx(2.0, abs=1e-2)
    assert sequence_router_loss([routed([0, 1]), routed([2, 3])], 1.0, 0.0).item() == pytest.approx(4.0, abs=1e-2)
    by_hand = routed([0, 1, 2, 3]).squared_logit.item()
    assert sequence_router_loss([routed([0, 1, 2, 3])], 0.0, 0.5).item() == pytest.approx(0.5 * by_hand)


@pytest.mark.parametrize("family", EXPERT_FAMILIES)
def test_experts_without_tokens_have_gradients_of_zero(family: str) -> None:
    """ZeRO 3 waits for all of them on all ranks."""
    network = tiny(family, num_local_experts=8, num_experts_per_tok=1).train()
    network(input_ids=torch.full((1, 4), 3), labels=numbers(1, 4)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
