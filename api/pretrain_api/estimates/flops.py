"""Training FLOPs, counted as planners count them.

A multiplication with an addition is two FLOPs; the backward pass costs twice the forward pass.
C: tokens; P: parameters a token is multiplied with; L: layers; H: width of the queries; T: sequence length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pretrain_api.estimates.network import Network

Recompute = Literal["none", "selective", "full"]


@dataclass(frozen=True)
class TrainingFlops:
    """FLOPs of a whole run."""

    parameters: float
    """6CP: forward 2CP, backward 4CP (Kaplan et al. 2020, section 2.1). P counts embeddings, too."""
    parameter_recomputation: float
    """2CP with full recomputation, a second forward pass, else 0."""
    attention: float
    """12·L·H·T a token for queries x keys and weights x values, forward and backward, without a causal discount
    (PaLM, appendix B)."""
    attention_recomputation: float
    """4·L·H·T a token with selective or full recomputation, else 0."""
    model: float
    """C(6N + 12·L·H·T), N without tables that are only looked up: what utilisation (MFU) counts; no recomputation."""

    @property
    def total(self) -> float:
        """6CP, or 8CP with full recomputation: the figure to check by hand; the attention term isn't in it."""
        return self.parameters + self.parameter_recomputation

    @property
    def executed(self) -> float:
        """What the accelerators carry out: the total and the attention term with its recomputation."""
        return self.total + self.attention + self.attention_recomputation


def attention_flops_per_token(network: Network, sequence_length: int) -> float:
    """Return 12·L·H·T: forward and backward of the attention's two products.

    H is the width of the queries. Where keys and values differ in width it is the mean of both (6·A·(Dk + Dv)·L·T).
    A decoder beside an encoder counts with its share of tokens; its cross-attention reads T tokens, too.
    """
    flops = 0.0
    for group in network.layers:
        share = network.decoder_share if network.has_two_stacks and group.stack == "decoder" else 1.0
        widths = group.attention.query_size + group.attention.mixed_size
        # The decoder's own sequence is shorter by its share; the encoder's is read in full.
        lengths = sequence_length * (share + group.cross_attention)
        flops += 6.0 * group.count * widths * lengths * share
    return flops


@lru_cache(maxsize=1024)
def training_flops(network: Network, tokens: float, sequence_length: int, recompute: Recompute) -> TrainingFlops:
    """Return the FLOPs of a run.

    Args:
        network: The network.
        tokens: Consumed tokens; of the encoder where there are two stacks.
        sequence_length: Tokens a sequence.
        recompute: Which activations are computed again in the backward pass.
    """
    attention = attention_flops_per_token(network, sequence_length) * tokens
    parameters = network.parameters_per_token()
    multiplied = network.parameters_per_token(input_embeddings=False)
    return TrainingFlops(
        parameters=6.0 * tokens * parameters,
        parameter_recomputation=2.0 * tokens * parameters if recompute == "full" else 0.0,
        attention=attention,
        attention_recomputation=attention / 3 if recompute != "none" else 0.0,
        model=6.0 * tokens * multiplied + attention,
    )


def seconds(flops: float, gpus: int, flops_per_second_per_gpu: float, utilization: float) -> float:
    """Return FLOPs / (GPUs x FLOP/s each x utilisation).

    LLaMA-65B, C = 1.4e12, 2,048 GPUs at 2e14 FLOP/s with full recomputation: 8CP gives 1.78e6 s = 20.6 days with
    P = 65.0e9 as its name rounds it, and 1.785e6 s = 20.7 days with its 65,285,660,672 parameters.
    """
    return flops / (gpus * flops_per_second_per_gpu * utilization)
