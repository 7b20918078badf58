"""The GPT-2 family (Radford et al. 2019): a decoder with LayerNorm, GELU, learned positions and biases.

GPT-3 (Brown et al. 2020) has the same parts; its locally banded attention in every other layer is dense here.
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
from pretrain_trainer.models.layers import InputMajorLinear, embedding, run
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions


class Gpt2Attention(nn.Module):
    """Self-attention whose three projections are one matrix."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.head_size, self.dropout = config.head_dim, config.dropout
        self.recompute = options.recomputes_attention
        self.c_attn = InputMajorLinear(config.hidden_size, 3 * config.hidden_size)
        self.c_proj = InputMajorLinear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor, view: View) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        projected = self.c_attn(hidden).chunk(3, dim=-1)
        dropout = self.dropout if self.training else 0.0
        mixed = run(self.recompute, attend, *projected, self.head_size, view, None, None, dropout)
        output: Tensor = self.c_proj(mixed)
        return output


class Gpt2FeedForward(nn.Module):
    """Two matrices with a GELU between, by its approximation with tanh (Hendrycks and Gimpel 2016)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.c_fc = InputMajorLinear(config.hidden_size, config.intermediate_size)
        self.c_proj = InputMajorLinear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        output: Tensor = self.c_proj(functional.gelu(self.c_fc(hidden), approximate="tanh"))
        return output


class Gpt2Layer(nn.Module):
    """Attention and feed-forward, each behind a normalisation and beside the residual stream."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.ln_1 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.attn = Gpt2Attention(config, options)
        self.ln_2 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = Gpt2FeedForward(config)

    def forward(self, hidden: Tensor, view: View, _positions: None) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        hidden = hidden + functional.dropout(self.attn(self.ln_1(hidden), view), self.dropout, self.training)
        return hidden + functional.dropout(self.mlp(self.ln_2(hidden)), self.dropout, self.training)


class Gpt2Stack(nn.Module):
    """Embeddings, layers, final normalisation; `GPT2LMHeadModel` knows the way through them."""

    def __init__(self, config: NetworkConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.wte = embedding(config.vocab_size, config.hidden_size)
        self.wpe = embedding(config.max_position_embeddings, config.hidden_size)
        self.h = nn.ModuleList(layers)
        self.ln_f = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class GPT2LMHeadModel(DecoderNetwork):
    """Decoder and output projection."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.transformer = Gpt2Stack(config, (self.build_layer() for _ in range(config.num_hidden_layers)))
        self.lm_head = LanguageModelHead(config.hidden_size, config.vocab_size, options.objective.z_loss)
        self.tie_weights()

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return Gpt2Layer(self.config, self.options)

    def layers(self) -> Iterable[nn.Module]:
        """Return the layers in their order."""
        return self.transformer.h

    def embed(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, None]:
        """Return the sum of embedded tokens and positions."""
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)
        hidden = self.transformer.wte(tokens) + self.transformer.wpe(positions)
        return functional.dropout(hidden, self.config.dropout, self.training), None

    def normalize(self, hidden: Tensor) -> Tensor:
        """Return the last layer's output as the projection reads it."""
        output: Tensor = self.transformer.ln_f(hidden)
        return output

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter, if they are to be."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.wte.weight

    def initial_deviation(self, name: str) -> float:
        """Return the deviation of the matrix `name`: projections into the residual stream shrink with depth (section
        2.3)."""
        deviation = self.config.initializer_range
        return deviation / (2 * self.config.num_hidden_layers) ** 0.5 if name.endswith("c_proj.weight") else deviation

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's GPT2Config that say the same."""
        config = self.config
        return {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "vocab_size": config.vocab_size,
            "n_positions": config.max_position_embeddings,
            "n_embd": config.hidden_size,
            "n_layer": config.num_hidden_layers,
            "n_head": config.num_attention_heads,
            "n_inner": config.intermediate_size,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": config.layer_norm_eps,
            "initializer_range": config.initializer_range,
            "tie_word_embeddings": config.tie_word_embeddings,
            **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout),
        }
