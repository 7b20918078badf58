"""The LLaMA family (Touvron et al. 2023): a decoder with RMSNorm, SwiGLU, rotary positions and grouped queries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pretrain_api.presets import architecture
from pretrain_api.spec.model import Model
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.cross_entropy import linear_cross_entropy
from pretrain_trainer.models.layers import Attention, AttentionShape, GatedFeedForward, RMSNorm, RotaryEmbedding

SCALED_BY_DEPTH = ("o_proj.weight", "down_proj.weight")
"""Projections into the residual stream: their initial weights shrink with depth (GPT-2, section 2.3)."""


@dataclass(frozen=True)
class LlamaConfig:
    """The architecture; names as in Hugging Face's LlamaConfig."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = False
    initializer_range: float = 0.02

    @staticmethod
    def from_spec(model: Model, vocab_size: int, sequence_length: int) -> LlamaConfig:
        """Return the architecture that `model` asks for.

        Args:
            model: Preset, sizes, or both.
            vocab_size: Size of the tokenizer's vocabulary.
            sequence_length: Tokens a sequence in training.

        Raises:
            InvalidConfiguration: A size is missing, or the vocabulary is smaller than the tokenizer's.
        """
        try:
            fields = asdict(architecture(model))
        except (KeyError, ValueError) as error:
            raise InvalidConfiguration(f"spec.model: {error}; name a known preset or give all sizes") from None
        fields.pop("family")
        rows = fields.pop("vocab_size") or vocab_size
        if rows < vocab_size:
            raise InvalidConfiguration(
                f"spec.model.vocabSize: {rows} is less than the tokenizer's {vocab_size}; leave it out or raise it"
            )
        return LlamaConfig(vocab_size=rows, max_position_embeddings=sequence_length, **fields)

    def to_hugging_face(self) -> dict[str, Any]:
        """Return the fields of Hugging Face's config.json that say the same."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "rope_theta"}
        return fields | {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "rope_theta": self.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
        }


class DecoderLayer(nn.Module):
    """Attention and feed-forward, each behind a normalisation and beside the residual stream."""

    def __init__(self, config: LlamaConfig, rotary: RotaryEmbedding, recompute_attention: bool) -> None:
        super().__init__()
        shape = AttentionShape(
            config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.head_dim
        )
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(shape, rotary, recompute_attention)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = GatedFeedForward(config.hidden_size, config.intermediate_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [batch, length, hidden_size] to the same shape."""
        attended: Tensor = hidden + self.self_attn(self.input_layernorm(hidden))
        output: Tensor = attended + self.mlp(self.post_attention_layernorm(attended))
        return output


class Decoder(nn.Module):
    """Embedding, layers, final normalisation."""

    def __init__(self, config: LlamaConfig, recompute: str) -> None:
        super().__init__()
        rotary = RotaryEmbedding(config.head_dim, config.rope_theta)
        self.recompute_layers = recompute == "full"
        # From a tensor, as its own initialisation would import torch.compile's machinery on the meta device: 5 s.
        embedding = torch.empty(config.vocab_size, config.hidden_size)
        self.embed_tokens = nn.Embedding.from_pretrained(embedding, freeze=False)  # type: ignore[no-untyped-call]
        self.layers = nn.ModuleList(
            DecoderLayer(config, rotary, recompute == "selective") for _ in range(config.num_hidden_layers)
        )
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids int64[batch, length] to [batch, length, hidden_size]."""
        hidden = self.embed_tokens(tokens)
        for layer in self.layers:
            if self.recompute_layers and self.training:
                hidden = checkpoint(layer, hidden, use_reentrant=False)
            else:
                hidden = layer(hidden)
        output: Tensor = self.norm(hidden)
        return output


class LanguageModelHead(nn.Linear):
    """Output projection; with targets it goes straight on to the loss."""

    def forward(self, hidden: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return logits [batch, length, vocabulary], or the mean cross-entropy if there are targets."""
        if targets is None:
            return super().forward(hidden)
        return linear_cross_entropy(hidden, self.weight, targets)


class LlamaForCausalLM(nn.Module):
    """Decoder and output projection. Parameters are named as in Hugging Face's class of this name."""

    def __init__(self, config: LlamaConfig, recompute: str = "none") -> None:
        """Build the network; weights are not initialised yet.

        Args:
            config: The architecture.
            recompute: Activations computed again in the backward pass: "none", "selective" (attention) or "full".
        """
        super().__init__()
        self.config = config
        self.model = Decoder(config, recompute)
        self.lm_head = LanguageModelHead(config.hidden_size, config.vocab_size, bias=False)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Make embedding and output projection one parameter, if they are to be; again after `to_empty`, which parts
        them."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return logits [batch, length, vocabulary], or the mean cross-entropy if `targets` are given."""
        loss_or_logits: Tensor = self.lm_head(self.model(tokens), targets)
        return loss_or_logits

    def initial_deviation(self, name: str) -> float:
        """Return the standard deviation of the initial values of the matrix `name`."""
        deviation = self.config.initializer_range
        if name.endswith(SCALED_BY_DEPTH):
            deviation /= (2 * self.config.num_hidden_layers) ** 0.5
        return deviation
