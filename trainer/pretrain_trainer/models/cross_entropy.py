"""Output projection and cross-entropy in one, chunk by chunk: no array of all logits is ever kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

IGNORED_TARGET = -100
CHUNK_ELEMENTS = 1 << 22
"""Logits computed at a time: 16 MiB of FP32; larger chunks were not faster (2 cores; H200: see benchmarks)."""


class LinearCrossEntropy(torch.autograd.Function):
    """Mean of -log softmax(hidden @ weight.T)[target] over the targets that count.

    The gradients are computed in the forward pass, while a chunk's logits are at hand: the same work as usual, without
    keeping [tokens, vocabulary] arrays for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            ctx: Autograd's context.
            hidden: [tokens, hidden_size], floating point.
            weight: [vocabulary, hidden_size], of the same type.
            targets: int64[tokens]; IGNORED_TARGET where nothing is to be predicted.

        Returns:
            FP32 scalar, in nats a token; 0 where no target counts.
        """
        counted = (targets != IGNORED_TARGET).sum().clamp(min=1)
        needs_gradient = any(ctx.needs_input_grad[:2])
        hidden_gradient = torch.empty_like(hidden) if needs_gradient else None
        weight_gradient = (
            torch.zeros(weight.shape, dtype=torch.float32, device=weight.device) if needs_gradient else None
        )
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        chunk = max(1, CHUNK_ELEMENTS // weight.shape[0])
        for first in range(0, hidden.shape[0], chunk):
            part = slice(first, first + chunk)
            logits = (hidden[part] @ weight.T).float()
            chunk_loss = _loss_and_gradient(logits, targets[part], counted, needs_gradient)
            loss += chunk_loss
            if hidden_gradient is not None and weight_gradient is not None:
                gradient = logits.to(weight.dtype)
                torch.mm(gradient, weight, out=hidden_gradient[part])
                if weight.dtype == torch.float32:
                    weight_gradient.addmm_(gradient.T, hidden[part])
                else:
                    weight_gradient += gradient.T @ hidden[part]
        if hidden_gradient is not None and weight_gradient is not None:
            ctx.save_for_backward(hidden_gradient, weight_gradient.to(weight.dtype))
        return loss

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Scale the gradients that the forward pass left."""
        hidden_gradient, weight_gradient = ctx.saved_tensors
        factor = gradient[0]
        return (
            hidden_gradient * factor.to(hidden_gradient.dtype),
            weight_gradient * factor.to(weight_gradient.dtype),
            None,
        )


def _loss_and_gradient(logits: Tensor, targets: Tensor, counted: Tensor, needs_gradient: bool) -> Tensor:
    """Return the chunk's part of the mean loss; turn `logits` into its gradient in place if that is needed."""
    counts = targets != IGNORED_TARGET
    index = targets.clamp(min=0).unsqueeze(1)
    normalizer = torch.logsumexp(logits, dim=1, keepdim=True)
    loss = ((normalizer - logits.gather(1, index)).squeeze(1) * counts).sum() / counted
    if needs_gradient:
        logits.sub_(normalizer).exp_()
        logits.scatter_add_(1, index, torch.full_like(normalizer, -1.0))
        logits.mul_((counts / counted).unsqueeze(1))
    return loss


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of `hidden` [..., hidden_size] projected by `weight`, against `targets` [...]."""
    loss: Tensor = LinearCrossEntropy.apply(hidden.reshape(-1, hidden.shape[-1]), weight, targets.reshape(-1))
    return loss
