"""The T5 family (Raffel et al. 2020): an encoder, a decoder that reads it, and attention that knows distances.

Version 1.0 has ReLU and one embedding for all, version 1.1 a gated GELU (Shazeer 2020) and mostly an output projection
of its own.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pretrain_api.objectives import ModelKind
from pretrain_trainer.models.attention import EVERYTHING, View, attend, padding_view
from pretrain_trainer.models.heads import LanguageModelHead
from pretrain_trainer.models.layers import RMSNorm, embedding, run
from pretrain_trainer.models.network import Network, NetworkConfig, TrainingOptions

DISTANCE_BUCKETS, MAX_DISTANCE = 32, 128
"""Section 2.1: 32 learned biases a head, logarithmically spaced up to a distance of 128."""


def distance_buckets(queries: int, keys: int, bidirectional: bool, device: torch.device) -> Tensor:
    """Return the bucket of the distance between each query and key, int64[queries, keys].

    Half of the buckets are exact, the rest grow with the logarithm; looking both ways divides them by two.
    """
    distance = torch.arange(keys, device=device) - torch.arange(queries, device=device)[:, None]
    buckets = DISTANCE_BUCKETS // 2 if bidirectional else DISTANCE_BUCKETS
    offset = (distance > 0) * buckets if bidirectional else 0
    distance = distance.abs() if bidirectional else (-distance).clamp(min=0)
    exact = buckets // 2
    growth = (distance.clamp(min=1).float() / exact).log() / math.log(MAX_DISTANCE / exact) * (buckets - exact)
    large = (exact + growth.long()).clamp(max=buckets - 1)
    return offset + torch.where(distance < exact, distance, large)


class T5Attention(nn.Module):
    """Attention without biases, whose scores aren't scaled: the initial weights are smaller instead."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions, with_distances: bool = False) -> None:
        super().__init__()
        self.head_size, self.dropout = config.head_dim, config.dropout
        self.recompute = options.recomputes_attention
        inner = config.num_attention_heads * config.head_dim
        self.q = nn.Linear(config.hidden_size, inner, bias=False)
        self.k = nn.Linear(config.hidden_size, inner, bias=False)
        self.v = nn.Linear(config.hidden_size, inner, bias=False)
        self.o = nn.Linear(inner, config.hidden_size, bias=False)
        if with_distances:
            self.relative_attention_bias = embedding(DISTANCE_BUCKETS, config.num_attention_heads)

    def forward(self, hidden: Tensor, source: Tensor, view: View) -> Tensor:
        """Let [batch, queries, hidden_size] read [batch, keys, hidden_size]."""
        dropout = self.dropout if self.training else 0.0
        projected = self.q(hidden), self.k(source), self.v(source)
        output: Tensor = self.o(run(self.recompute, attend, *projected, self.head_size, view, None, 1.0, dropout))
        return output


class T5FeedForward(nn.Module):
    """ReLU or gated GELU between matrices."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        names = ("wi_0", "wi_1") if config.feed_forward == "gated-gelu" else ("wi",)
        for name in names:
            self.add_module(name, nn.Linear(config.hidden_size, config.intermediate_size, bias=False))
        self.inputs = names
        self.wo = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        first, *gated = (getattr(self, name)(hidden) for name in self.inputs)
        inner = functional.gelu(first, approximate="tanh") * gated[0] if gated else functional.relu(first)
        output: Tensor = self.wo(functional.dropout(inner, self.dropout, self.training))
        return output


class T5Block(nn.Module):
    """Attention to oneself, in the decoder attention to the encoder, and feed-forward."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions, decodes: bool, first: bool) -> None:
        super().__init__()
        self.dropout = config.dropout
        parts: dict[str, nn.Module] = {"SelfAttention": T5Attention(config, options, with_distances=first)}
        if decodes:
            parts["EncDecAttention"] = T5Attention(config, options)
        parts["DenseReluDense"] = T5FeedForward(config)
        self.names = tuple(parts)
        self.layer = nn.ModuleList(
            nn.ModuleDict({name: part, "layer_norm": RMSNorm(config.hidden_size, config.rms_norm_eps)})
            for name, part in parts.items()
        )

    def forward(self, hidden: Tensor, view: View, memory: Tensor | None, memory_view: View) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape; `memory` is what the encoder gave."""
        for name, branch in zip(self.names, self.layer, strict=True):
            normed = branch["layer_norm"](hidden)  # type: ignore[index]
            read: dict[str, tuple[Any, ...]] = {
                "SelfAttention": (normed, view),
                "EncDecAttention": (memory, memory_view),
                "DenseReluDense": (),
            }
            output = branch[name](normed, *read[name])  # type: ignore[index]
            hidden = hidden + functional.dropout(output, self.dropout, self.training)
        return hidden


class T5Stack(nn.Module):
    """Blocks and final normalisation of the encoder or the decoder."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions, decodes: bool) -> None:
        super().__init__()
        self.decodes, self.dropout, self.recompute = decodes, config.dropout, options.recomputes_layers
        count = config.num_decoder_layers if decodes else config.num_hidden_layers
        self.block = nn.ModuleList(T5Block(config, options, decodes, first=i == 0) for i in range(count))
        self.final_layer_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def view(self, length: int, seen: View, device: torch.device) -> View:
        """Return what positions see, and by how much: the learned bias of each distance, the first block's for all."""
        table = self.block[0].layer[0]["SelfAttention"].relative_attention_bias  # type: ignore[union-attr,index]
        bias = table(distance_buckets(length, length, not self.decodes, device)).permute(2, 0, 1)[None]
        mask = torch.ones(length, length, dtype=torch.bool, device=device).tril() if self.decodes else seen.mask
        return View(mask=bias if mask is None else bias.masked_fill(~mask, torch.finfo(bias.dtype).min))

    def forward(
        self, hidden: Tensor, seen: View, memory: Tensor | None = None, memory_view: View = EVERYTHING
    ) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        view = self.view(hidden.shape[1], seen, hidden.device)
        hidden = functional.dropout(hidden, self.dropout, self.training)
        for block in self.block:
            hidden = run(self.recompute, block, hidden, view, memory, memory_view)
        return functional.dropout(self.final_layer_norm(hidden), self.dropout, self.training)


class T5ForConditionalGeneration(Network):
    """Encoder, decoder and output projection."""

    kind: ClassVar[ModelKind] = "encoder-decoder"

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.shared = embedding(config.vocab_size, config.hidden_size)
        self.encoder = T5Stack(config, options, decodes=False)
        self.decoder = T5Stack(config, options, decodes=True)
        self.lm_head = LanguageModelHead(config.hidden_size, config.vocab_size, options.objective.z_loss)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter, if they are to be."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.shared.weight

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        decoder_input_ids: Tensor,
    ) -> Tensor:
        """Return the loss if there are labels, else logits [batch, targets, vocabulary].

        Args:
            input_ids: int64[batch, length], what the encoder reads.
            labels: int64[batch, targets], what the decoder is to write, or IGNORED_TARGET.
            attention_mask: int64[batch, length], 0 where the encoder has padding.
            decoder_input_ids: int64[batch, targets], what it has written before each position.
        """
        seen = padding_view(attention_mask)
        memory = self.encoder(self.shared(input_ids), seen)
        hidden = self.decoder(self.shared(decoder_input_ids), EVERYTHING, memory, seen)
        if self.config.tie_word_embeddings:
            hidden = hidden * self.config.hidden_size**-0.5
        output: Tensor = self.lm_head(hidden, labels)
        return output

    def initial_deviation(self, name: str) -> float:
        """Return the standard deviation of the matrix `name`, by its inputs (Mesh TensorFlow; transformers)."""
        hidden, head = self.config.hidden_size, self.config.head_dim
        inputs = {
            "shared": 1,
            "lm_head": 1,
            "q": hidden * head,
            "o": self.config.num_attention_heads * head,
            "wo": self.config.intermediate_size,
        }
        return float(inputs.get(name.split(".")[-2], hidden) ** -0.5)

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's T5Config that say the same."""
        config = self.config
        return {
            "architectures": ["T5ForConditionalGeneration"],
            "model_type": "t5",
            "is_encoder_decoder": True,
            "vocab_size": config.vocab_size,
            "d_model": config.hidden_size,
            "d_kv": config.head_dim,
            "d_ff": config.intermediate_size,
            "num_layers": config.num_hidden_layers,
            "num_decoder_layers": config.num_decoder_layers,
            "num_heads": config.num_attention_heads,
            "relative_attention_num_buckets": DISTANCE_BUCKETS,
            "relative_attention_max_distance": MAX_DISTANCE,
            "layer_norm_epsilon": config.rms_norm_eps,
            "feed_forward_proj": config.feed_forward,
            "tie_word_embeddings": config.tie_word_embeddings,
            "dropout_rate": config.dropout,
        }
