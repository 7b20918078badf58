"""The DeepSeekMoE family (Dai et al. 2024): LLaMA whose layers, but for the first, have many small experts that a
router chooses from, beside shared ones that see every token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pretrain_trainer.models.experts import Router, RouterUse, Routing, SparseFeedForward, sequence_router_loss
from pretrain_trainer.models.layers import GatedFeedForward
from pretrain_trainer.models.llama import LlamaForCausalLM, LlamaLayer, RotaryLayer, rotary_attention, rotary_config
from pretrain_trainer.models.network import NetworkConfig

SHARED_OUTPUT, SHARED_GATE = "mlp.shared_expert.down_proj.weight", "mlp.shared_expert_gate.weight"


class SharedAndRoutedExperts(SparseFeedForward):
    """Experts that a router chooses, beside shared ones, which together are one feed-forward layer (section 3.2).

    `shared` is its name: transformers' classes differ in it.
    """

    def __init__(self, config: NetworkConfig, router: Router, shared: str) -> None:
        hidden, width = config.hidden_size, config.moe_intermediate_size
        super().__init__(router, (GatedFeedForward(hidden, width) for _ in range(config.num_local_experts)))
        self.shared = shared
        self.add_module(shared, GatedFeedForward(hidden, config.n_shared_experts * width))

    def forward(self, hidden: Tensor) -> tuple[Tensor, RouterUse]:
        """Map [batch, length, hidden_size] to the same shape, and say how the tokens were divided."""
        routed, use = super().forward(hidden)
        return routed + self.get_submodule(self.shared)(hidden), use


class ExpertLayer(RotaryLayer):
    """Attention and experts."""

    def __init__(self, config: NetworkConfig, attention: nn.Module, experts: SharedAndRoutedExperts) -> None:
        super().__init__(config, attention)
        self.mlp = experts

    def feed_forward(self, hidden: Tensor) -> tuple[Tensor, RouterUse]:
        """Map [batch, length, hidden_size] to the same shape, and say how the tokens were divided."""
        output: tuple[Tensor, RouterUse] = self.mlp(hidden)
        return output


class SmallExpertsNetwork(LlamaForCausalLM):
    """A decoder whose first layers are dense, and whose others have experts, balanced in each sequence."""

    def build_attention(self) -> nn.Module:
        """Return the attention of a layer."""
        return rotary_attention(self.config, self.options)

    def build_experts(self) -> SharedAndRoutedExperts:
        """Return the experts of a layer."""
        raise NotImplementedError

    def build_layer(self) -> nn.Module:
        """Return one layer with experts."""
        return ExpertLayer(self.config, self.build_attention(), self.build_experts())

    def build_layers(self) -> Iterable[nn.Module]:
        """Return all layers, dense ones first."""
        dense = self.config.first_k_dense_replace
        yield from (LlamaLayer(self.config, self.build_attention()) for _ in range(dense))
        yield from (self.build_layer() for _ in range(self.config.num_hidden_layers - dense))

    def layer_loss(self, uses: list[RouterUse]) -> Tensor:
        """Return the balance loss of each sequence and layer, and the routers' z-loss."""
        return sequence_router_loss(uses, self.config.router_aux_loss_coef, self.config.router_z_loss_coef)

    def initial_deviation(self, name: str) -> float:
        """Return the deviation of the matrix `name`: the same for all (DeepSeekMoE, section 4.1.3; DeepSeek-V2 and V3,
        section on hyper-parameters)."""
        return self.config.initializer_range


class DeepseekMoeForCausalLM(SmallExpertsNetwork):
    """Decoder and output projection.

    Hugging Face's Qwen2Moe has the same parts, and a gate at the shared experts: sigmoid(gate(x)) * shared(x). The
    export has a gate of zeros, which halves them, and twice their output projection: the same numbers, bit by bit.
    """

    def build_experts(self) -> SharedAndRoutedExperts:
        """Return the experts of a layer; the chosen ones count with their probability as it is."""
        routing = Routing(self.config.num_local_experts, self.config.num_experts_per_tok)
        return SharedAndRoutedExperts(self.config, Router(self.config.hidden_size, routing), "shared_expert")

    def exported(self, name: str, weight: Tensor) -> dict[str, Tensor]:
        """Return the parameter; of shared experts twice their output projection, and the gate."""
        if not name.endswith(SHARED_OUTPUT):
            return {name: weight}
        gate = name.removesuffix(SHARED_OUTPUT) + SHARED_GATE
        return {name: 2 * weight, gate: torch.zeros(1, self.config.hidden_size, dtype=weight.dtype)}

    def imported(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the parameters, by name."""
        kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(SHARED_GATE)}
        return {name: tensor / 2 if name.endswith(SHARED_OUTPUT) else tensor for name, tensor in kept.items()}

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's Qwen2MoeConfig that say the same."""
        config = self.config
        return rotary_config(config) | {
            "architectures": ["Qwen2MoeForCausalLM"],
            "model_type": "qwen2_moe",
            "qkv_bias": False,
            "num_experts": config.num_local_experts,
            "num_experts_per_tok": config.num_experts_per_tok,
            "moe_intermediate_size": config.moe_intermediate_size,
            "shared_expert_intermediate_size": config.n_shared_experts * config.moe_intermediate_size,
            "mlp_only_layers": list(range(config.first_k_dense_replace)),
            "norm_topk_prob": False,
            "router_aux_loss_coef": config.router_aux_loss_coef,
        }
