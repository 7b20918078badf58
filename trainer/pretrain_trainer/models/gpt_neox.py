"""The GPT-NeoX family (Black et al. 2022): a decoder with LayerNorm, GELU and biases, whose attention and feed-forward
stand side by side, and whose heads are rotary in a part of their elements. Pythia (Biderman et al. 2023) is of it, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pretrain_trainer.models.attention import RotaryEmbedding, View
from pretrain_trainer.models.decoder import DecoderNetwork
from pretrain_trainer.models.heads import LanguageModelHead
from pretrain_trainer.models.layers import embedding
from pretrain_trainer.models.megatron import FeedForward, FusedAttention
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions

Table = tuple[Tensor, Tensor]


class GptNeoxLayer(nn.Module):
    """Attention and feed-forward: both read the residual stream, each behind its own normalisation, and both are added
    to it (section 2.1)."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.input_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.attention = FusedAttention(config, options)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = FeedForward(config)

    def forward(self, hidden: Tensor, view: View, table: Table) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        attended = self.attention(self.input_layernorm(hidden), view, table)
        output = self.mlp(self.post_attention_layernorm(hidden))
        hidden = hidden + functional.dropout(attended, self.dropout, self.training)
        return hidden + functional.dropout(output, self.dropout, self.training)


class GptNeoxStack(nn.Module):
    """Embedding, layers, final normalisation; `GPTNeoXForCausalLM` knows the way through them."""

    def __init__(self, config: NetworkConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.embed_in = embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(layers)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class GPTNeoXForCausalLM(DecoderNetwork):
    """Decoder and output projection."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.rotary = RotaryEmbedding(config.rotary_size, config.rope_theta)
        self.gpt_neox = GptNeoxStack(config, (self.build_layer() for _ in range(config.num_hidden_layers)))
        self.embed_out = LanguageModelHead(config.hidden_size, config.vocab_size, options.objective.z_loss)
        self.tie_weights()

    def head(self) -> LanguageModelHead:
        """Return the output projection."""
        return self.embed_out

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return GptNeoxLayer(self.config, self.options)

    def layers(self) -> Iterable[nn.Module]:
        """Return the layers in their order."""
        return self.gpt_neox.layers

    def embed(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, Table]:
        """Return embedded tokens, and the angles of their positions."""
        hidden = self.gpt_neox.embed_in(tokens)
        dropped = functional.dropout(hidden, self.config.dropout, self.training)
        return dropped, self.rotary.table(hidden, positions)

    def normalize(self, hidden: Tensor) -> Tensor:
        """Return the last layer's output as the projection reads it."""
        output: Tensor = self.gpt_neox.final_layer_norm(hidden)
        return output

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter, if they are to be."""
        if self.config.tie_word_embeddings:
            self.embed_out.weight = self.gpt_neox.embed_in.weight

    def initial_deviation(self, name: str) -> float:
        """Return the deviation of the matrix `name`: 2 / (layers * sqrt(width)) of projections into the residual stream
        (Wang and Komatsuzaki 2021), sqrt(2 / (5 * width)) of all others (Nguyen and Salazar 2019), as section 3.1 has
        it."""
        config = self.config
        if name.endswith((".dense.weight", ".dense_4h_to_h.weight")):
            return 2 / (config.num_hidden_layers * math.sqrt(config.hidden_size))
        return small_deviation(config)

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's GPTNeoXConfig that say the same."""
        config = self.config
        names = (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "max_position_embeddings",
            "layer_norm_eps",
            "tie_word_embeddings",
        )
        return {name: getattr(config, name) for name in names} | {
            "architectures": ["GPTNeoXForCausalLM"],
            "model_type": "gpt_neox",
            "hidden_act": "gelu",
            "use_parallel_residual": True,
            "attention_bias": True,
            "initializer_range": small_deviation(config),
            "rotary_pct": config.partial_rotary_factor,
            "rotary_emb_base": config.rope_theta,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": config.rope_theta,
                "partial_rotary_factor": config.partial_rotary_factor,
            },
            **dict.fromkeys(("hidden_dropout", "attention_dropout"), config.dropout),
        }


def small_deviation(config: NetworkConfig) -> float:
    """Return the deviation of most initial weights."""
    return math.sqrt(2 / (5 * config.hidden_size))
