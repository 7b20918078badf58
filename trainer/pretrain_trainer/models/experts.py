"""A mixture of experts in the place of a feed-forward layer: each token passes the few that a router chooses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class RouterUse:
    """How a router divided the tokens of each sequence.

    Attributes:
        load: FP32[sequences, experts], share of the tokens that were sent to each; it adds up to the experts a token
            passes.
        probability: FP32[sequences, experts], mean probability that the router gave each.
        squared_logit: FP32, mean square of the logarithm of the sum of the exponentials of the logits.
        steering: FP32, 0 with the gradients that biases of the router are to have; None: there are none.
    """

    load: Tensor
    probability: Tensor
    squared_logit: Tensor
    steering: Tensor | None = None


def router_loss(uses: Sequence[RouterUse], balance_weight: float, z_weight: float) -> Tensor:
    """Return what the routers of all layers add to the loss.

    The load-balancing loss is experts * sum(load * probability) (Fedus et al. 2022, equation 4, here of all sequences
    and layers together, as transformers has it for Mixtral), the z-loss the mean of logsumexp(logits)^2 (Zoph et al.
    2022, equation 5).
    """
    load = torch.stack([use.load.mean(0) for use in uses]).mean(0)
    probability = torch.stack([use.probability.mean(0) for use in uses]).mean(0)
    balance = load.numel() * (load * probability).sum()
    return balance_weight * balance + z_weight * mean_squared_logit(uses)


def sequence_router_loss(uses: Sequence[RouterUse], balance_weight: float, z_weight: float) -> Tensor:
    """Return what the routers of all layers add to the loss where each layer and each sequence is to be balanced.

    The balance loss is experts / chosen * sum(load * probability), the mean over the sequences, the sum over the layers
    (Dai et al. 2024, equations 12 to 14, and the released code; DeepSeek-V3 2024, equations 17 to 20); 1 a layer where
    all experts are used alike.
    """
    factor = uses[0].load.shape[-1] / uses[0].load[0].sum()
    balance = factor * torch.stack([(use.load * use.probability).sum(-1).mean() for use in uses]).sum()
    return balance_weight * balance + z_weight * mean_squared_logit(uses)


def mean_squared_logit(uses: Sequence[RouterUse]) -> Tensor:
    """Return the mean over layers of the routers' squared normaliser, FP32."""
    return torch.stack([use.squared_logit for use in uses]).mean()


@dataclass(frozen=True)
class Routing:
    """How a router chooses."""

    experts: int
    per_token: int
    """Experts that a token passes."""
    normalized: bool = False
    """The weights of the chosen ones add up to 1, before `scale`."""
    scale: float = 1.0
    """Factor on the weights."""
    groups: int = 1
    """Equal groups of experts; those of a token come from `chosen_groups` of them (DeepSeek-V2 2024, section 2.2.2)."""
    chosen_groups: int = 1
    in_fp32: bool = False
    """The logits are computed in FP32, whatever the type of the weights."""


class Router(nn.Module):
    """Top-k routing (Shazeer et al. 2017): the likeliest experts, by the softmax over all."""

    def __init__(self, hidden_size: int, routing: Routing) -> None:
        super().__init__()
        self.routing = routing
        self.weight = nn.Parameter(torch.empty(routing.experts, hidden_size))

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor, RouterUse]:
        """Return weights FP32[tokens, per_token], experts int64[tokens, per_token], and how the tokens were divided.

        Args:
            hidden: [sequences, length, hidden_size].
        """
        if self.routing.in_fp32:
            logits = functional.linear(hidden.float(), self.weight.float())
        else:
            logits = functional.linear(hidden, self.weight).float()
        score = self.score(logits)
        chosen = self.choose(score)
        weight = score.gather(-1, chosen)
        if self.routing.normalized:
            weight = weight / weight.sum(-1, keepdim=True)
        use = self.use(logits, score, chosen)
        return self.routing.scale * weight.flatten(0, 1), chosen.flatten(0, 1), use

    def score(self, logits: Tensor) -> Tensor:
        """Return what the chosen experts are weighted by, FP32[sequences, length, experts]."""
        return logits.softmax(-1)

    def choose(self, score: Tensor) -> Tensor:
        """Return the experts of each token, int64[sequences, length, per_token]: the best of the best groups."""
        routing = self.routing
        if routing.groups > 1:
            grouped = score.view(*score.shape[:-1], routing.groups, -1)
            best = self.group_score(grouped).topk(routing.chosen_groups, dim=-1).indices
            outside = torch.ones_like(grouped[..., 0], dtype=torch.bool).scatter(-1, best, False)
            score = grouped.masked_fill(outside[..., None], -torch.inf).flatten(-2)
        return score.topk(routing.per_token, dim=-1).indices

    def group_score(self, grouped: Tensor) -> Tensor:
        """Return the score of each group, from [..., groups, experts]: its best expert's."""
        return grouped.amax(-1)

    def use(self, logits: Tensor, score: Tensor, chosen: Tensor) -> RouterUse:
        """Return how the tokens were divided; the score is a probability."""
        counts = chosen.new_zeros(chosen.shape[0], self.routing.experts)
        counts.scatter_add_(1, chosen.flatten(1), torch.ones_like(chosen).flatten(1))
        return RouterUse(counts / chosen.shape[1], score.mean(1), logits.logsumexp(-1).square().mean())


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
    """Each token passes the experts that its router chooses; no token is ever left out.

    The tokens are sorted by expert, so that each expert does one product; an expert without tokens is called, too, as
    ZeRO 3 needs every rank to ask for the same weights.
    """

    def __init__(self, router: Router, experts: Iterable[nn.Module]) -> None:
        super().__init__()
        self.gate = router
        self.experts = nn.ModuleList(experts)

    def forward(self, hidden: Tensor) -> tuple[Tensor, RouterUse]:
        """Map [batch, length, hidden_size] to the same shape, and say how the tokens were divided."""
        weight, chosen, use = self.gate(hidden)
        tokens = hidden.flatten(0, 1)
        counts = torch.bincount(chosen.flatten(), minlength=len(self.experts))
        order = chosen.flatten().argsort(stable=True)
        pieces = torch.split(tokens[order // chosen.shape[1]], counts.tolist())
        outputs = torch.cat([expert(piece) for expert, piece in zip(self.experts, pieces, strict=True)])
        # Back in the order of the tokens: their outputs stand together, and are kept once for the backward pass.
        gathered = outputs[order.argsort()].view(*chosen.shape, -1)
        mixed = torch.bmm(weight.to(hidden.dtype)[:, None], gathered)
        return mixed.view_as(hidden), use
