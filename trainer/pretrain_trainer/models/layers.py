"""The layers that model families are composed of. Their parameters have Hugging Face's names and layouts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


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


class RotaryEmbedding:
    """Rotary position embedding (Su et al. 2021) in Hugging Face's layout: halves are rotated, not pairs.

    The table isn't a buffer of the module: engines cast buffers to BF16, and positions don't survive that.
    """

    def __init__(self, head_size: int, theta: float) -> None:
        self.head_size = head_size
        self.theta = theta
        self._table: tuple[Tensor, Tensor] | None = None

    def table(self, length: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and signed sines, each [length, head_size], with the type and device of `like`."""
        if self._table is None or self._table[0].shape[0] < length or self._table[0].device != like.device:
            self._table = self._compute(length, like.device)
        cosine, sine = self._table
        return cosine[:length].to(like.dtype), sine[:length].to(like.dtype)

    def _compute(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        exponent = torch.arange(0, self.head_size, 2, dtype=torch.int64, device=device).float() / self.head_size
        angle = torch.outer(torch.arange(length, device=device).float(), 1.0 / self.theta**exponent)
        return torch.cat((angle.cos(), angle.cos()), -1), torch.cat((-angle.sin(), angle.sin()), -1)


def rotate(heads: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Return `heads` [..., length, head_size] turned by their positions' angles."""
    cosine, signed_sine = table
    return heads * cosine + heads.roll(heads.shape[-1] // 2, -1) * signed_sine


@dataclass(frozen=True)
class AttentionShape:
    """Sizes of an attention layer; several query heads share a key-value head (Ainslie et al. 2023)."""

    hidden_size: int
    num_heads: int
    num_key_value_heads: int
    head_size: int


class Attention(nn.Module):
    """Causal self-attention with rotary positions and grouped queries."""

    def __init__(self, shape: AttentionShape, rotary: RotaryEmbedding, recompute: bool) -> None:
        super().__init__()
        self.shape = shape
        self.rotary = rotary
        self.recompute = recompute
        key_value_size = shape.num_key_value_heads * shape.head_size
        self.q_proj = nn.Linear(shape.hidden_size, shape.num_heads * shape.head_size, bias=False)
        self.k_proj = nn.Linear(shape.hidden_size, key_value_size, bias=False)
        self.v_proj = nn.Linear(shape.hidden_size, key_value_size, bias=False)
        self.o_proj = nn.Linear(shape.num_heads * shape.head_size, shape.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        query, key, value = self.q_proj(hidden), self.k_proj(hidden), self.v_proj(hidden)
        if self.recompute and torch.is_grad_enabled():
            mixed = checkpoint(self._attend, query, key, value, use_reentrant=False)
        else:
            mixed = self._attend(query, key, value)
        output: Tensor = self.o_proj(mixed)
        return output

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        batch, length, _ = query.shape
        query, key, value = (
            heads.view(batch, length, -1, self.shape.head_size).transpose(1, 2) for heads in (query, key, value)
        )
        table = self.rotary.table(length, query)
        grouped = self.shape.num_heads != self.shape.num_key_value_heads
        mixed = functional.scaled_dot_product_attention(
            rotate(query, table), rotate(key, table), value, is_causal=True, enable_gqa=grouped
        )
        return mixed.transpose(1, 2).reshape(batch, length, -1)


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
