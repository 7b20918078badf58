"""The Falcon family (Almazrouei et al. 2023): attention and feed-forward side by side, rotary positions, few keys and
values, and no biases but LayerNorm's."""

from __future__ import annotations

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


class FalconLayer(nn.Module):
    """Attention and feed-forward: both read the residual stream, and both are added to it.

    Each is behind a normalisation of its own, as in Falcon-40B; where all heads share one key and value, both are
    behind the same, as in Falcon-7B.
    """

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.norms = ("ln_attn", "ln_mlp") if config.num_key_value_heads > 1 else ("input_layernorm",)
        for name in self.norms:
            self.add_module(name, nn.LayerNorm(config.hidden_size, config.layer_norm_eps))
        self.self_attention = FusedAttention(config, options, bias=False)
        self.mlp = FeedForward(config, bias=False)

    def forward(self, hidden: Tensor, view: View, table: Table) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        normed = [getattr(self, name)(hidden) for name in self.norms]
        attended, output = self.self_attention(normed[0], view, table), self.mlp(normed[-1])
        hidden = hidden + functional.dropout(attended, self.dropout, self.training)
        return hidden + functional.dropout(output, self.dropout, self.training)


class FalconStack(nn.Module):
    """Embedding, layers, final normalisation; `FalconForCausalLM` knows the way through them."""

    def __init__(self, config: NetworkConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.word_embeddings = embedding(config.vocab_size, config.hidden_size)
        self.h = nn.ModuleList(layers)
        self.ln_f = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class FalconForCausalLM(DecoderNetwork):
    """Decoder and output projection."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.rotary = RotaryEmbedding(config.head_dim, config.rope_theta)
        self.transformer = FalconStack(config, (self.build_layer() for _ in range(config.num_hidden_layers)))
        self.lm_head = LanguageModelHead(config.hidden_size, config.vocab_size, options.objective.z_loss)
        self.tie_weights()

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return FalconLayer(self.config, self.options)

    def layers(self) -> Iterable[nn.Module]:
        """Return the layers in their order."""
        return self.transformer.h

    def embed(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, Table]:
        """Return embedded tokens, and the angles of their positions."""
        hidden = self.transformer.word_embeddings(tokens)
        dropped = functional.dropout(hidden, self.config.dropout, self.training)
        return dropped, self.rotary.table(hidden, positions)

    def normalize(self, hidden: Tensor) -> Tensor:
        """Return the last layer's output as the projection reads it."""
        output: Tensor = self.transformer.ln_f(hidden)
        return output

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter, if they are to be."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.word_embeddings.weight

    def initial_deviation(self, name: str) -> float:
        """Return the deviation of the matrix `name`: projections into the residual stream shrink with depth, as in
        GPT-2 (Radford et al. 2019, section 2.3)."""
        deviation, shrinking = self.config.initializer_range, (".dense.weight", ".dense_4h_to_h.weight")
        return deviation / (2 * self.config.num_hidden_layers) ** 0.5 if name.endswith(shrinking) else deviation

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's FalconConfig that say the same."""
        config = self.config
        grouped = config.num_key_value_heads > 1
        names = (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "max_position_embeddings",
            "initializer_range",
            "tie_word_embeddings",
            "rope_theta",
        )
        return {name: getattr(config, name) for name in names} | {
            "architectures": ["FalconForCausalLM"],
            "model_type": "falcon",
            "num_kv_heads": config.num_key_value_heads,
            "ffn_hidden_size": config.intermediate_size,
            "activation": "gelu",
            "layer_norm_epsilon": config.layer_norm_eps,
            "new_decoder_architecture": grouped,
            "num_ln_in_parallel_attn": 2 if grouped else 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
            **dict.fromkeys(("multi_query", "parallel_attn"), True),
            **dict.fromkeys(("bias", "alibi"), False),
            **dict.fromkeys(("hidden_dropout", "attention_dropout"), config.dropout),
        }
