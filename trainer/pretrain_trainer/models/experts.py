"""A mixture of experts in the place of a feed-forward layer: each token passes the few that a router chooses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class RouterUse:
    """How the routers of some layers divided the tokens; sums over layers, to be divided by their number.

    Attributes:
        load: FP32[experts], share of the tokens that were sent to each; it adds up to the experts a token passes.
        probability: FP32[experts], mean probability that the router gave each.
        squared_logit: FP32, mean square of the logarithm of the sum of the exponentials of the logits.
    """

    load: Tensor
    probability: Tensor
    squared_logit: Tensor

    def __add__(self, other: RouterUse) -> RouterUse:
        return RouterUse(
            self.load + other.load,
            self.probability + other.probability,
            self.squared_logit + other.squared_logit,
        )


def router_loss(use: RouterUse, layers: int, balance_weight: float, z_weight: float) -> Tensor:
    """Return what the routers add to the loss.

    The load-balancing loss is experts * sum(load * probability) (Fedus et al. 2022, equation 4, here of all layers
    together, as transformers has it for Mixtral), the z-loss the mean of logsumexp(logits)^2 (Zoph et al. 2022,
    equation 5).
    """
    balance = use.load.numel() * (use.load / layers * use.probability / layers).sum()
    return balance_weight * balance + z_weight * use.squared_logit / layers


class Expert(nn.Module):
    """SwiGLU with Mixtral's names: w2(silu(w1(x)) * w3(x))."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.w2 = nn.Linear(intermediate_size, hidden_size, bias=False)
        self.w3 = nn.Linear(hidden_size, intermediate_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [tokens, hidden_size] to the same shape."""
        output: Tensor = self.w2(functional.silu(self.w1(hidden)) * self.w3(hidden))
        return output


class SparseFeedForward(nn.Module):
    """Top-k routing (Shazeer et al. 2017; Jiang et al. 2024, section 2.1); no token is ever left out.

    The tokens are sorted by expert, so that each expert does one product; an expert without tokens is called, too, as
    ZeRO 3 needs every rank to ask for the same weights.
    """

    def __init__(self, hidden_size: int, intermediate_size: int, num_experts: int, per_token: int) -> None:
        super().__init__()
        self.per_token = per_token
        self.gate = nn.Linear(hidden_size, num_experts, bias=False)
        self.experts = nn.ModuleList(Expert(hidden_size, intermediate_size) for _ in range(num_experts))

    def forward(self, hidden: Tensor) -> tuple[Tensor, RouterUse]:
        """Map [batch, length, hidden_size] to the same shape, and say how the tokens were divided."""
        tokens = hidden.flatten(0, -2)
        logits = self.gate(tokens).float()
        probability = logits.softmax(-1)
        weight, chosen = probability.topk(self.per_token, dim=-1)
        weight = (weight / weight.sum(-1, keepdim=True)).to(hidden.dtype)
        counts = torch.bincount(chosen.flatten(), minlength=len(self.experts))
        order = chosen.flatten().argsort(stable=True)
        sources = order // self.per_token
        pieces = torch.split(tokens[sources], counts.tolist())
        outputs = torch.cat([expert(piece) for expert, piece in zip(self.experts, pieces, strict=True)])
        mixed = torch.zeros_like(tokens).index_add(0, sources, outputs * weight.flatten()[order, None])
        use = RouterUse(counts / tokens.shape[0], probability.mean(0), logits.logsumexp(-1).square().mean())
        return mixed.view_as(hidden), use
