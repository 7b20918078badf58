"""The layers that model families are composed of. Their parameters have Hugging Face's names and layouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pretrain_trainer.models.attention import View, attend


def run(recompute: bool, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function`; with `recompute` its activations are thrown away, and computed again in the backward pass."""
    if recompute and torch.is_grad_enabled():
        return checkpoint(function, *arguments, use_reentrant=False)
    return function(*arguments)


def embedding(rows: int, size: int) -> nn.Embedding:
    """Return an embedding that isn't initialised: nn.Embedding's own would import torch.compile's machinery on the meta
    device (5 s)."""
    made: nn.Embedding = nn.Embedding.from_pretrained(torch.empty(rows, size), freeze=False)  # type: ignore[no-untyped-call]
    return made


class RMSNorm(nn.Module):
    """Root-mean-square normalisation (Zhang and Sennrich 2019): x / sqrt(mean(x^2) + eps) * weight."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalise the last dimension, in FP32 whatever the input's type."""
        normalized = functional.rms_norm(hidden.float(), (hidden.shape[-1],), eps=self.eps)
        return normalized.to(hidden.dtype) * self.weight


class InputMajorLinear(nn.Module):
    """x @ weight + bias: a linear layer whose weight is [inputs, outputs], as GPT-2's published ones are."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [..., inputs] to [..., outputs]."""
        return functional.linear(hidden, self.weight.T, self.bias)


@dataclass(frozen=True)
class AttentionShape:
    """Sizes of an attention layer; several query heads share a key-value head (Ainslie et al. 2023)."""

    hidden_size: int
    num_heads: int
    num_key_value_heads: int
    head_size: int
    bias: bool = False
    """Of the projections to queries, keys and values."""


class RotaryAttention(nn.Module):
    """Self-attention with rotary positions and grouped queries."""

    def __init__(self, shape: AttentionShape, recompute: bool, dropout: float) -> None:
        super().__init__()
        self.shape, self.recompute, self.dropout = shape, recompute, dropout
        key_value_size = shape.num_key_value_heads * shape.head_size
        self.q_proj = nn.Linear(shape.hidden_size, shape.num_heads * shape.head_size, bias=shape.bias)
        self.k_proj = nn.Linear(shape.hidden_size, key_value_size, bias=shape.bias)
        self.v_proj = nn.Linear(shape.hidden_size, key_value_size, bias=shape.bias)
        self.o_proj = nn.Linear(shape.num_heads * shape.head_size, shape.hidden_size, bias=False)

    def forward(self, hidden: Tensor, view: View, table: tuple[Tensor, Tensor]) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape; `table` as `RotaryEmbedding.table` gives it."""
        projected = self.q_proj(hidden), self.k_proj(hidden), self.v_proj(hidden)
        dropout = self.dropout if self.training else 0.0
        mixed = run(self.recompute, attend, *projected, self.shape.head_size, view, table, None, dropout)
        output: Tensor = self.o_proj(mixed)
        return output


class GatedFeedForward(nn.Module):
    """SwiGLU (Shazeer 2020): down(silu(gate(x)) * up(x))."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        output: Tensor = self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return output
