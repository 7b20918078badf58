"""Optimisers whose updates can be withheld or scaled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pretrain_api.spec.training import Optimizer
from pretrain_trainer.models.network import Network

UpdateGuard = Callable[[], float]
"""Decides about the update when gradients are there and before weights change: the factor on them; 0 withholds it."""

OUTPUT_PROJECTIONS = ("lm_head.weight", "embed_out.weight")


class GuardedOptimizer(torch.optim.Optimizer):
    """Asks a guard before each update. Comes before an optimiser in the order of inheritance.

    DeepSpeed calls `step` once a parameter group, after it has reduced and clipped the gradients; an update that isn't
    applied leaves weights, moments and step counts as they are.

    Attributes:
        guard: Asked at each call; None applies every update.
        clip_norm: Clip the gradients to this global norm here; None where DeepSpeed does it.
        _global_grad_norm: Norm before clipping; the name DeepSpeed looks for.
    """

    guard: UpdateGuard | None = None
    clip_norm: float | None = None
    _global_grad_norm: Tensor | None = None

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Apply the update unless the guard withholds it."""
        if self.clip_norm is not None:
            self._clip(self.clip_norm)
        factor = 1.0 if self.guard is None else self.guard()
        if factor == 0.0:
            return None
        if factor != 1.0:
            torch._foreach_mul_(self._gradients(), factor)
        self._step_by_sign()
        return super().step(closure)

    def _step_by_sign(self) -> None:
        """Move the parameters of groups with a `sign_step`; the optimiser, which finds no gradient, leaves them."""
        for group in self.param_groups:
            step = group.get("sign_step", 0.0)
            for parameter in group["params"] if step else ():
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad.sign(), alpha=step)
                    parameter.grad.zero_()

    def _gradients(self) -> list[Tensor]:
        return [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]

    def _clip(self, max_norm: float) -> None:
        self._global_grad_norm = nn.utils.get_total_norm(self._gradients())
        if max_norm > 0:
            parameters = [p for group in self.param_groups for p in group["params"]]
            nn.utils.clip_grads_with_norm_(parameters, max_norm, self._global_grad_norm)


class GuardedAdamW(GuardedOptimizer, torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter 2019)."""


class GuardedAdam(GuardedOptimizer, torch.optim.Adam):
    """Adam (Kingma and Ba 2015); weight decay is a part of the gradient."""


class GuardedSGD(GuardedOptimizer, torch.optim.SGD):
    """Gradient descent with momentum; weight decay is a part of the gradient."""


class GuardedAdafactor(GuardedOptimizer, torch.optim.Adafactor):
    """Adafactor (Shazeer and Stern 2018), with decay 1 - k^-0.8 and updates relative to the size of the weights."""


class Lion(torch.optim.Optimizer):
    """Lion (Chen et al. 2023, algorithm 2): the sign of an interpolation of gradient and momentum."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return None

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter)
        momentum: Tensor = state["exp_avg"]
        faster, slower = group["betas"]
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_((faster * momentum + (1 - faster) * gradient).sign_(), alpha=-group["lr"])
        momentum.mul_(slower).add_((1 - slower) * gradient)


class GuardedLion(GuardedOptimizer, Lion):
    """Lion."""


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for matrices inside the network, AdamW for embeddings, output projection and vectors.

    The updates of Muon are as large as AdamW's (Liu et al. 2025, section 2.2), so that one learning rate fits both.
    """

    def __init__(self, params: Iterable[dict[str, Any]], muon: dict[str, Any], adamw: dict[str, Any]) -> None:
        """Take groups that say by `"muon": bool` whose parameters they have."""
        groups = list(params)
        self._parts: list[tuple[bool, torch.optim.Optimizer]] = []
        for is_muon, make, settings in ((True, torch.optim.Muon, muon), (False, torch.optim.AdamW, adamw)):
            mine = [group for group in groups if group["muon"] == is_muon]
            if mine:
                part: torch.optim.Optimizer = make(mine, lr=0.0, **settings)
                self._parts.append((is_muon, part))
        super().__init__([group for _, part in self._parts for group in part.param_groups], {"lr": 0.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update all parameters that have a gradient."""
        for is_muon, part in self._parts:
            # DeepSpeed exchanges groups, parameters and states for its own.
            part.param_groups = [group for group in self.param_groups if group["muon"] == is_muon]
            part.state = self.state
            part.step()
        return None


class GuardedMuon(GuardedOptimizer, Muon):
    """Muon and AdamW."""


def parameter_groups(model: nn.Module, optimizer: Optimizer) -> list[dict[str, Any]]:
    """Return groups: matrices with weight decay, vectors (norms, biases) without; with Muon its matrices apart; and the
    parameters that go by a step of their own (`Network.sign_steps`)."""
    steps = model.sign_steps() if isinstance(model, Network) else {}
    matrices = [(name, p) for name, p in model.named_parameters() if p.ndim >= 2]
    vectors = [p for name, p in model.named_parameters() if p.ndim < 2 and name not in steps]
    groups: list[dict[str, Any]] = [
        {"params": [p for _, p in matrices], "weight_decay": optimizer.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if optimizer.type == "muon":
        tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        outside = [p for name, p in matrices if id(p) in tables or name.endswith(OUTPUT_PROJECTIONS)]
        apart = {id(p) for p in outside}
        inside = [p for _, p in matrices if id(p) not in apart and p.ndim == 2]
        groups = [
            {"params": inside, "weight_decay": optimizer.weight_decay, "muon": True},
            {"params": outside, "weight_decay": optimizer.weight_decay, "muon": False},
            {"params": vectors, "weight_decay": 0.0, "muon": False},
        ]
    for step in sorted(set(steps.values())):
        mine = [model.get_parameter(name) for name in steps if steps[name] == step]
        groups.append({"params": mine, "weight_decay": 0.0, "sign_step": step, "muon": False})
    return [group for group in groups if group["params"]]


def build_optimizer(spec: Optimizer, groups: Iterable[dict[str, Any]]) -> GuardedOptimizer:
    """Return the optimiser that `spec` asks for; the learning rate is set step by step.

    Of normalized-gradient the guard divides the gradients by their norm.
    """
    groups = list(groups)
    adam: dict[str, Any] = {"betas": spec.moment_decay, "eps": spec.eps}
    if spec.type == "adamw":
        return GuardedAdamW(groups, lr=0.0, fused=True, **adam)
    if spec.type == "adam":
        return GuardedAdam(groups, lr=0.0, fused=True, **adam)
    if spec.type == "lion":
        return GuardedLion(groups, {"lr": 0.0, "betas": spec.moment_decay})
    if spec.type == "adafactor":
        return GuardedAdafactor(groups, lr=0.0)
    if spec.type == "muon":
        settings = {"momentum": spec.momentum_decay, "adjust_lr_fn": "match_rms_adamw"}
        return GuardedMuon(groups, settings, {"fused": True, **adam})
    return GuardedSGD(groups, lr=0.0, momentum=spec.momentum_decay)
