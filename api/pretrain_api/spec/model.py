"""`spec.model` and `spec.objective`: the network and what it learns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.spec.base import Boolean, Fraction, KubernetesName, PositiveInteger, PositiveNumber, SpecModel

ModelFamily = Literal["llama"]


class Model(SpecModel):
    """A network: a preset, an architecture, or a preset with some fields of its architecture replaced.

    Field names are those of Hugging Face configurations, in camelCase.
    """

    preset: KubernetesName | None = None
    """Name of a documented model, such as llama-7b."""
    family: ModelFamily | None = None
    """Family of the architecture: llama is a decoder with RMSNorm, SwiGLU and RoPE."""
    vocab_size: Annotated[PositiveInteger, Field(le=10_000_000)] | None = None
    """Rows of the embedding; default: the size of the tokenizer's vocabulary."""
    hidden_size: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Width of the residual stream."""
    intermediate_size: Annotated[PositiveInteger, Field(le=10_000_000)] | None = None
    """Width of the feed-forward layers."""
    num_hidden_layers: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Number of layers."""
    num_attention_heads: Annotated[PositiveInteger, Field(le=100_000)] | None = None
    """Number of attention heads."""
    num_key_value_heads: Annotated[PositiveInteger, Field(le=100_000)] | None = None
    """Number of key and value heads (grouped-query attention); default: as many as attention heads."""
    head_dim: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Size of a head; default: hiddenSize / numAttentionHeads."""
    rope_theta: PositiveNumber | None = None
    """Base of the rotary position embedding; default 10,000."""
    rms_norm_eps: PositiveNumber | None = None
    """Epsilon of RMSNorm; default 1e-5."""
    tie_word_embeddings: Boolean | None = None
    """Use the embedding as output projection, too; default false."""
    initializer_range: PositiveNumber | None = None
    """Standard deviation of the initial weights; default 0.02."""


class Objective(SpecModel):
    """What the network learns to predict."""

    type: Literal[
        "causal-lm",
        "prefix-lm",
        "fill-in-the-middle",
        "span-corruption",
        "denoising",
        "mixture-of-denoisers",
        "masked-lm",
    ] = "causal-lm"
    """Kind of objective."""
    rate: Fraction | None = None
    """Share of the samples (fill-in-the-middle) or tokens (masking) it applies to."""
    sentence_pairs: Literal["nsp", "sop"] | None = None
    """Sentence-pair task joined with masked-lm."""
