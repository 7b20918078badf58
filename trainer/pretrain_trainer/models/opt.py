"""The OPT family (Zhang et al. 2022): GPT-3's parts with ReLU, and positions whose table begins two rows later.

All sizes but 350M are like that; 350M has its normalisations behind the parts and a narrower embedding, and isn't here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pretrain_trainer.models.attention import View, attend
from pretrain_trainer.models.decoder import DecoderNetwork
from pretrain_trainer.models.heads import LanguageModelHead
from pretrain_trainer.models.layers import embedding, run
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions

POSITION_OFFSET = 2
"""Rows of the positions' table that come before the first one, and are not used (the released weights have them)."""


class OptAttention(nn.Module):
    """Self-attention with biases."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.head_size, self.dropout = config.head_dim, config.dropout
        self.recompute = options.recomputes_attention
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor, view: View) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        projected = self.q_proj(hidden), self.k_proj(hidden), self.v_proj(hidden)
        dropout = self.dropout if self.training else 0.0
        mixed = run(self.recompute, attend, *projected, self.head_size, view, None, None, dropout)
        output: Tensor = self.out_proj(mixed)
        return output


class OptLayer(nn.Module):
    """Attention and feed-forward, each behind a normalisation and beside the residual stream."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.self_attn_layer_norm = nn.LayerNorm(config.hidden_size)
        self.self_attn = OptAttention(config, options)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size)
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor, view: View, _positions: None) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        attended = self.self_attn(self.self_attn_layer_norm(hidden), view)
        hidden = hidden + functional.dropout(attended, self.dropout, self.training)
        output = self.fc2(functional.relu(self.fc1(self.final_layer_norm(hidden))))
        return hidden + functional.dropout(output, self.dropout, self.training)


class OptDecoder(nn.Module):
    """Embeddings, layers, final normalisation; `OPTForCausalLM` knows the way through them."""

    def __init__(self, config: NetworkConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.embed_tokens = embedding(config.vocab_size, config.hidden_size)
        self.embed_positions = embedding(config.max_position_embeddings + POSITION_OFFSET, config.hidden_size)
        self.layers = nn.ModuleList(layers)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size)


class OptModel(nn.Module):
    """The decoder, by the name that it has in published weights."""

    def __init__(self, decoder: OptDecoder) -> None:
        super().__init__()
        self.decoder = decoder


class OPTForCausalLM(DecoderNetwork):
    """Decoder and output projection."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.model = OptModel(OptDecoder(config, (self.build_layer() for _ in range(config.num_hidden_layers))))
        self.lm_head = LanguageModelHead(config.hidden_size, config.vocab_size, options.objective.z_loss)
        self.tie_weights()

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return OptLayer(self.config, self.options)

    def layers(self) -> Iterable[nn.Module]:
        """Return the layers in their order."""
        return self.model.decoder.layers

    def embed(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, None]:
        """Return the sum of embedded tokens and positions; there is no dropout on it (section 2.2)."""
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)
        decoder = self.model.decoder
        return decoder.embed_tokens(tokens) + decoder.embed_positions(positions + POSITION_OFFSET), None

    def normalize(self, hidden: Tensor) -> Tensor:
        """Return the last layer's output as the projection reads it."""
        output: Tensor = self.model.decoder.final_layer_norm(hidden)
        return output

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter, if they are to be."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.model.decoder.embed_tokens.weight

    def initial_deviation(self, name: str) -> float:
        """Return the deviation of the matrix `name`: projections into the residual stream shrink with depth (section
        2.2)."""
        deviation, shrinking = self.config.initializer_range, ("out_proj.weight", "fc2.weight")
        return deviation / (2 * self.config.num_hidden_layers) ** 0.5 if name.endswith(shrinking) else deviation

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's OPTConfig that say the same."""
        config = self.config
        return {
            "architectures": ["OPTForCausalLM"],
            "model_type": "opt",
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "word_embed_proj_dim": config.hidden_size,
            "ffn_dim": config.intermediate_size,
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "max_position_embeddings": config.max_position_embeddings,
            "activation_function": "relu",
            "do_layer_norm_before": True,
            "init_std": config.initializer_range,
            "tie_word_embeddings": config.tie_word_embeddings,
            **dict.fromkeys(("dropout", "attention_dropout"), config.dropout),
        }
