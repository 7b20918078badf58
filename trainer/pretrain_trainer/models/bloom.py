"""The BLOOM family (Scao et al. 2022): GPT-2's parts with linear biases on distances (ALiBi) instead of positions, and
a LayerNorm after the embedding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pretrain_trainer.models.alibi import distance_view
from pretrain_trainer.models.attention import View, decoder_view
from pretrain_trainer.models.decoder import DecoderNetwork
from pretrain_trainer.models.heads import LanguageModelHead
from pretrain_trainer.models.layers import embedding
from pretrain_trainer.models.megatron import FeedForward, FusedAttention
from pretrain_trainer.models.network import NetworkConfig, TrainingOptions


class BloomLayer(nn.Module):
    """Attention and feed-forward, each behind a normalisation and beside the residual stream."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.input_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.self_attention = FusedAttention(config, options)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = FeedForward(config, approximate="tanh")

    def forward(self, hidden: Tensor, view: View, _positions: None) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        attended = self.self_attention(self.input_layernorm(hidden), view)
        hidden = hidden + functional.dropout(attended, self.dropout, self.training)
        output = self.mlp(self.post_attention_layernorm(hidden))
        return hidden + functional.dropout(output, self.dropout, self.training)


class BloomStack(nn.Module):
    """Embedding, layers, normalisations; `BloomForCausalLM` knows the way through them."""

    def __init__(self, config: NetworkConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.word_embeddings = embedding(config.vocab_size, config.hidden_size)
        self.word_embeddings_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.h = nn.ModuleList(layers)
        self.ln_f = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class BloomForCausalLM(DecoderNetwork):
    """Decoder and output projection."""

    def __init__(self, config: NetworkConfig, options: TrainingOptions) -> None:
        super().__init__(config, options)
        self.transformer = BloomStack(config, (self.build_layer() for _ in range(config.num_hidden_layers)))
        self.lm_head = LanguageModelHead(config.hidden_size, config.vocab_size, options.objective.z_loss)
        self.tie_weights()

    def build_layer(self) -> nn.Module:
        """Return one layer."""
        return BloomLayer(self.config, self.options)

    def layers(self) -> Iterable[nn.Module]:
        """Return the layers in their order."""
        return self.transformer.h

    def embed(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, None]:
        """Return the normalised embeddings; distances within a document are the same whatever its positions."""
        hidden = self.transformer.word_embeddings_layernorm(self.transformer.word_embeddings(tokens))
        return functional.dropout(hidden, self.config.dropout, self.training), None

    def view(self, tokens: Tensor, prefix_lengths: Tensor | None, document_ids: Tensor | None) -> View:
        """Return what positions see, and by how much less with the distance; once for all layers."""
        dtype = self.transformer.word_embeddings.weight.dtype
        seen = decoder_view(tokens, prefix_lengths, document_ids)
        return distance_view(seen, tokens, self.config.num_attention_heads, dtype)

    def normalize(self, hidden: Tensor) -> Tensor:
        """Return the last layer's output as the projection reads it."""
        output: Tensor = self.transformer.ln_f(hidden)
        return output

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter, if they are to be."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.word_embeddings.weight

    def initial_deviation(self, name: str) -> float:
        """Return the deviation of the matrix `name`: projections into the residual stream shrink with depth, as
        in GPT-2 (Radford et al. 2019, section 2.3)."""
        deviation, shrinking = self.config.initializer_range, (".dense.weight", ".dense_4h_to_h.weight")
        return deviation / (2 * self.config.num_hidden_layers) ** 0.5 if name.endswith(shrinking) else deviation

    def hugging_face_config(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's BloomConfig that say the same."""
        config = self.config
        return {
            "architectures": ["BloomForCausalLM"],
            "model_type": "bloom",
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "n_layer": config.num_hidden_layers,
            "n_head": config.num_attention_heads,
            "layer_norm_epsilon": config.layer_norm_eps,
            "initializer_range": config.initializer_range,
            "tie_word_embeddings": config.tie_word_embeddings,
            **dict.fromkeys(("hidden_dropout", "attention_dropout"), config.dropout),
        }
