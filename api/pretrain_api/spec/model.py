"""`spec.model`: the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.spec.base import (
    Boolean,
    KubernetesName,
    NonNegativeInteger,
    NonNegativeNumber,
    PositiveInteger,
    PositiveNumber,
    SpecModel,
)

ModelFamily = Literal[
    "llama",
    "gpt2",
    "bert",
    "t5",
    "mixtral",
    "bloom",
    "deepseek-moe",
    "deepseek-v2",
    "deepseek-v3",
    "baichuan",
    "glm",
    "gpt-neox",
    "opt",
    "falcon",
]
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
    (llama with experts), bloom (gpt2 with linear biases on distances, ALiBi, instead of positions), deepseek-moe (llama
    with many small experts beside shared ones), deepseek-v2 (the same with latent attention), deepseek-v3 (the same
    with experts balanced by biases), baichuan (llama with a normalised output projection), glm (GLM-130B: a decoder for
    prefixes with DeepNorm, gated GELU and RoPE), gpt-neox (attention and feed-forward side by side, RoPE on a part of
    each head; Pythia), opt (gpt2 with ReLU), falcon (gpt-neox with whole heads turned, few keys and values, no
    biases)."""
    vocab_size: Annotated[PositiveInteger, Field(le=10_000_000)] | None = None
    """Rows of the embedding; default: the size of the tokenizer's vocabulary."""
    hidden_size: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Width of the residual stream."""
    intermediate_size: Annotated[PositiveInteger, Field(le=10_000_000)] | None = None
    """Width of the feed-forward layers; of mixtral: of one expert; of bloom: 4 * hiddenSize."""
    num_hidden_layers: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Number of layers; of t5: of the encoder."""
    num_decoder_layers: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Number of layers of the decoder (t5); default: as many as the encoder's."""
    num_attention_heads: Annotated[PositiveInteger, Field(le=100_000)] | None = None
    """Number of attention heads."""
    num_key_value_heads: Annotated[PositiveInteger, Field(le=100_000)] | None = None
    """Number of key and value heads (grouped-query attention: llama, mixtral, deepseek-moe, falcon); default: as
    many as attention heads. With one, falcon has one LayerNorm a layer, as in 7B, else two, as in 40B."""
    head_dim: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Size of a head (llama, mixtral, deepseek-moe, t5); default: hiddenSize / numAttentionHeads."""
    max_position_embeddings: Annotated[PositiveInteger, Field(le=10_000_000)] | None = None
    """Learned positions (gpt2, bert, opt), at least sequenceLength; default: as many."""
    feed_forward: FeedForwardKind | None = None
    """Feed-forward layers of t5: relu as in version 1.0 (the default), gated-gelu as in 1.1."""
    rope_theta: PositiveNumber | None = None
    """Base of the rotary position embedding (llama, mixtral, deepseek, baichuan, glm, gpt-neox, falcon); default
    10,000."""
    alibi: Boolean | None = None
    """Linear biases on distances instead of rotary positions (baichuan; Press et al. 2022); default false."""
    partial_rotary_factor: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    """Share of each head's elements that RoPE turns (gpt-neox); default 0.25."""
    rms_norm_eps: PositiveNumber | None = None
    """Epsilon of RMSNorm; default 1e-5, of t5, deepseek and baichuan 1e-6."""
    layer_norm_eps: PositiveNumber | None = None
    """Epsilon of LayerNorm; default 1e-5 (gpt2, bloom, glm, gpt-neox, falcon) or 1e-12 (bert)."""
    query_key_value_bias: Boolean | None = None
    """Biases at the projections to queries, keys and values (llama; Qwen-1.5 has them); default false."""
    num_local_experts: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Experts a layer that the router chooses from (mixtral, deepseek); default 8, 64 (deepseek-moe), 160 (deepseek-v2)
    or 256 (deepseek-v3)."""
    num_experts_per_tok: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Experts that the router chooses for a token (mixtral, deepseek); default 2, 6 (deepseek-moe, deepseek-v2) or 8
    (deepseek-v3)."""
    moe_intermediate_size: Annotated[PositiveInteger, Field(le=10_000_000)] | None = None
    """Width of one expert (deepseek)."""
    n_shared_experts: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Experts beside the chosen ones, which see every token (deepseek); default 2, of deepseek-v3 1."""
    first_k_dense_replace: Annotated[NonNegativeInteger, Field(le=10_000)] | None = None
    """Layers at the beginning that have one feed-forward layer instead of experts (deepseek); default 1, of deepseek-v3
    3."""
    n_group: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Equal groups of experts, so that a token's come from few of them (deepseek-v2, deepseek-v3); default 1."""
    topk_group: Annotated[PositiveInteger, Field(le=10_000)] | None = None
    """Groups that a token's experts come from (deepseek-v2, deepseek-v3); default 1."""
    routed_scaling_factor: PositiveNumber | None = None
    """Factor on the weights of the chosen experts (deepseek-v2, deepseek-v3); default 1, of deepseek-v3 2.5."""
    router_aux_loss_coef: NonNegativeNumber | None = None
    """Weight of the loss that keeps the experts evenly used: of mixtral over all layers (Fedus et al. 2022, section
    2.2; default 0.01), of deepseek in each layer and sequence (Dai et al. 2024, section 3.3; default 0.001, 0.003 or
    0.0001)."""
    router_z_loss_coef: NonNegativeNumber | None = None
    """Weight of the loss that keeps the router's logits small (mixtral, deepseek; Zoph et al. 2022, section 3.1);
    default 0.001, of deepseek 0."""
    router_bias_update_rate: NonNegativeNumber | None = None
    """Step that the biases of the router take at each update towards experts with few tokens (deepseek-v3; Wang et al.
    2024); default 0.001."""
    kv_lora_rank: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Size of the latent vector of keys and values (deepseek-v2, deepseek-v3); default 512."""
    q_lora_rank: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Size of the latent vector of queries (deepseek-v2, deepseek-v3); default: there is none, but in presets."""
    qk_nope_head_dim: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Part of a head's query and key without positions (deepseek-v2, deepseek-v3); default 128."""
    qk_rope_head_dim: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Part of a head's query and key that is rotary (deepseek-v2, deepseek-v3); default 64."""
    v_head_dim: Annotated[PositiveInteger, Field(le=1_000_000)] | None = None
    """Size of a head's value (deepseek-v2, deepseek-v3); default 128."""
    tie_word_embeddings: Boolean | None = None
    """Use the embedding as output projection, too; default true for gpt2, t5, bloom, glm, opt and falcon, else
    false."""
    max_z_loss_coef: NonNegativeNumber | None = None
    """Weight of the squared largest logit in the training loss (baichuan; Yang et al. 2023, section 2.5); default
    0.0002."""
    initializer_range: PositiveNumber | None = None
    """Standard deviation of the initial weights; default 0.02, of deepseek and opt 0.006. Those of t5 and gpt-neox, and
    of layers of glm, follow from the sizes."""
    dropout: Annotated[float, Field(strict=True, ge=0, lt=1)] | None = None
    """Share of the values that dropout leaves out in training, of attention weights, and of what embeddings and layers
    give; default 0."""
