"""DeepSeek's experts: groups, and the biases that keep them evenly used."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_networks import inputs, numbers, tiny
from torch import nn

from pretrain_api.spec.training import Optimizer
from pretrain_trainer.engine.optimizer import build_optimizer, parameter_groups
from pretrain_trainer.models.deepseek_v3 import BIAS, SteeredRouter
from pretrain_trainer.models.experts import Router, Routing


def scores(*values: float) -> torch.Tensor:
    return torch.tensor(values)[None, None]


def test_experts_of_a_token_come_from_the_groups_with_the_best_one() -> None:
    router = Router(4, Routing(6, 2, groups=3, chosen_groups=1))
    assert router.choose(scores(0.30, 0.00, 0.25, 0.20, 0.15, 0.10)).tolist() == [[[0, 1]]]
    wider = Router(4, Routing(6, 2, groups=3, chosen_groups=2))
    assert wider.choose(scores(0.30, 0.00, 0.25, 0.20, 0.15, 0.10)).tolist() == [[[0, 2]]]


def steered(*biases: float, groups: int = 1) -> SteeredRouter:
    router = SteeredRouter(4, Routing(len(biases), 2, normalized=True, scale=2.5, groups=groups))
    with torch.no_grad():
        router.weight.normal_(generator=torch.Generator().manual_seed(0))
        router.e_score_correction_bias[:] = torch.tensor(biases)
    return router


def test_groups_of_v3_are_judged_by_their_two_best() -> None:
    router = steered(*[0.0] * 6, groups=2)
    assert router.choose(scores(0.9, 0.1, 0.0, 0.6, 0.5, 0.2)).tolist() == [[[3, 4]]]


def test_biases_decide_who_is_chosen_and_not_what_it_counts() -> None:
    hidden = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(1))
    router = steered(5.0, 0.0, 5.0, 0.0)
    weight, chosen, _ = router(hidden)
    assert set(chosen.flatten().tolist()) == {0, 2}
    affinity = (hidden[0] @ router.weight.T).sigmoid().gather(-1, chosen)
    torch.testing.assert_close(weight, 2.5 * affinity / affinity.sum(-1, keepdim=True))


def balanced_run(rate: float, steps: int) -> tuple[nn.Module, list[float]]:
    """Train on the same few tokens; return the network and the greatest load of an expert, in means, at each step."""
    network = tiny("deepseek-v3", router_aux_loss_coef=0.0, router_bias_update_rate=rate).train()
    spec = Optimizer.model_validate({"type": "adamw", "weightDecay": 0.1})
    optimizer = build_optimizer(spec, parameter_groups(network, spec))
    loads: list[float] = []
    collect = lambda _module, _inputs, output: loads.append(float(output[2].load.mean(0).max()))  # noqa: E731
    network.model.layers[1].mlp.gate.register_forward_hook(collect)  # type: ignore[index, union-attr]
    for _ in range(steps):
        optimizer.zero_grad()
        network(**inputs("deepseek-v3", labels=True)).backward()
        optimizer.step()
    return network, [8 / 3 * load for load in loads]


def test_biases_make_the_experts_evenly_used() -> None:
    """Section 2.1.2; the learning rate is 0, so nothing else does."""
    _, without = balanced_run(0.0, 30)
    network, steered_loads = balanced_run(0.001, 30)
    assert without[-1] == without[0] > 1.3
    assert steered_loads[0] == without[0]
    assert min(steered_loads[-5:]) < 1.2
    bias = network.get_parameter(f"model.layers.1.mlp.gate.{BIAS}").detach()
    torch.testing.assert_close(1000 * bias, (1000 * bias).round())


@pytest.mark.parametrize("kind", ["adamw", "lion", "muon", "sgd", "adafactor"])
def test_biases_go_one_step_whatever_moves_the_rest(kind: str) -> None:
    network = tiny("deepseek-v3", router_bias_update_rate=0.25).train()
    settings: dict[str, Any] = {"type": kind, "weightDecay": 0.1}
    spec = Optimizer.model_validate(settings)
    optimizer = build_optimizer(spec, parameter_groups(network, spec))
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    network(**inputs("deepseek-v3", labels=True)).backward()
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None and BIAS in name}
    optimizer.step()
    assert len(gradients) == 2
    for name, gradient in gradients.items():
        torch.testing.assert_close(network.get_parameter(name).detach(), -0.25 * gradient.sign())
        assert gradient.abs().max() < 1e-5  # so that the norm of all gradients stays that of the others


def test_the_loss_is_that_without_steering() -> None:
    network = tiny("deepseek-v3", router_aux_loss_coef=0.0)
    batch = inputs("deepseek-v3", labels=True)
    with torch.no_grad():
        assert network.train()(**batch) == network.eval()(**batch)


def test_a_token_that_all_experts_see_alike_leaves_the_biases() -> None:
    router = steered(0.0, 0.0)
    _, _, use = router(numbers(1, 3, 4).float())
    use.steering.backward()  # type: ignore[union-attr]
    assert router.e_score_correction_bias.grad.tolist() == [0.0, 0.0]  # type: ignore[union-attr]
