"""The DeepSeek-V3 family (DeepSeek-AI 2024): DeepSeek-V2 with sigmoid scores, and experts that are kept evenly used by
biases which no gradient moves (Wang et al. 2024).

Multi-token prediction is `objective.futureTokens`, whose layers stand beside the last one instead of after it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pretrain_trainer.models.deepseek_moe import SharedAndRoutedExperts
from pretrain_trainer.models.deepseek_v2 import DeepseekV2ForCausalLM, latent_config
from pretrain_trainer.models.experts import Router, RouterUse, Routing

BIAS = "e_score_correction_bias"
EXCESS_SCALE = 1e-6
"""Factor on the biases' gradients, whose sign alone counts: the norm of all gradients is to stay that of the others."""


class SteeredRouter(Router):
    """A router whose choice, and that alone, follows a bias that rises for experts with few tokens (section 2.1.2).

    The gradient that the bias gets is each expert's excess of tokens over the mean: added up over micro-batches and
    ranks like any other, its sign says where the bias goes, by a step of its own (`Network.sign_steps`).
    """

    def __init__(self, hidden_size: int, routing: Routing) -> None:
        super().__init__(hidden_size, routing)
        self.e_score_correction_bias = nn.Parameter(torch.empty(routing.experts))

    def score(self, logits: Tensor) -> Tensor:
        """Return the affinities, each between 0 and 1."""
        return logits.sigmoid()

    def choose(self, score: Tensor) -> Tensor:
        """Return the experts of each token, int64[sequences, length, per_token], biases counted."""
        return super().choose(score.detach() + self.e_score_correction_bias.detach().float())

    def group_score(self, grouped: Tensor) -> Tensor:
        """Return the score of each group: its two best experts' together."""
        return grouped.topk(min(2, grouped.shape[-1]), dim=-1).values.sum(-1)

    def use(self, logits: Tensor, score: Tensor, chosen: Tensor) -> RouterUse:
        """Return how the tokens were divided; the probability is an affinity's share of all (equation 20)."""
        use = super().use(logits, score / score.sum(-1, keepdim=True), chosen)
        excess = use.load.mean(0) - use.load.mean()
        steering = EXCESS_SCALE * (self.e_score_correction_bias.float() * excess).sum()
        return replace(use, steering=steering - steering.detach())


class DeepseekV3ForCausalLM(DeepseekV2ForCausalLM):
    """Decoder and output projection. The weights have the names of the published files."""

    def build_experts(self) -> SharedAndRoutedExperts:
        """Return the experts of a layer."""
        router = SteeredRouter(self.config.hidden_size, self.routing(normalized=True))
        return SharedAndRoutedExperts(self.config, router, "shared_experts")

    def layer_loss(self, uses: list[RouterUse]) -> Tensor:
        """Return the balance loss of each sequence and layer, the routers' z-loss, and 0 with the biases' gradients."""
        steering = [use.steering for use in uses if use.steering is not None]
        return super().layer_loss(uses) + torch.stack(steering).sum()

    def sign_steps(self) -> dict[str, float]:
        """Return the step of the biases."""
        names = (name for name, _ in self.named_parameters() if name.endswith(BIAS))
        return dict.fromkeys(names, self.config.router_bias_update_rate)

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's DeepseekV3Config that say the same."""
        return latent_config(self.config) | {
            "architectures": ["DeepseekV3ForCausalLM"],
            "model_type": "deepseek_v3",
            "topk_method": "noaux_tc",
            "scoring_func": "sigmoid",
            "norm_topk_prob": True,
            "num_nextn_predict_layers": 0,
            "aux_loss_alpha": self.config.router_aux_loss_coef,
            "seq_aux": True,
        }
