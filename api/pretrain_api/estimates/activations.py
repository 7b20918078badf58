"""Memory that the forward pass leaves for the backward pass.

Tensors are counted one by one as Korthikanti et al. 2022 (section 4) do, for the layer at hand: a GPT layer with
dropout, kernels as they assume them, gives their sbh(34 + 5as/h), with selective recomputation 34sbh, with full
recomputation 2sbh; their tensor and sequence parallel forms follow in the same way.
s: sequence length, b: sequences a micro-batch, h: width, a: heads, t: tensor-parallel size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pretrain_api.estimates.flops import Recompute
from pretrain_api.estimates.layers import Experts, FeedForward, Layers
from pretrain_api.estimates.network import Network


@dataclass(frozen=True)
class Kernels:
    """How the layers are carried out, as far as it decides what is kept."""

    fused_attention: bool
    """FlashAttention (Dao et al. 2022): keeps a log-sum a row and head instead of the scores."""
    chunked_loss: bool
    """The loss is computed chunk by chunk with its gradients; logits are never kept."""
    dropout: bool
    """Dropout after attention weights, attention and feed-forward: keeps masks and the dropped scores."""
    norm_in_fp32: bool
    """RMSNorm keeps an FP32 copy of its input and the normalised value instead of the input alone, as LayerNorm
    does."""
    compiled: bool = False
    """The layers are compiled by torch.compile, which computes again what is cheap: the FP32 copies of norms, and the
    activation function's value before it meets its gate (measured: benchmarks/results/gpu.md)."""


TRAINER_KERNELS = Kernels(fused_attention=True, chunked_loss=True, dropout=False, norm_in_fp32=True)
"""This project's trainer."""
COMPILED_KERNELS = replace(TRAINER_KERNELS, compiled=True)
"""The trainer with `training.compile`."""
UNFUSED_KERNELS = Kernels(fused_attention=False, chunked_loss=False, dropout=True, norm_in_fp32=False)
"""As Korthikanti et al. 2022 assume."""
ROUTED_BYTES = 32
"""Of each expert that a token passes: its number, where the token stands among its tokens and the reverse, 8 bytes
each, and its weight before and after it is scaled."""
CHUNK_ELEMENTS = 1 << 26
"""Logits at hand at a time in the chunked loss on a GPU."""


@dataclass(frozen=True)
class Microbatch:
    """What one rank computes at a time, and how it is divided."""

    sequence_length: int
    sequences: int
    value_bytes: int
    """Bytes a value: 2 in BF16 and FP16, 4 in FP32."""
    tensor: int = 1
    sequence_parallel: bool = False
    """What tensor parallelism leaves whole is divided along the sequence (section 4.2.2)."""

    @property
    def tokens(self) -> int:
        """s·b."""
        return self.sequence_length * self.sequences

    @property
    def whole_divisor(self) -> int:
        """By what the tensors outside attention and feed-forward are divided."""
        return self.tensor if self.sequence_parallel else 1


def layer_bytes(network: Network, layer: Layers, batch: Microbatch, kernels: Kernels, recompute: Recompute) -> float:
    """Return the bytes that one layer keeps for one micro-batch on one rank."""
    hidden = network.hidden_size
    if recompute == "full":
        return batch.value_bytes * hidden * batch.tokens / batch.whole_divisor
    whole = _whole_bytes(network, layer, batch, kernels)
    divided = layer.attentions * _attention_bytes(layer, batch, kernels, keep_scores=recompute == "none")
    divided += _feed_forward_bytes(hidden, layer.feed_forward, batch.value_bytes, kernels.compiled)
    return batch.tokens * (whole / batch.whole_divisor + divided / batch.tensor)


def _whole_bytes(network: Network, layer: Layers, batch: Microbatch, kernels: Kernels) -> float:
    """Bytes a token that plain tensor parallelism doesn't divide: inputs of norms and of what follows them, masks."""
    value, hidden = batch.value_bytes, network.hidden_size
    norm_input = _norm_input_bytes(network, value, kernels.norm_in_fp32 and not kernels.compiled)
    inputs = hidden * norm_input
    inputs *= 1 if layer.parallel and network.norm_bias else layer.norms  # LayerNorms side by side keep the same one
    masks = layer.attentions + 1 if kernels.dropout else 0
    whole: float = inputs + hidden * (layer.norms * value + masks) + value * layer.attention.latent_size
    whole += layer.attention.normalized_size * (norm_input - value)
    if isinstance(layer.feed_forward, Experts):
        whole += _routing_bytes(hidden, layer.feed_forward, value)
    return whole


def _routing_bytes(hidden: int, experts: Experts, value_bytes: int) -> float:
    """Bytes a token: scores in FP32, the router's input where it is another copy; for each expert that sees the token
    its copy for it and what the expert gives, and the places of both and their weight."""
    scores = 4 * (2 * experts.count + hidden * (experts.router_in_fp32 and value_bytes < 4))
    return scores + experts.per_token * (2 * value_bytes * hidden + ROUTED_BYTES)


def _norm_input_bytes(network: Network, value_bytes: int, in_fp32: bool) -> int:
    """Bytes a value of a normalisation's input: RMSNorm's copy in FP32 and what it normalised, or the input alone."""
    return 4 + value_bytes if in_fp32 and not network.norm_bias else value_bytes


def _attention_bytes(layer: Layers, batch: Microbatch, kernels: Kernels, *, keep_scores: bool) -> float:
    attention = layer.attention
    keys = attention.key_size if keep_scores else attention.projected_key_size
    kept = batch.value_bytes * (attention.query_size + keys + attention.value_size + attention.mixed_size)
    if not keep_scores:
        return kept
    if kernels.fused_attention:
        return kept + 4 * attention.heads
    scores = attention.heads * batch.sequence_length
    return kept + scores * (batch.value_bytes + (1 + batch.value_bytes if kernels.dropout else 0))


def _feed_forward_bytes(hidden: int, feed_forward: FeedForward | Experts, value_bytes: int, compiled: bool) -> float:
    """Bytes a token: input and output of the nonlinearity (of ReLU the output); with a gate also its other factor and
    their product."""
    if isinstance(feed_forward, FeedForward):
        gated, plain = (3 if compiled else 4), (2 if feed_forward.keeps_input else 1)
        return value_bytes * feed_forward.intermediate_size * (gated if feed_forward.gated else plain)
    kept = feed_forward.per_token * _feed_forward_bytes(hidden, feed_forward.expert, value_bytes, compiled)
    if feed_forward.shared is not None:
        kept += _feed_forward_bytes(hidden, feed_forward.shared, value_bytes, compiled)
    return kept


def ends_bytes(network: Network, batch: Microbatch, kernels: Kernels, micro_batches_in_flight: int = 1) -> float:
    """Return the bytes kept outside the layers: the embedding's dropout mask, the last normalisation, the projection's
    input (section 4.3); not the logits."""
    value = batch.value_bytes
    norm_input = _norm_input_bytes(network, value, kernels.norm_in_fp32)
    mask = network.hidden_size * micro_batches_in_flight if kernels.dropout else 0
    return batch.tokens * (network.hidden_size * (norm_input + value) + mask) / batch.whole_divisor


def logits_bytes(network: Network, batch: Microbatch, kernels: Kernels) -> float:
    """Return the bytes of the loss: FP32 logits, 4sbv/t (section 4.3); or, chunk by chunk, the gradients that the
    forward pass leaves: of the hidden states, and of the projection in FP32 and once more in its own type; beside a
    chunk's logits in FP32, and their copy."""
    if not kernels.chunked_loss:
        return 4.0 * batch.tokens * network.vocab_size / batch.tensor
    hidden_gradient = batch.value_bytes * batch.tokens * network.hidden_size / batch.whole_divisor
    copies = 4 if batch.value_bytes == 4 else 4 + batch.value_bytes
    return hidden_gradient + copies * network.embedding_size / batch.tensor + chunk_bytes(network, batch)


def chunk_bytes(network: Network, batch: Microbatch) -> float:
    """Return the bytes of a chunk's logits in FP32, and of their copy."""
    return 2 * 4.0 * min(CHUNK_ELEMENTS, batch.tokens * network.vocab_size)
