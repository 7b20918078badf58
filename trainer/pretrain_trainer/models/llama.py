"""The LLaMA family (Touvron et al. 2023): a decoder with RMSNorm, SwiGLU, rotary positions and grouped queries.

With biases at the projections to queries, keys and values it is Qwen-1.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pretrain_trainer.models.attention import RotaryEmbedding, View
from pretrain_trainer.models.decoder import DecoderNetwork
from pretrain_trainer.models.experts import RouterUse
from pretrain_trainer.models.heads import LanguageModelHead
from pretrain_trainer.models.layers import AttentionShape, GatedFeedForward, RMSNorm, RotaryAttention, embedding
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions

SCALED_BY_DEPTH = ("o_proj.weight", "down_proj.weight", "w2.weight")
"""Projections into the residual stream: their initial weights shrink with depth (GPT-2, section 2.3)."""
Table = tuple[Tensor, Tensor]


def rotary_attention(config: NetworkConfig, options: TrainingOptions) -> RotaryAttention:
    """Return the attention of a layer."""
    shape = AttentionShape(
        config.hidden_size,
        config.num_attention_heads,
        config.num_key_value_heads,
        config.head_dim,
        config.query_key_value_bias,
    )
    return RotaryAttention(shape, options.recomputes_attention, config.dropout)


class RotaryLayer(nn.Module):
    """Attention and what a family puts in the place of the feed-forward layer, each behind a normalisation and beside
    the residual stream."""

    def __init__(self, config: NetworkConfig, attention: nn.Module) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = attention
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def feed_forward(self, hidden: Tensor) -> Tensor | tuple[Tensor, RouterUse]:
        """Map [batch, length, hidden_size] to the same shape; experts say how the tokens were divided, too."""
        raise NotImplementedError

    def forward(self, hidden: Tensor, view: View, table: Table) -> Tensor | tuple[Tensor, RouterUse]:
        """Map [batch, length, hidden_size] to the same shape; experts say how the tokens were divided, too."""
        attended = self.self_attn(self.input_layernorm(hidden), view, table)
        hidden = hidden + functional.dropout(attended, self.dropout, self.training)
        output = self.feed_forward(self.post_attention_layernorm(hidden))
        if isinstance(output, Tensor):
            return hidden + functional.dropout(output, self.dropout, self.training)
        return hidden + functional.dropout(output[0], self.dropout, self.training), output[1]


class LlamaLayer(RotaryLayer):
    """Attention and SwiGLU."""

    def __init__(self, config: NetworkConfig, attention: nn.Module) -> None:
        super().__init__(config, attention)
        self.mlp = GatedFeedForward(config.hidden_size, config.intermediate_size)

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        output: Tensor = self.mlp(hidden)
        return output


class LlamaStack(nn.Module):
    """Embedding, layers, final normalisation; `LlamaForCausalLM` knows the way through them."""

    def __init__(self, config: NetworkConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.embed_tokens = embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(layers)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class LlamaForCausalLM(DecoderNetwork):
    """Decoder and output projection."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.rotary = RotaryEmbedding(config.head_dim, config.rope_theta)
        self.model = LlamaStack(config, self.build_layers())
        self.lm_head = LanguageModelHead(config.hidden_size, config.vocab_size, options.objective.z_loss)
        self.tie_weights()

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return LlamaLayer(self.config, rotary_attention(self.config, self.options))

    def build_layers(self) -> Iterable[nn.Module]:
        """Return all layers: equal ones but where a family says otherwise."""
        return (self.build_layer() for _ in range(self.config.num_hidden_layers))

    def layers(self) -> Iterable[nn.Module]:
        """Return the layers in their order."""
        return self.model.layers

    def embed(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, Table | None]:
        """Return embedded tokens, and the angles of their positions."""
        hidden = self.model.embed_tokens(tokens)
        dropped = functional.dropout(hidden, self.config.dropout, self.training)
        return dropped, self.rotary.table(hidden, positions)

    def normalize(self, hidden: Tensor) -> Tensor:
        """Return the last layer's output as the projection reads it."""
        output: Tensor = self.model.norm(hidden)
        return output

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter, if they are to be."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def initial_deviation(self, name: str) -> float:
        """Return the standard deviation of the initial values of the matrix `name`."""
        deviation = self.config.initializer_range
        if name.endswith(SCALED_BY_DEPTH):
            deviation /= (2 * self.config.num_hidden_layers) ** 0.5
        return deviation

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's LlamaConfig, or Qwen2Config, that say the same."""
        biased = self.config.query_key_value_bias
        return rotary_config(self.config) | {
            "architectures": ["Qwen2ForCausalLM" if biased else "LlamaForCausalLM"],
            "model_type": "qwen2" if biased else "llama",
            **({} if biased else {"attention_bias": False, "mlp_bias": False}),
        }


def rotary_config(config: NetworkConfig) -> dict[str, Any]:
    """Return the fields that the configurations of decoders with rotary positions share."""
    names = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
        "rms_norm_eps",
        "tie_word_embeddings",
        "initializer_range",
    )
    return {name: getattr(config, name) for name in names} | {
        "hidden_act": "silu",
        "attention_dropout": config.dropout,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }
