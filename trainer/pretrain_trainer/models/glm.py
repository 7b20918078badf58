"""The GLM-130B family (Zeng et al. 2023): a decoder with DeepNorm, gated GELU, rotary positions and biases.

It is made for prefixes that are seen both ways: train it with prefix-lm (the paper's [gMASK], 70 % of its samples) and
span-corruption (its [MASK], 30 %). Positions run on in the predicted spans; the paper's are those of their masks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pretrain_trainer.models.attention import RotaryEmbedding, View
from pretrain_trainer.models.decoder import DecoderNetwork
from pretrain_trainer.models.heads import LanguageModelHead
from pretrain_trainer.models.layers import embedding
from pretrain_trainer.models.llama import Table
from pretrain_trainer.models.megatron import FusedAttention
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions

EMBEDDING_GRADIENT_SHARE = 0.1
"""What is left of the gradient of looked-up embeddings, against spikes (section 2.2, embedding gradient shrink)."""


class GlmFeedForward(nn.Module):
    """Gated GELU (Shazeer 2020) with biases: dense_4h_to_h(a * gelu(b)), a and b the halves of dense_h_to_4h(x)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, 2 * config.intermediate_size)
        self.dense_4h_to_h = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        value, gate = self.dense_h_to_4h(hidden).chunk(2, dim=-1)
        output: Tensor = self.dense_4h_to_h(value * functional.gelu(gate))
        return output


class GlmLayer(nn.Module):
    """Attention and feed-forward, each reading what a normalisation gives, which passes beside it, sqrt(2 * layers)
    times as large (section 2.1: DeepNorm)."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.dropout, self.residual_factor = config.dropout, math.sqrt(2 * config.num_hidden_layers)
        self.input_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.attention = FusedAttention(config, options)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = GlmFeedForward(config)

    def forward(self, hidden: Tensor, view: View, table: Table) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        hidden = self.input_layernorm(hidden)
        attended = self.attention(hidden, view, table)
        hidden = self.residual_factor * hidden + functional.dropout(attended, self.dropout, self.training)
        hidden = self.post_attention_layernorm(hidden)
        output = functional.dropout(self.mlp(hidden), self.dropout, self.training)
        return self.residual_factor * hidden + output


class GlmStack(nn.Module):
    """Embedding, layers, final normalisation; `GlmForCausalLM` knows the way through them."""

    def __init__(self, config: NetworkConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.word_embeddings = embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(layers)
        self.final_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class GlmForCausalLM(DecoderNetwork):
    """Decoder and output projection. No class of transformers is like it: the export has the names of the released
    weights."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.rotary = RotaryEmbedding(config.head_dim, config.rope_theta)
        self.transformer = GlmStack(config, (self.build_layer() for _ in range(config.num_hidden_layers)))
        self.lm_head = LanguageModelHead(config.hidden_size, config.vocab_size, options.objective.z_loss)
        self.tie_weights()

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return GlmLayer(self.config, self.options)

    def layers(self) -> Iterable[nn.Module]:
        """Return the layers in their order."""
        return self.transformer.layers

    def embed(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, Table]:
        """Return embedded tokens, whose gradients shrink, and the angles of their positions."""
        hidden = self.transformer.word_embeddings(tokens)
        hidden = hidden.detach() + EMBEDDING_GRADIENT_SHARE * (hidden - hidden.detach())
        dropped = functional.dropout(hidden, self.config.dropout, self.training)
        return dropped, self.rotary.table(hidden, positions)

    def normalize(self, hidden: Tensor) -> Tensor:
        """Return the last layer's output as the projection reads it."""
        output: Tensor = self.transformer.final_layernorm(hidden)
        return output

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter, if they are to be."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.word_embeddings.weight

    def initial_deviation(self, name: str) -> float | Tensor:
        """Return the deviation of the matrix `name`: Xavier's in the layers, smaller by sqrt(2 * layers) for values,
        the attention's output and the feed-forward (section 2.1)."""
        config = self.config
        smaller, square = 1 / math.sqrt(2 * config.num_hidden_layers), 1 / math.sqrt(config.hidden_size)
        if ".mlp." in name:
            return smaller * math.sqrt(2 / (config.hidden_size + config.intermediate_size))
        if ".attention." not in name:
            return config.initializer_range
        if not name.endswith("query_key_value.weight"):
            return smaller * square
        parts = torch.tensor([square, square, smaller * square]).repeat_interleave(config.head_dim)
        return parts.repeat(config.num_attention_heads)[:, None]

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the sizes, and a type that no class of transformers has."""
        config = self.config
        names = ("vocab_size", "hidden_size", "num_attention_heads", "layer_norm_eps", "tie_word_embeddings")
        return {name: getattr(config, name) for name in names} | {
            "architectures": ["GLM130B"],
            "model_type": "glm-130b",
            "inner_hidden_size": config.intermediate_size,
            "num_layers": config.num_hidden_layers,
            "max_sequence_length": config.max_position_embeddings,
        }
