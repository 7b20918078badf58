"""Optimisers whose updates can be withheld."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pretrain_api.spec.training import Optimizer

UpdateGuard = Callable[[], bool]
"""Decides, when gradients are there and before weights change, whether the update is applied."""


class GuardedAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter 2019) that asks a guard before each update.

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
        if self.guard is not None and not self.guard():
            return None
        return super().step(closure)

    def _clip(self, max_norm: float) -> None:
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        self._global_grad_norm = nn.utils.get_total_norm(gradients)
        if max_norm > 0:
            parameters = [p for group in self.param_groups for p in group["params"]]
            nn.utils.clip_grads_with_norm_(parameters, max_norm, self._global_grad_norm)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return two groups: matrices with weight decay, vectors (norms, biases) without."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def build_optimizer(spec: Optimizer, groups: Iterable[dict[str, Any]]) -> GuardedAdamW:
    """Return the optimiser that `spec` asks for; the learning rate is set step by step."""
    return GuardedAdamW(list(groups), lr=0.0, betas=spec.betas, eps=spec.eps, fused=True)
