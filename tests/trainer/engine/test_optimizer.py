"""Optimisers against references: torch's and transformers' own, or the papers' formulas written down anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pretrain_api.spec.training import Optimizer
from pretrain_trainer.engine.optimizer import GuardedOptimizer, build_optimizer, parameter_groups

STEPS = 100
RATE = 1e-2


class Network(nn.Module):
    """An embedding, a matrix, an output projection and two vectors."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(11, 6)
        self.inner = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.lm_head = nn.Linear(8, 11, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the loss of predicting each token's successor."""
        logits = self.lm_head(self.norm(self.inner(self.embed(tokens)).relu()))
        return nn.functional.cross_entropy(logits, (tokens * 3 + 1) % 11)


def train(optimizer_of: Callable[[Network], torch.optim.Optimizer], normalize: bool = False) -> Network:
    """Do 100 steps; return the network."""
    network = Network()
    optimizer = optimizer_of(network)
    for step in range(STEPS):
        tokens = torch.from_numpy(np.random.default_rng(step).integers(0, 11, 16))
        optimizer.zero_grad()
        network(tokens).backward()
        if normalize:
            norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter.grad /= norm
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        optimizer.step()
    return network


def ours(**settings: Any) -> Callable[[Network], torch.optim.Optimizer]:
    spec = Optimizer.model_validate(settings)
    return lambda network: build_optimizer(spec, parameter_groups(network, spec))


def split(network: Network, decay: float = 0.1) -> list[dict[str, Any]]:
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]


def assert_equal(found: Network, expected: Network) -> None:
    start = Network()
    for (name, value), reference, initial in zip(
        found.named_parameters(), expected.parameters(), start.parameters(), strict=True
    ):
        torch.testing.assert_close(value, reference, atol=1e-6, rtol=0, msg=name)
        assert not torch.allclose(value, initial, rtol=0, atol=5e-5), name


REFERENCES: list[tuple[dict[str, Any], Callable[[Network], torch.optim.Optimizer]]] = [
    ({"type": "adamw"}, lambda n: torch.optim.AdamW(split(n), betas=(0.9, 0.95), eps=1e-8, foreach=False)),
    ({"type": "adam"}, lambda n: torch.optim.Adam(split(n), betas=(0.9, 0.95), eps=1e-8, foreach=False)),
    ({"type": "sgd", "momentum": 0.8}, lambda n: torch.optim.SGD(split(n), momentum=0.8, foreach=False)),
]


@pytest.mark.parametrize(("settings", "reference"), REFERENCES, ids=lambda value: str(value)[:20])
def test_torchs_own(settings: dict[str, Any], reference: Callable[[Network], torch.optim.Optimizer]) -> None:
    assert_equal(train(ours(**settings)), train(reference))


class Written(torch.optim.Optimizer):
    """An update written down: a function of (parameter, gradient, state, group, step)."""

    def __init__(self, groups: list[dict[str, Any]], update: Callable[..., None]) -> None:
        super().__init__(groups, {"lr": 0.0})
        self.update, self.count = update, 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        self.count += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                self.update(parameter, parameter.grad, self.state[parameter], group, self.count)


def lion_of_the_paper(p: Tensor, g: Tensor, state: dict[str, Tensor], group: dict[str, Any], step: int) -> None:
    """Chen et al. 2023, algorithm 2."""
    m = state.get("m", torch.zeros_like(p))
    c = 0.9 * m + (1 - 0.9) * g
    p *= 1 - group["lr"] * group["weight_decay"]
    p -= group["lr"] * torch.sign(c)
    state["m"] = 0.99 * m + (1 - 0.99) * g


def test_lion() -> None:
    assert_equal(train(ours(type="lion")), train(lambda n: Written(split(n), lion_of_the_paper)))


def adafactor_of_the_paper(p: Tensor, g: Tensor, state: dict[str, Tensor], group: dict[str, Any], step: int) -> None:
    """Shazeer and Stern 2018, algorithms 4 and 5: β2 = 1 - k^-0.8, d = 1, ε2 = 1e-3, ρ at most 1/√k."""
    beta, tiny = 1 - step**-0.8, torch.finfo(p.dtype).eps ** 2
    square = g * g
    if p.ndim > 1:
        rows = state["r"] = beta * state.get("r", 0) + (1 - beta) * square.mean(dim=-1, keepdim=True)
        columns = state["c"] = beta * state.get("c", 0) + (1 - beta) * square.mean(dim=-2, keepdim=True)
        variance = rows @ columns / rows.mean().clamp(min=tiny)
    else:
        variance = state["v"] = beta * state.get("v", 0) + (1 - beta) * square
    update = g / variance.clamp(min=tiny).sqrt()
    update /= max(1.0, update.square().mean().sqrt())
    alpha = max(1e-3, p.square().mean().sqrt()) * min(group["lr"], step**-0.5)
    p *= 1 - group["lr"] * group["weight_decay"]
    p -= alpha * update


def test_adafactor() -> None:
    found = train(ours(type="adafactor"))
    assert_equal(found, train(lambda n: Written(split(n), adafactor_of_the_paper)))


def test_adafactors_decay_follows_the_paper() -> None:
    """β2 = 1 - k^-0.8: of a constant gradient the second moment is that at once, of a changed one a known mixture."""
    weight = nn.Parameter(torch.ones(4))
    optimizer = build_optimizer(Optimizer(type="adafactor", weight_decay=0.0), [{"params": [weight]}])
    variances = []
    for gradient in (2.0, 0.0, 0.0):
        weight.grad = torch.full((4,), gradient)
        optimizer.step()
        variances.append(float(optimizer.state[weight]["variance"][0]))
    second, third = 1 - 2**-0.8, 1 - 3**-0.8
    assert variances == pytest.approx([4.0, 4.0 * second, 4.0 * second * third], rel=1e-6)


def muon_of_the_paper(p: Tensor, g: Tensor, state: dict[str, Tensor], group: dict[str, Any], step: int) -> None:
    """Jordan et al. 2024: Nesterov momentum, five Newton-Schulz steps in bf16; scaled as in Liu et al. 2025."""
    m = state["m"] = state.get("m", torch.zeros_like(p)).lerp(g, 1 - 0.95)
    x = g.lerp(m, 0.95).bfloat16()
    x = x.T if p.shape[0] > p.shape[1] else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(5):
        a = x @ x.T
        # Sums and products round once, as in fused kernels: bf16 keeps three digits, and 100 steps add differences up.
        b = torch.addmm(a, a, a, beta=-4.775, alpha=2.0315)
        x = torch.addmm(x, b, x, beta=3.4445)
    x = x.T if p.shape[0] > p.shape[1] else x
    p *= 1 - group["lr"] * group["weight_decay"]
    p -= group["lr"] * 0.2 * max(p.shape) ** 0.5 * x.float()


def test_muon_is_for_the_matrices_inside() -> None:
    def reference(network: Network) -> torch.optim.Optimizer:
        inner = network.inner.weight
        tables = [network.embed.weight, network.lm_head.weight]
        vectors = [p for p in network.parameters() if p.ndim == 1]
        adamw = torch.optim.AdamW(
            [{"params": tables, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
            betas=(0.9, 0.95),
            eps=1e-8,
        )
        muon = Written([{"params": [inner], "weight_decay": 0.1}], muon_of_the_paper)

        class Both(torch.optim.Optimizer):
            def __init__(self) -> None:
                super().__init__(list(network.parameters()), {})
                self.param_groups = [*muon.param_groups, *adamw.param_groups]

            def step(self, closure: Any = None) -> Any:
                muon.step()
                adamw.step()

        return Both()

    found, expected = train(ours(type="muon")), train(reference)
    assert_equal(found, expected)


def test_the_gradient_is_normalized_by_the_guard() -> None:
    spec = Optimizer(type="normalized-gradient")

    def guarded(network: Network) -> torch.optim.Optimizer:
        optimizer = build_optimizer(spec, parameter_groups(network, spec))
        optimizer.guard = lambda: (
            1 / float(nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None]))
        )
        return optimizer

    reference = train(lambda n: torch.optim.SGD(split(n), momentum=0.9, foreach=False), normalize=True)
    assert_equal(train(guarded), reference)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "normalized-gradient", "adafactor", "lion", "muon"])
def test_a_withheld_update_leaves_everything_as_it_was(name: str) -> None:
    network = Network()
    optimizer = ours(type=name)(network)
    assert isinstance(optimizer, GuardedOptimizer)
    for group in optimizer.param_groups:
        group["lr"] = RATE

    def step() -> None:
        optimizer.zero_grad()
        network(torch.arange(11)).backward()
        optimizer.step()

    step()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    states = [
        {key: torch.as_tensor(value).clone() for key, value in optimizer.state[p].items()} for p in network.parameters()
    ]
    optimizer.guard = lambda: 0.0
    step()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    for parameter, state in zip(network.parameters(), states, strict=True):
        assert all(torch.equal(torch.as_tensor(optimizer.state[parameter][key]), value) for key, value in state.items())
    optimizer.guard = lambda: 1.0
    step()
    assert not all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_only_matrices_decay() -> None:
    network = Network()
    for name in ("adamw", "muon"):
        spec = Optimizer.model_validate({"type": name, "weightDecay": 0.3})
        for group in parameter_groups(network, spec):
            assert all((p.ndim > 1) == (group["weight_decay"] == 0.3) for p in group["params"])
        assert sum(len(group["params"]) for group in parameter_groups(network, spec)) == 6
