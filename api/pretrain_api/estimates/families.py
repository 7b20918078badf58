"""Model families: how their networks are composed. A new family is one more short function here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from pretrain_api.estimates.deepseek import deepseek_from
from pretrain_api.estimates.layers import Attention, Experts, FeedForward, Layers
from pretrain_api.estimates.network import Network
from pretrain_api.presets import Architecture

T5_DECODER_SHARE = 114 / 512
"""Targets for each input token of span corruption: 512 inputs with 15 % noise in spans of 3 give 114 targets
(Raffel et al. 2020, section 3.1.4 and its released pre-processors)."""
T5_DISTANCE_BUCKETS = 32


def llama(  # noqa: PLR0913 (all of them are sizes)
    hidden_size: int,
    intermediate_size: int,
    layers: int,
    heads: int,
    key_value_heads: int | None = None,
    *,
    vocab_size: int = 32_000,
    head_dim: int | None = None,
    tied: bool = False,
    query_key_value_bias: bool = False,
) -> Network:
    """RMSNorm, SwiGLU, rotary positions, grouped queries (Touvron et al. 2023). Also Yi, InternLM-2, Baichuan-2,
    DeepSeek LLM, and, with biases at the query, key and value projections, Qwen-1.5."""
    attention = Attention(
        heads, key_value_heads or heads, head_dim or hidden_size // heads, input_bias=query_key_value_bias
    )
    return Network(
        family="llama",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(Layers(layers, attention, FeedForward(intermediate_size)),),
        tied=tied,
        formula="2VH + H + L(2H(A+K)D + 3HI + 2H)" if not tied else "VH + H + L(2H(A+K)D + 3HI + 2H)",
    )


def from_architecture(
    architecture: Architecture, vocab_size: int | None = None, positions: int = 0, *, pretraining_heads: bool = True
) -> Network:
    """Return the network of a job's model.

    Args:
        architecture: What `spec.model` resolves to.
        vocab_size: Rows of the embedding where the architecture leaves them to the tokenizer.
        positions: Learned positions where the architecture leaves them to the sequence length.
        pretraining_heads: Of bert: with the head that judges pairs of sentences.

    Raises:
        ValueError: Neither says the size of the vocabulary.
    """
    rows = architecture.vocab_size or vocab_size
    if rows is None:
        raise ValueError("the size of the vocabulary is not known")
    network = _FROM_ARCHITECTURE[architecture.family](
        architecture, rows, architecture.max_position_embeddings or positions, pretraining_heads
    )
    return replace(network, family=architecture.family)


def _llama_from(shape: Architecture, rows: int, _positions: int, _heads: bool) -> Network:
    return llama(
        shape.hidden_size,
        shape.intermediate_size,
        shape.num_hidden_layers,
        shape.num_attention_heads,
        shape.num_key_value_heads,
        vocab_size=rows,
        head_dim=shape.head_dim,
        tied=shape.tie_word_embeddings,
        query_key_value_bias=shape.query_key_value_bias,
    )


def _gpt2_from(shape: Architecture, rows: int, positions: int, _heads: bool) -> Network:
    make = opt if shape.family == "opt" else gpt2
    network = make(
        shape.hidden_size,
        shape.num_hidden_layers,
        shape.num_attention_heads,
        positions=positions,
        vocab_size=rows,
        intermediate_size=shape.intermediate_size,
    )
    return replace(network, tied=shape.tie_word_embeddings)


def _bert_from(shape: Architecture, rows: int, positions: int, heads: bool) -> Network:
    return bert(
        shape.hidden_size,
        shape.num_hidden_layers,
        shape.num_attention_heads,
        pretraining_heads="both" if heads else "masked-lm",
        vocab_size=rows,
        positions=positions,
        intermediate_size=shape.intermediate_size,
    )


def _t5_from(shape: Architecture, rows: int, _positions: int, _heads: bool) -> Network:
    return t5(
        shape.hidden_size,
        shape.intermediate_size,
        shape.num_hidden_layers,
        shape.num_attention_heads,
        head_dim=shape.head_dim,
        version="1.1" if shape.feed_forward == "gated-gelu" else "1.0",
        vocab_size=rows,
        decoder_layers=shape.num_decoder_layers,
        tied=shape.tie_word_embeddings,
    )


def _mixtral_from(shape: Architecture, rows: int, _positions: int, _heads: bool) -> Network:
    return mixtral(
        shape.hidden_size,
        shape.intermediate_size,
        shape.num_hidden_layers,
        shape.num_attention_heads,
        shape.num_key_value_heads,
        vocab_size=rows,
        head_dim=shape.head_dim,
        experts=(shape.num_local_experts, shape.num_experts_per_tok),
        tied=shape.tie_word_embeddings,
    )


def _bloom_from(shape: Architecture, rows: int, _positions: int, _heads: bool) -> Network:
    make = gpt_neox if shape.family == "gpt-neox" else bloom
    network = make(
        shape.hidden_size,
        shape.num_hidden_layers,
        shape.num_attention_heads,
        vocab_size=rows,
        intermediate_size=shape.intermediate_size,
    )
    return replace(network, tied=shape.tie_word_embeddings)


def _glm_from(shape: Architecture, rows: int, _positions: int, _heads: bool) -> Network:
    sizes = (shape.hidden_size, shape.intermediate_size, shape.num_hidden_layers, shape.num_attention_heads)
    return glm(*sizes, vocab_size=rows, tied=shape.tie_word_embeddings)


def _falcon_from(shape: Architecture, rows: int, _positions: int, _heads: bool) -> Network:
    sizes = (shape.hidden_size, shape.num_hidden_layers, shape.num_attention_heads, shape.num_key_value_heads)
    norms = 1 if shape.num_key_value_heads == 1 else 2
    network = falcon(*sizes, norms=norms, vocab_size=rows, intermediate_size=shape.intermediate_size)
    return replace(network, tied=shape.tie_word_embeddings)


_FROM_ARCHITECTURE: dict[str, Callable[[Architecture, int, int, bool], Network]] = {
    "llama": _llama_from,
    "gpt2": _gpt2_from,
    "bert": _bert_from,
    "t5": _t5_from,
    "mixtral": _mixtral_from,
    "bloom": _bloom_from,
    "baichuan": _llama_from,
    "glm": _glm_from,
    "deepseek-moe": deepseek_from,
    "deepseek-v2": deepseek_from,
    "deepseek-v3": deepseek_from,
    "gpt-neox": _bloom_from,
    "opt": _gpt2_from,
    "falcon": _falcon_from,
}


def gpt2(
    hidden_size: int,
    layers: int,
    heads: int,
    *,
    positions: int = 1024,
    vocab_size: int = 50_257,
    intermediate_size: int | None = None,
) -> Network:
    """LayerNorm, GELU, learned positions, biases, tied embeddings (Radford et al. 2019); GPT-3 has the same parts."""
    return Network(
        family="gpt2",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(Layers(layers, _biased(hidden_size, heads), _plain(hidden_size, intermediate_size)),),
        norm_bias=True,
        tied=True,
        position_rows=positions,
        formula="VH + TH + 2H + L(12H² + 13H)",
    )


def opt(
    hidden_size: int,
    layers: int,
    heads: int,
    *,
    positions: int = 2048,
    vocab_size: int = 50_272,
    intermediate_size: int | None = None,
) -> Network:
    """GPT-3's parts with ReLU, and two unused rows before the positions (Zhang et al. 2022)."""
    feed_forward = replace(_plain(hidden_size, intermediate_size), keeps_input=False)
    network = gpt2(hidden_size, layers, heads, positions=positions + 2, vocab_size=vocab_size)
    return replace(
        network,
        family="opt",
        layers=(replace(network.layers[0], feed_forward=feed_forward),),
        formula="VH + (T+2)H + 2H + L(12H² + 13H)",
    )


def bloom(
    hidden_size: int, layers: int, heads: int, *, vocab_size: int = 250_880, intermediate_size: int | None = None
) -> Network:
    """GPT-like with ALiBi instead of positions and a LayerNorm after the embedding (Scao et al. 2022)."""
    return Network(
        family="bloom",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(Layers(layers, _biased(hidden_size, heads), _plain(hidden_size, intermediate_size)),),
        norm_bias=True,
        tied=True,
        outer_norms=2,
        formula="VH + 4H + L(12H² + 13H)",
    )


def bert(
    hidden_size: int,
    layers: int,
    heads: int,
    *,
    pretraining_heads: Literal["both", "masked-lm", "none"] = "both",
    vocab_size: int = 30_522,
    positions: int = 512,
    intermediate_size: int | None = None,
) -> Network:
    """An encoder with learned positions, two segments and a pooler (Devlin et al. 2019).

    Args:
        hidden_size: Width.
        layers: Number of layers.
        heads: Attention heads.
        pretraining_heads: What is trained and then thrown away: the masked-LM head (a matrix, its bias, a LayerNorm, a
            bias for each token; the projection is tied) and the next-sentence head on the pooler. Without the latter
            the pooler isn't trained, either; "none" is the encoder and its pooler.
        vocab_size: Rows of the embedding.
        positions: Learned positions.
        intermediate_size: Width of the feed-forward layers; None: 4H.
    """
    pooler = hidden_size * hidden_size + hidden_size
    masked_lm = hidden_size * hidden_size + hidden_size + 2 * hidden_size + vocab_size
    next_sentence = 2 * hidden_size + 2
    head_values = {"both": pooler + masked_lm + next_sentence, "masked-lm": masked_lm, "none": pooler}
    feed_forward = _plain(hidden_size, intermediate_size)
    return Network(
        family="bert",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(Layers(layers, _biased(hidden_size, heads), feed_forward, stack="encoder"),),
        norm_bias=True,
        tied=True,
        position_rows=positions,
        token_type_rows=2,
        head_values=head_values[pretraining_heads],
        formula="(V+T+2)H + 2H + L(12H² + 13H) + pooler (H²+H) + heads (H²+3H+V + 2H+2)",
    )


def t5(  # noqa: PLR0913 (all of them are sizes)
    hidden_size: int,
    intermediate_size: int,
    layers: int,
    heads: int,
    *,
    head_dim: int = 64,
    version: str = "1.0",
    vocab_size: int = 32_128,
    decoder_layers: int | None = None,
    tied: bool | None = None,
) -> Network:
    """Encoder and decoder of `layers` layers each, no biases, learned distances shared by all layers of a stack (Raffel
    et al. 2020). Version 1.0: ReLU, tied embeddings; version 1.1: gated GELU, an output projection of its own."""
    gated = version == "1.1"
    attention = Attention(heads, heads, head_dim)
    feed_forward = FeedForward(intermediate_size, gated=gated, keeps_input=gated)
    matrices = 3 if gated else 2
    return Network(
        family="t5",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(
            Layers(layers, attention, feed_forward, stack="encoder"),
            Layers(decoder_layers or layers, attention, feed_forward, norms=3, cross_attention=True),
        ),
        tied=not gated if tied is None else tied,
        outer_norms=2,
        relative_position_values=2 * T5_DISTANCE_BUCKETS * heads,
        decoder_share=T5_DECODER_SHARE,
        formula=f"{'2' if gated else ''}VH + 2H + 64A + L(12HAD + {2 * matrices}HI + 5H)",
    )


def mixtral(  # noqa: PLR0913 (all of them are sizes)
    hidden_size: int,
    intermediate_size: int,
    layers: int,
    heads: int,
    key_value_heads: int,
    *,
    vocab_size: int = 32_000,
    head_dim: int | None = None,
    experts: tuple[int, int] = (8, 2),
    tied: bool = False,
) -> Network:
    """LLaMA with eight feed-forward networks a layer, two of which see a token (Jiang et al. 2024)."""
    attention = Attention(heads, key_value_heads, head_dim or hidden_size // heads)
    return Network(
        family="mixtral",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(Layers(layers, attention, Experts(*experts, FeedForward(intermediate_size))),),
        tied=tied,
        formula=f"{'' if tied else '2'}VH + H + L(2H(A+K)D + E·3HI + EH + 2H)",
    )


def falcon(
    hidden_size: int,
    layers: int,
    heads: int,
    key_value_heads: int,
    *,
    norms: int = 2,
    vocab_size: int = 65_024,
    intermediate_size: int | None = None,
) -> Network:
    """Attention and feed-forward side by side, no biases but LayerNorm's, tied embeddings (Almazrouei et al. 2023)."""
    attention = Attention(heads, key_value_heads, hidden_size // heads)
    feed_forward = FeedForward(intermediate_size or 4 * hidden_size, gated=False)
    return Network(
        family="falcon",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(Layers(layers, attention, feed_forward, norms=norms, parallel=True),),
        norm_bias=True,
        tied=True,
        formula=f"VH + 2H + L(2H(A+K)D + 8H² + {2 * norms}H)",
    )


def gpt_neox(
    hidden_size: int, layers: int, heads: int, *, vocab_size: int = 50_304, intermediate_size: int | None = None
) -> Network:
    """Attention and feed-forward side by side, biases, rotary positions, an output projection of its own (Black et al.
    2022); Pythia, too."""
    feed_forward = _plain(hidden_size, intermediate_size)
    return Network(
        family="gpt-neox",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(Layers(layers, _biased(hidden_size, heads), feed_forward, parallel=True),),
        norm_bias=True,
        formula="2VH + 2H + L(12H² + 13H)",
    )


def glm(
    hidden_size: int, intermediate_size: int, layers: int, heads: int, *, vocab_size: int = 150_528, tied: bool = True
) -> Network:
    """Gated GELU, biases, rotary positions, DeepNorm (Zeng et al. 2023). The embedding is the output projection, as the
    released code has it."""
    return Network(
        family="glm",
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        layers=(Layers(layers, _biased(hidden_size, heads), FeedForward(intermediate_size, bias=True)),),
        norm_bias=True,
        tied=tied,
        formula=f"{'' if tied else '2'}VH + 2H + L(4H² + 3HI + 2I + 9H)",
    )


def _biased(hidden_size: int, heads: int) -> Attention:
    return Attention(heads, heads, hidden_size // heads, input_bias=True, output_bias=True)


def _plain(hidden_size: int, intermediate_size: int | None) -> FeedForward:
    return FeedForward(intermediate_size or 4 * hidden_size, gated=False, bias=True)
