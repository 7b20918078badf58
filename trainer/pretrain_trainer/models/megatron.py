"""Layers in the layout of Megatron-LM (Shoeybi et al. 2019), which BLOOM, GPT-NeoX and Falcon have kept."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from pretrain_trainer.models.attention import View, attend
from pretrain_trainer.models.layers import run
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions


class FusedAttention(nn.Module):
    """Self-attention whose three projections are one matrix: beside each other a key-value head's queries, its key and
    its value, head after head."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions, bias: bool = True) -> None:
        super().__init__()
        self.head_size, self.key_value_heads = config.head_dim, config.num_key_value_heads
        self.dropout, self.recompute = config.dropout, options.recomputes_attention
        heads = config.num_attention_heads + 2 * config.num_key_value_heads
        self.query_key_value = nn.Linear(config.hidden_size, heads * config.head_dim, bias)
        self.dense = nn.Linear(config.num_attention_heads * config.head_dim, config.hidden_size, bias)

    def forward(self, hidden: Tensor, view: View, table: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape; `table` as `RotaryEmbedding.table` gives it."""
        output: Tensor = self.dense(run(self.recompute, self._mix, self.query_key_value(hidden), view, table))
        return output

    def _mix(self, projected: Tensor, view: View, table: tuple[Tensor, Tensor] | None) -> Tensor:
        groups = projected.view(*projected.shape[:2], self.key_value_heads, -1, self.head_size)
        query, key, value = groups[..., :-2, :].flatten(2, 3), groups[..., -2, :], groups[..., -1, :]
        if table is not None:
            # As a view of it, the value would keep the whole projection beside the turned queries and keys.
            value = value.contiguous()
        dropout = self.dropout if self.training else 0.0
        return attend(query, key, value, self.head_size, view, table, None, dropout)


class FeedForward(nn.Module):
    """Two matrices with a GELU between (Hendrycks and Gimpel 2016)."""

    def __init__(self, config: NetworkConfig, bias: bool = True, approximate: Literal["none", "tanh"] = "none") -> None:
        """Take how the GELU is computed: exactly, or by its approximation with tanh."""
        super().__init__()
        self.approximate = approximate
        self.dense_h_to_4h = nn.Linear(config.hidden_size, config.intermediate_size, bias)
        self.dense_4h_to_h = nn.Linear(config.intermediate_size, config.hidden_size, bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        inner = functional.gelu(self.dense_h_to_4h(hidden), approximate=self.approximate)
        output: Tensor = self.dense_4h_to_h(inner)
        return output
