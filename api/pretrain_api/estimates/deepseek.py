"""DeepSeek's networks of small experts."""

from __future__ import annotations

from pretrain_api.estimates.layers import AnyAttention, Attention, Experts, FeedForward, LatentAttention, Layers
from pretrain_api.estimates.network import Network
from pretrain_api.presets import Architecture


def deepseek_moe(
    hidden_size: int,
    layers: int,
    attention: AnyAttention,
    experts: Experts,
    *,
    dense_layers: int,
    dense_intermediate_size: int,
    vocab_size: int = 102_400,
    tied: bool = False,
) -> Network:
    """Small routed experts beside shared ones, dense layers first (Dai et al. 2024)."""
    return Network(
        family="deepseek-moe",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(
            *((Layers(dense_layers, attention, FeedForward(dense_intermediate_size)),) if dense_layers else ()),
            Layers(layers - dense_layers, attention, experts),
        ),
        tied=tied,
        formula=f"{'' if tied else '2'}VH + H + dense layers + layers with shared and routed experts",
    )


def deepseek_from(shape: Architecture, rows: int, _positions: int, _heads: bool) -> Network:
    """Return the network of a job's model of any of the families."""
    width, latent = shape.moe_intermediate_size, shape.family != "deepseek-moe"
    experts = Experts(
        shape.num_local_experts,
        shape.num_experts_per_tok,
        FeedForward(width),
        FeedForward(shape.n_shared_experts * width),
        router_bias=shape.family == "deepseek-v3",
        router_in_fp32=latent,
    )
    return deepseek_moe(
        shape.hidden_size,
        shape.num_hidden_layers,
        _latent_attention(shape) if latent else _attention(shape),
        experts,
        dense_layers=shape.first_k_dense_replace,
        dense_intermediate_size=shape.intermediate_size,
        vocab_size=rows,
        tied=shape.tie_word_embeddings,
    )


def _attention(shape: Architecture) -> Attention:
    return Attention(shape.num_attention_heads, shape.num_key_value_heads, shape.head_dim)


def _latent_attention(shape: Architecture) -> LatentAttention:
    return LatentAttention(
        shape.num_attention_heads,
        shape.kv_lora_rank,
        shape.qk_nope_head_dim,
        shape.qk_rope_head_dim,
        shape.v_head_dim,
        shape.q_lora_rank,
    )
