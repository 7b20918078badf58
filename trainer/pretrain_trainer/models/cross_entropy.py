"""Output projection and cross-entropy in one, chunk by chunk: no array of all logits is ever kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

IGNORED_TARGET = -100
CHUNK_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 26}
"""Logits computed at a time, by device: 16 MiB of FP32, which a core's cache still helps with; 256 MiB where adding up
the gradients of the projection chunk by chunk costs more than the products (a fifth of a step of GPT-2's size on an
H200 with chunks of 16 MiB)."""


class LinearCrossEntropy(torch.autograd.Function):
    """Mean of -log softmax(hidden @ weight.T + bias)[target] over the targets that count, and of the z-loss there.

    The gradients are computed in the forward pass, while a chunk's logits are at hand: the same work as usual, without
    keeping [tokens, vocabulary] arrays for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        bias: Tensor | None,
        z_loss: float,
        max_z_loss: float,
        compiled: bool,
    ) -> Tensor:
        """Compute the loss.

        Args:
            ctx: Autograd's context.
            hidden: [tokens, hidden_size], floating point.
            weight: [vocabulary, hidden_size], of the same type.
            targets: int64[tokens]; IGNORED_TARGET where nothing is to be predicted.
            bias: [vocabulary], of the same type; None: there's none.
            z_loss: Weight of log(sum(exp(logits)))^2 (PaLM: Chowdhery et al. 2022, section 5).
            max_z_loss: Weight of max(logits)^2 (Baichuan 2: Yang et al. 2023, section 2.5).
            compiled: Do what is between the products by kernels of torch.compile.

        Returns:
            FP32 scalar, in nats a token; 0 where no target counts.
        """
        counted = (targets != IGNORED_TARGET).sum().clamp(min=1)
        needs_gradient = any(ctx.needs_input_grad[:2])
        gradients = _Gradients(hidden, weight, bias) if needs_gradient else None
        loss_and_gradient = _compiled_loss_and_gradient() if compiled else _loss_and_gradient
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        chunk = max(1, CHUNK_ELEMENTS[weight.device.type] // weight.shape[0])
        for first in range(0, hidden.shape[0], chunk):
            part = slice(first, first + chunk)
            logits = (hidden[part] @ weight.T).float()
            if bias is not None:
                logits += bias
            loss += loss_and_gradient(logits, targets[part], counted, (z_loss, max_z_loss), needs_gradient)
            if gradients is not None:
                gradients.add(part, logits)
        if gradients is not None:
            ctx.save_for_backward(*gradients.finished())
        return loss

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that the forward pass left."""
        hidden, weight, *bias = (saved * gradient[0].to(saved.dtype) for saved in ctx.saved_tensors)
        return hidden, weight, None, bias[0] if bias else None, None, None, None


class _Gradients:
    """Gradients of the loss, gathered chunk by chunk; those of weight and bias in FP32."""

    def __init__(self, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        self._inputs, self._matrix = hidden, weight
        self._hidden = torch.empty_like(hidden)
        self._weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)
        self._bias = None if bias is None else torch.zeros(bias.shape, dtype=torch.float32, device=bias.device)

    def add(self, part: slice, logits: Tensor) -> None:
        """Add what a chunk's gradient of the logits, FP32[tokens, vocabulary], makes."""
        gradient = logits.to(self._matrix.dtype)
        torch.mm(gradient, self._matrix, out=self._hidden[part])
        if self._matrix.dtype == torch.float32:
            self._weight.addmm_(gradient.T, self._inputs[part])
        else:
            self._weight += gradient.T @ self._inputs[part]
        if self._bias is not None:
            self._bias += logits.sum(0)

    def finished(self) -> list[Tensor]:
        """Return the gradients of hidden, weight and bias in the types of these."""
        gradients = [self._hidden, self._weight.to(self._matrix.dtype)]
        return gradients if self._bias is None else [*gradients, self._bias.to(self._matrix.dtype)]


def _loss_and_gradient(
    logits: Tensor, targets: Tensor, counted: Tensor, z_losses: tuple[float, float], needs_gradient: bool
) -> Tensor:
    """Return the chunk's part of the mean loss; turn `logits` into its gradient in place if that is needed."""
    z_loss, max_z_loss = z_losses
    counts = targets != IGNORED_TARGET
    index = targets.clamp(min=0).unsqueeze(1)
    normalizer = torch.logsumexp(logits, dim=1, keepdim=True)
    losses = normalizer - logits.gather(1, index)
    if z_loss:
        losses = losses + z_loss * normalizer.square()
    if max_z_loss:
        largest, place = logits.max(1, keepdim=True)
        losses = losses + max_z_loss * largest.square()
    loss = (losses.squeeze(1) * counts).sum() / counted
    if needs_gradient:
        logits.sub_(normalizer).exp_()
        if z_loss:
            logits.mul_(1 + 2 * z_loss * normalizer)
        logits.scatter_add_(1, index, torch.full_like(normalizer, -1.0))
        if max_z_loss:
            logits.scatter_add_(1, place, 2 * max_z_loss * largest)
        logits.mul_((counts / counted).unsqueeze(1))
    return loss


@cache
def _compiled_loss_and_gradient() -> Callable[..., Tensor]:
    return torch.compile(_loss_and_gradient)


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    bias: Tensor | None = None,
    z_loss: float = 0.0,
    max_z_loss: float = 0.0,
    compiled: bool = False,
) -> Tensor:
    """Return the mean cross-entropy of `hidden` [..., hidden_size] projected by `weight`, against `targets` [...]."""
    flat = hidden.reshape(-1, hidden.shape[-1])
    loss: Tensor = LinearCrossEntropy.apply(flat, weight, targets.reshape(-1), bias, z_loss, max_z_loss, compiled)
    return loss
