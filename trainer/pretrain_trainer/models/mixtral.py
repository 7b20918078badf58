"""The Mixtral family (Jiang et al. 2024): LLaMA with a mixture of experts in each layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from pretrain_trainer.models.experts import Expert, Router, RouterUse, Routing, SparseFeedForward, router_loss
from pretrain_trainer.models.llama import LlamaForCausalLM, RotaryLayer, rotary_attention, rotary_config
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions


class MixtralLayer(RotaryLayer):
    """Attention and experts, each behind a normalisation and beside the residual stream."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, rotary_attention(config, options))
        sizes = config.hidden_size, config.intermediate_size
        routing = Routing(config.num_local_experts, config.num_experts_per_tok, normalized=True)
        experts = (Expert(*sizes) for _ in range(routing.experts))
        self.block_sparse_moe = SparseFeedForward(Router(config.hidden_size, routing), experts)

    def feed_forward(self, hidden: Tensor) -> tuple[Tensor, RouterUse]:
        """Map [batch, length, hidden_size] to the same shape, and say how the tokens were divided."""
        output: tuple[Tensor, RouterUse] = self.block_sparse_moe(hidden)
        return output


class MixtralForCausalLM(LlamaForCausalLM):
    """Decoder and output projection. The weights have the names of the published files."""

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return MixtralLayer(self.config, self.options)

    def layer_loss(self, uses: list[RouterUse]) -> Tensor:
        """Return the load-balancing loss and the routers' z-loss."""
        return router_loss(uses, self.config.router_aux_loss_coef, self.config.router_z_loss_coef)

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
