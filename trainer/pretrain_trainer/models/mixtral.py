"""The Mixtral family (Jiang et al. 2024): LLaMA with a mixture of experts in each layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pretrain_trainer.models.attention import View
from pretrain_trainer.models.experts import RouterUse, SparseFeedForward, router_loss
from pretrain_trainer.models.layers import RMSNorm
from pretrain_trainer.models.llama import LlamaForCausalLM, Table, rotary_attention, rotary_config
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions


class MixtralLayer(nn.Module):
    """Attention and experts, each behind a normalisation and beside the residual stream."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = rotary_attention(config, options)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.block_sparse_moe = SparseFeedForward(
            config.hidden_size, config.intermediate_size, config.num_local_experts, config.num_experts_per_tok
        )

    def forward(self, hidden: Tensor, view: View, table: Table) -> tuple[Tensor, RouterUse]:
        """Map [batch, length, hidden_size] to the same shape, and say how the tokens were divided."""
        attended = self.self_attn(self.input_layernorm(hidden), view, table)
        hidden = hidden + functional.dropout(attended, self.dropout, self.training)
        output, use = self.block_sparse_moe(self.post_attention_layernorm(hidden))
        return hidden + functional.dropout(output, self.dropout, self.training), use


class MixtralForCausalLM(LlamaForCausalLM):
    """Decoder and output projection. The weights have the names of the published files."""

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return MixtralLayer(self.config, self.options)

    def layer_loss(self, uses: list[RouterUse]) -> Tensor:
        """Return the load-balancing loss and the routers' z-loss."""
        total = uses[0]
        for use in uses[1:]:
            total = total + use
        config = self.config
        return router_loss(total, len(uses), config.router_aux_loss_coef, config.router_z_loss_coef)

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's MixtralConfig that say the same."""
        config = self.config
        return rotary_config(config) | {
            "architectures": ["MixtralForCausalLM"],
            "model_type": "mixtral",
            "num_local_experts": config.num_local_experts,
            "num_experts_per_tok": config.num_experts_per_tok,
            "router_aux_loss_coef": config.router_aux_loss_coef,
            "sliding_window": None,
        }
