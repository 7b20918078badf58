"""The DeepSeek-V2 family (DeepSeek-AI 2024): DeepSeekMoE with latent attention, and tokens whose experts come from few
groups."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pretrain_trainer.models.attention import RotaryEmbedding, View, halves_of_pairs, mix, rotate
from pretrain_trainer.models.deepseek_moe import SharedAndRoutedExperts, SmallExpertsNetwork
from pretrain_trainer.models.experts import Router, Routing
from pretrain_trainer.models.layers import RMSNorm, run
from pretrain_trainer.models.llama import Table, rotary_config
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions

LATENT_EPS = 1e-6
"""Of the normalisations inside the attention: the published classes have no setting for it."""


class LatentAttention(nn.Module):
    """Multi-head latent attention (section 2.1): keys and values, and mostly queries, too, pass through a narrow
    latent vector; a part of each key is rotary, and the same for all heads."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.dropout, self.recompute = config.dropout, options.recomputes_attention
        self.heads, self.latent = config.num_attention_heads, config.kv_lora_rank
        self.plain, self.rotary, self.value = config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim
        hidden, queries = config.hidden_size, self.heads * (self.plain + self.rotary)
        self.compressed = config.q_lora_rank is not None
        if config.q_lora_rank is None:
            self.q_proj = nn.Linear(hidden, queries, bias=False)
        else:
            self.q_a_proj = nn.Linear(hidden, config.q_lora_rank, bias=False)
            self.q_a_layernorm = RMSNorm(config.q_lora_rank, LATENT_EPS)
            self.q_b_proj = nn.Linear(config.q_lora_rank, queries, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(hidden, self.latent + self.rotary, bias=False)
        self.kv_a_layernorm = RMSNorm(self.latent, LATENT_EPS)
        self.kv_b_proj = nn.Linear(self.latent, self.heads * (self.plain + self.value), bias=False)
        self.o_proj = nn.Linear(self.heads * self.value, hidden, bias=False)

    def forward(self, hidden: Tensor, view: View, table: Table) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape; `table` as `RotaryEmbedding.table` gives it."""
        query = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(hidden))) if self.compressed else self.q_proj(hidden)
        latent, rotary_key = torch.split(self.kv_a_proj_with_mqa(hidden), [self.latent, self.rotary], -1)
        expanded = self.kv_b_proj(self.kv_a_layernorm(latent))
        rotary_key = rotary_key.contiguous()  # as a view of it, it would keep the latent vector, too
        output: Tensor = self.o_proj(run(self.recompute, self._mix, query, expanded, rotary_key, view, table))
        return output

    def _mix(self, query: Tensor, expanded: Tensor, rotary_key: Tensor, view: View, table: Table) -> Tensor:
        """Return the mixed values [batch, length, heads * value], from queries, keys and values that stand head by head
        beside each other, and the keys' rotary part [batch, length, rotary]."""
        plain_query, rotary_query = torch.split(self._parted(query), [self.plain, self.rotary], -1)
        plain_key, value = torch.split(self._parted(expanded), [self.plain, self.value], -1)
        rotary_query = rotate(halves_of_pairs(rotary_query), table)
        rotary_key = rotate(halves_of_pairs(rotary_key[:, None]), table).expand(-1, self.heads, -1, -1)
        # As a view, the value would keep the keys' plain parts beside the joined ones.
        queries, keys, values = joined(plain_query, rotary_query), joined(plain_key, rotary_key), joined(value)
        return mix(queries, keys, values, view, dropout=self.dropout if self.training else 0.0)

    def _parted(self, heads: Tensor) -> Tensor:
        """Map [batch, length, heads * size] to [batch, heads, length, size]."""
        return heads.view(*heads.shape[:2], self.heads, -1).transpose(1, 2)


def joined(*parts: Tensor) -> Tensor:
    """Return [batch, heads, length, size] with the parts of each head beside each other. In memory a position's heads
    stay together: attention's output follows, and needn't be copied."""
    return torch.cat([part.transpose(1, 2) for part in parts], -1).transpose(1, 2)


class DeepseekV2ForCausalLM(SmallExpertsNetwork):
    """Decoder and output projection. The weights have the names of the published files.

    Of the paper's balance losses there is that of the experts; those of devices and their communication, and tokens
    that are dropped, belong to expert parallelism.
    """

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.rotary = RotaryEmbedding(config.qk_rope_head_dim, config.rope_theta)

    def build_attention(self) -> nn.Module:
        """Return the attention of a layer."""
        return LatentAttention(self.config, self.options)

    def build_experts(self) -> SharedAndRoutedExperts:
        """Return the experts of a layer."""
        router = Router(self.config.hidden_size, self.routing(normalized=False))
        return SharedAndRoutedExperts(self.config, router, "shared_experts")

    def routing(self, normalized: bool) -> Routing:
        """Return how the routers choose."""
        config = self.config
        return Routing(
            config.num_local_experts,
            config.num_experts_per_tok,
            normalized,
            config.routed_scaling_factor,
            config.n_group,
            config.topk_group,
            in_fp32=True,
        )

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's DeepseekV2Config that say the same."""
        return latent_config(self.config) | {
            "architectures": ["DeepseekV2ForCausalLM"],
            "model_type": "deepseek_v2",
            "topk_method": "greedy" if self.config.n_group == 1 else "group_limited_greedy",
            "norm_topk_prob": False,
            "aux_loss_alpha": self.config.router_aux_loss_coef,
            "seq_aux": True,
        }


def latent_config(config: NetworkConfig) -> dict[str, Any]:
    """Return the fields that the configurations of DeepSeek-V2 and V3 share."""
    names = (
        "num_experts_per_tok",
        "n_shared_experts",
        "moe_intermediate_size",
        "first_k_dense_replace",
        "routed_scaling_factor",
        "n_group",
        "topk_group",
        "q_lora_rank",
        "kv_lora_rank",
        "qk_nope_head_dim",
        "qk_rope_head_dim",
        "v_head_dim",
    )
    shared = {name: value for name, value in rotary_config(config).items() if name != "head_dim"}
    return shared | {name: getattr(config, name) for name in names} | {"n_routed_experts": config.num_local_experts}
