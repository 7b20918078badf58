"""The Baichuan-2 family (Yang et al. 2023): LLaMA with an output projection of rows with length 1; the larger one has
linear biases on distances (ALiBi) instead of rotary positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pretrain_trainer.models.alibi import distance_view
from pretrain_trainer.models.attention import View, attend
from pretrain_trainer.models.heads import NormalizedHead
from pretrain_trainer.models.layers import run
from pretrain_trainer.models.llama import LlamaForCausalLM, LlamaLayer, Table, rotary_config
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions

PACKED, HEAD = "W_pack", "lm_head.weight"
PARTS = ("q_proj", "k_proj", "v_proj")


class PackedAttention(nn.Module):
    """Self-attention whose three projections are one matrix, one after the other."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.head_size, self.dropout = config.head_dim, config.dropout
        self.recompute = options.recomputes_attention
        self.W_pack = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor, view: View, table: Table | None) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape; `table` as `RotaryEmbedding.table` gives it."""
        output: Tensor = self.o_proj(run(self.recompute, self._mix, self.W_pack(hidden), view, table))
        return output

    def _mix(self, projected: Tensor, view: View, table: Table | None) -> Tensor:
        query, key, value = projected.chunk(3, dim=-1)
        if table is not None:
            # As a view of it, the value would keep the whole projection beside the turned queries and keys.
            value = value.contiguous()
        dropout = self.dropout if self.training else 0.0
        return attend(query, key, value, self.head_size, view, table, None, dropout)


class BaichuanForCausalLM(LlamaForCausalLM):
    """Decoder and output projection.

    With rotary positions the export is a LLaMA: the rows of its output projection have the length 1, and W_pack is in
    three parts. With ALiBi it has the format of the published weights: no class of transformers is like it.
    """

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        sizes = config.hidden_size, config.vocab_size
        self.lm_head = NormalizedHead(*sizes, options.objective.z_loss, config.max_z_loss_coef)

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return LlamaLayer(self.config, PackedAttention(self.config, self.options))

    def embed(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, Table | None]:
        """Return embedded tokens, and the angles of their positions if they are rotary."""
        hidden, table = super().embed(tokens, positions)
        return hidden, None if self.config.alibi else table

    def view(self, tokens: Tensor, prefix_lengths: Tensor | None, document_ids: Tensor | None) -> View:
        """Return what positions see, with ALiBi by how much less with the distance; once for all layers."""
        seen = super().view(tokens, prefix_lengths, document_ids)
        if not self.config.alibi:
            return seen
        return distance_view(seen, tokens, self.config.num_attention_heads, self.model.embed_tokens.weight.dtype)

    def initial_deviation(self, name: str) -> float:
        """Return the deviation of the matrix `name`; of the output projection, whose length counts for the pace of
        learning alone, that of the released code."""
        return (3 * self.config.hidden_size) ** -0.5 if name == HEAD else super().initial_deviation(name)

    def exported(self, name: str, weight: Tensor) -> dict[str, Tensor]:
        """Return the parameter; the output projection normalised, and W_pack as a LLaMA has it."""
        if name == HEAD:
            return {name: nn.functional.normalize(weight)}
        if PACKED not in name or self.config.alibi:
            return {name: weight}
        return {name.replace(PACKED, part): rows.clone() for part, rows in zip(PARTS, weight.chunk(3), strict=True)}

    def imported(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the parameters, by name."""
        first, *rest = PARTS
        packed = {}
        for name, tensor in tensors.items():
            if first in name:
                rows = [tensor, *(tensors[name.replace(first, part)] for part in rest)]
                packed[name.replace(first, PACKED)] = torch.cat(rows)
            elif not any(part in name for part in rest):
                packed[name] = tensor
        return packed

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's LlamaConfig, or of Baichuan's own configuration, that say the same."""
        config = self.config
        if not config.alibi:
            return rotary_config(config) | {
                "architectures": ["LlamaForCausalLM"],
                "model_type": "llama",
                "attention_bias": False,
                "mlp_bias": False,
            }
        names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
        return {name: getattr(config, name) for name in (*names, "rms_norm_eps", "initializer_range")} | {
            "architectures": ["BaichuanForCausalLM"],
            "model_type": "baichuan",
            "hidden_act": "silu",
            "model_max_length": config.max_position_embeddings,
            "tie_word_embeddings": False,
            "z_loss_weight": config.max_z_loss_coef,
        }
