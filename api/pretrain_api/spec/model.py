"""`spec.model`: the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.spec.base import (
    Boolean,
    KubernetesName,
    NonNegativeNumber,
    PositiveInteger,
    PositiveNumber,
    SpecModel,
)

ModelFamily = Literal["llama", "gpt2", "bert", "t5", "mixtral", "bloom"]
FeedForwardKind = Literal["relu", "gated-gelu"]


class Model(SpecModel):
    """A network: a preset, an architecture, or a preset with some fields of its architecture replaced.

    Field names are those of Hugging Face configurations, in camelCase.
    """

    preset: KubernetesName | None = None
    """Name of a documented model, such as llama-7b."""
    family: ModelFamily | None = None
    """Family of the architecture: llama (decoder with RMSNorm, SwiGLU and RoPE; the default), gpt2 (decoder with
    LayerNorm, GELU and learned positions), bert (encoder), t5 (encoder and decoder with relative positions), mixtral
    (llama with experts), bloom (gpt2 with linear biases on distances, ALiBi, instead of positions)."""
    vocab_size: Annotated[PositiveInteger, Field(le=10_000_000)] | None = None
    """Rows of the embedding; default: the size of the tokenizer's vocabulary."""
    hidden_size: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Width of the residual stream."""
    intermediate_size: Annotated[PositiveInteger, Field(le=10_000_000)] | None = None
    """Width of the feed-forward layers; of one expert. Of bloom: 4 * hiddenSize."""
    num_hidden_layers: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Number of layers; of t5: of the encoder."""
    num_decoder_layers: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Number of layers of the decoder (t5); default: as many as the encoder's."""
    num_attention_heads: Annotated[PositiveInteger, Field(le=100_000)] | None = None
    """Number of attention heads."""
    num_key_value_heads: Annotated[PositiveInteger, Field(le=100_000)] | None = None
    """Number of key and value heads (grouped-query attention: llama, mixtral); default: as many as attention heads."""
    head_dim: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Size of a head (llama, mixtral, t5); default: hiddenSize / numAttentionHeads."""
    max_position_embeddings: Annotated[PositiveInteger, Field(le=10_000_000)] | None = None
    """Learned positions (gpt2, bert), at least sequenceLength; default: as many."""
    feed_forward: FeedForwardKind | None = None
    """Feed-forward layers of t5: relu as in version 1.0 (the default), gated-gelu as in 1.1."""
    rope_theta: PositiveNumber | None = None
    """Base of the rotary position embedding (llama, mixtral); default 10,000."""
    rms_norm_eps: PositiveNumber | None = None
    """Epsilon of RMSNorm; default 1e-5, of t5 1e-6."""
    layer_norm_eps: PositiveNumber | None = None
    """Epsilon of LayerNorm; default 1e-5 (gpt2, bloom) or 1e-12 (bert)."""
    query_key_value_bias: Boolean | None = None
    """Biases at the projections to queries, keys and values (llama; Qwen-1.5 has them); default false."""
    num_local_experts: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Experts a layer (mixtral); default 8."""
    num_experts_per_tok: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Experts that a token passes (mixtral); default 2."""
    router_aux_loss_coef: NonNegativeNumber | None = None
    """Weight of the loss that keeps the experts evenly used (mixtral; Fedus et al. 2022, section 2.2); default 0.01."""
    router_z_loss_coef: NonNegativeNumber | None = None
    """Weight of the loss that keeps the router's logits small (mixtral; Zoph et al. 2022, section 3.1); default
    0.001."""
    tie_word_embeddings: Boolean | None = None
    """Use the embedding as output projection, too; default true for gpt2, t5 and bloom, false for llama and
    mixtral."""
    initializer_range: PositiveNumber | None = None
    """Standard deviation of the initial weights; default 0.02. Those of t5 follow from its sizes."""
    dropout: Annotated[float, Field(strict=True, ge=0, lt=1)] | None = None
    """Share of the values that dropout leaves out in training, of attention weights, and of what embeddings and layers
    give; default 0."""
