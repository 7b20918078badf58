"""Architectures: what a family is made of, and documented models by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pretrain_api.spec.model import FeedForwardKind, Model, ModelFamily

_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
REQUIRED_WITHOUT_PRESET = _SIZES[1:]
"""Fields that a model of any family must have where it has no preset; `required_sizes` says all of them."""
_LLAMA_FIELDS = (
    "num_key_value_heads",
    "head_dim",
    "rope_theta",
    "rms_norm_eps",
    "query_key_value_bias",
    "tie_word_embeddings",
    "initializer_range",
    "dropout",
)
_UNBIASED_LLAMA_FIELDS = tuple(name for name in _LLAMA_FIELDS if name != "query_key_value_bias")
_ROUTER_FIELDS = ("num_local_experts", "num_experts_per_tok", "router_aux_loss_coef", "router_z_loss_coef")
_EXPERT_FIELDS = ("moe_intermediate_size", "n_shared_experts", "first_k_dense_replace", *_ROUTER_FIELDS)
_LATENT_FIELDS = (
    *(name for name in _UNBIASED_LLAMA_FIELDS if name not in ("num_key_value_heads", "head_dim")),
    "kv_lora_rank",
    "q_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "n_group",
    "topk_group",
    "routed_scaling_factor",
)
_LAYER_NORM_FIELDS = ("layer_norm_eps", "tie_word_embeddings", "initializer_range", "dropout")
FIELDS_OF_FAMILY: dict[ModelFamily, tuple[str, ...]] = {
    "llama": (*_SIZES, *_LLAMA_FIELDS),
    "gpt2": (*_SIZES, "max_position_embeddings", *_LAYER_NORM_FIELDS),
    "bert": (*_SIZES, "max_position_embeddings", "layer_norm_eps", "initializer_range", "dropout"),
    "t5": (
        *_SIZES,
        "num_decoder_layers",
        "head_dim",
        "feed_forward",
        "rms_norm_eps",
        "tie_word_embeddings",
        "dropout",
    ),
    "mixtral": (*_SIZES, *_UNBIASED_LLAMA_FIELDS, *_ROUTER_FIELDS),
    "bloom": (*_SIZES, *_LAYER_NORM_FIELDS),
    "deepseek-moe": (*_SIZES, *_UNBIASED_LLAMA_FIELDS, *_EXPERT_FIELDS),
    "deepseek-v2": (*_SIZES, *_LATENT_FIELDS, *_EXPERT_FIELDS),
    "deepseek-v3": (*_SIZES, *_LATENT_FIELDS, *_EXPERT_FIELDS, "router_bias_update_rate"),
    "baichuan": (*_SIZES, "rope_theta", "alibi", "rms_norm_eps", "max_z_loss_coef", "initializer_range", "dropout"),
    "glm": (*_SIZES, "rope_theta", *_LAYER_NORM_FIELDS),
    "gpt-neox": (
        *_SIZES,
        "partial_rotary_factor",
        "rope_theta",
        "layer_norm_eps",
        "tie_word_embeddings",
        "dropout",
    ),
    "opt": (*_SIZES, "max_position_embeddings", "tie_word_embeddings", "initializer_range", "dropout"),
    "falcon": (*_SIZES, "num_key_value_heads", "rope_theta", *_LAYER_NORM_FIELDS),
}
"""Fields of `spec.model` that have a meaning, by family."""
ROTARY_FAMILIES = ("llama", "mixtral", "deepseek-moe", "baichuan", "glm", "gpt-neox", "falcon")
"""Families that turn pairs of a head's elements (Su et al. 2021)."""
SMALL_EXPERT_FAMILIES = ("deepseek-moe", "deepseek-v2", "deepseek-v3")
"""Families whose experts have a width of their own."""
EXPERT_FAMILIES = ("mixtral", *SMALL_EXPERT_FAMILIES)
"""Families whose routers choose experts."""
_SMALL_EXPERTS: dict[str, Any] = {
    "rms_norm_eps": 1e-6,
    "initializer_range": 0.006,
    "num_local_experts": 64,
    "num_experts_per_tok": 6,
    "router_aux_loss_coef": 0.001,
    "router_z_loss_coef": 0.0,
}
_DEFAULTS: dict[ModelFamily, dict[str, Any]] = {
    "llama": {},
    "gpt2": {"tie_word_embeddings": True},
    "bert": {"tie_word_embeddings": True, "layer_norm_eps": 1e-12},
    "t5": {"tie_word_embeddings": True, "rms_norm_eps": 1e-6},
    "mixtral": {},
    "bloom": {"tie_word_embeddings": True},
    "deepseek-moe": _SMALL_EXPERTS,
    "deepseek-v2": _SMALL_EXPERTS | {"num_local_experts": 160, "router_aux_loss_coef": 0.003},
    "deepseek-v3": _SMALL_EXPERTS
    | {
        "num_local_experts": 256,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 3,
        "router_aux_loss_coef": 0.0001,
        "routed_scaling_factor": 2.5,
    },
    "baichuan": {"rms_norm_eps": 1e-6},
    "glm": {"tie_word_embeddings": True},
    "gpt-neox": {"partial_rotary_factor": 0.25},
    "opt": {"tie_word_embeddings": True, "initializer_range": 0.006},
    "falcon": {"tie_word_embeddings": True},
}
"""Where a family's papers and released configurations differ from the defaults below."""


@dataclass(frozen=True)
class Architecture:
    """A network with every size known. `FIELDS_OF_FAMILY` says which fields its family has.

    `vocab_size` is None where the tokenizer decides, `max_position_embeddings` where the sequence length does.
    """

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int | None = None
    family: ModelFamily = "llama"
    num_decoder_layers: int = 0
    max_position_embeddings: int | None = None
    feed_forward: FeedForwardKind = "relu"
    rope_theta: float = 10_000.0
    alibi: bool = False
    partial_rotary_factor: float = 1.0
    rms_norm_eps: float = 1e-5
    layer_norm_eps: float = 1e-5
    query_key_value_bias: bool = False
    num_local_experts: int = 8
    num_experts_per_tok: int = 2
    moe_intermediate_size: int = 0
    n_shared_experts: int = 2
    first_k_dense_replace: int = 1
    n_group: int = 1
    topk_group: int = 1
    routed_scaling_factor: float = 1.0
    router_aux_loss_coef: float = 0.01
    router_z_loss_coef: float = 0.001
    router_bias_update_rate: float = 0.001
    kv_lora_rank: int = 512
    q_lora_rank: int | None = None
    qk_nope_head_dim: int = 128
    qk_rope_head_dim: int = 64
    v_head_dim: int = 128
    tie_word_embeddings: bool = False
    max_z_loss_coef: float = 2e-4
    initializer_range: float = 0.02
    dropout: float = 0.0

    @property
    def rotary_size(self) -> int:
        """Elements of a head that RoPE turns, where the family has it."""
        return int(self.head_dim * self.partial_rotary_factor)

    def fields(self) -> dict[str, Any]:
        """Return the fields of `spec.model` that say the same: those that the family has."""
        return {"family": self.family} | {name: getattr(self, name) for name in FIELDS_OF_FAMILY[self.family]}


def _network(
    family: ModelFamily, hidden_size: int, intermediate_size: int, layers: int, heads: int, **fields: Any
) -> Architecture:
    return Architecture(
        family=family,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=fields.pop("num_key_value_heads", heads),
        head_dim=fields.pop("head_dim", hidden_size // heads),
        **(_DEFAULTS[family] | fields),
    )


def _llama(
    hidden_size: int,
    intermediate_size: int,
    layers: int,
    heads: int,
    key_value_heads: int | None = None,
    **fields: Any,
) -> Architecture:
    settings = {"vocab_size": 32_000, "num_key_value_heads": key_value_heads or heads} | fields
    return _network("llama", hidden_size, intermediate_size, layers, heads, **settings)


def _t5(hidden_size: int, intermediate_size: int, layers: int, heads: int, head_dim: int = 64) -> Architecture:
    sizes = (hidden_size, intermediate_size, layers, heads)
    return _network("t5", *sizes, vocab_size=32_128, head_dim=head_dim, num_decoder_layers=layers)


def _newer_t5(hidden_size: int, intermediate_size: int, layers: int, heads: int) -> Architecture:
    older = _t5(hidden_size, intermediate_size, layers, heads)
    return replace(older, feed_forward="gated-gelu", tie_word_embeddings=False)


def _mixtral(hidden_size: int, intermediate_size: int, layers: int, heads: int, aux: float) -> Architecture:
    sizes = (hidden_size, intermediate_size, layers, heads)
    return _network(
        "mixtral",
        *sizes,
        num_key_value_heads=8,
        vocab_size=32_000,
        rope_theta=1e6,
        router_aux_loss_coef=aux,
    )


def _fourfold(family: ModelFamily, hidden_size: int, layers: int, heads: int, **fields: Any) -> Architecture:
    """Feed-forward layers four times as wide as the residual stream."""
    return _network(family, hidden_size, 4 * hidden_size, layers, heads, **fields)


_gpt2 = partial(_fourfold, "gpt2", vocab_size=50_257, max_position_embeddings=1024)
_bert = partial(_fourfold, "bert", vocab_size=30_522, max_position_embeddings=512)
_bloom = partial(_fourfold, "bloom", vocab_size=250_880)
_gpt_neox = partial(_fourfold, "gpt-neox", vocab_size=50_304)
_opt = partial(_fourfold, "opt", vocab_size=50_272, max_position_embeddings=2048)
_falcon = partial(_fourfold, "falcon", vocab_size=65_024)

PRESETS: dict[str, Architecture] = {
    # Touvron et al. 2023a, table 2, with the widths of the published weights.
    "llama-7b": _llama(4096, 11008, 32, 32, rms_norm_eps=1e-6),
    "llama-13b": _llama(5120, 13824, 40, 40, rms_norm_eps=1e-6),
    "llama-33b": _llama(6656, 17920, 60, 52, rms_norm_eps=1e-6),
    "llama-65b": _llama(8192, 22016, 80, 64, rms_norm_eps=1e-6),
    # Touvron et al. 2023b, table 1.
    "llama2-7b": _llama(4096, 11008, 32, 32),
    "llama2-13b": _llama(5120, 13824, 40, 40),
    "llama2-70b": _llama(8192, 28672, 80, 64, 8),
    # Dubey et al. 2024, table 3.
    "llama3-8b": _llama(4096, 14_336, 32, 32, 8, vocab_size=128_256, rope_theta=5e5),
    "llama3-70b": _llama(8192, 28_672, 80, 64, 8, vocab_size=128_256, rope_theta=5e5),
    # Networks of the LLaMA family by others, from their released configurations.
    "qwen1.5-0.5b": _llama(
        1024,
        2816,
        24,
        16,
        vocab_size=151_936,
        rope_theta=1e6,
        rms_norm_eps=1e-6,
        query_key_value_bias=True,
        tie_word_embeddings=True,
    ),
    **{
        f"qwen1.5-{name}": _llama(
            *sizes, vocab_size=vocab_size, rope_theta=1e6, rms_norm_eps=1e-6, query_key_value_bias=True
        )
        for name, vocab_size, sizes in (
            ("1.8b", 151_936, (2048, 5504, 24, 16)),
            ("4b", 151_936, (2560, 6912, 40, 20)),
            ("7b", 151_936, (4096, 11_008, 32, 32)),
            ("14b", 152_064, (5120, 13_696, 40, 40)),
            ("32b", 152_064, (5120, 27_392, 64, 40, 8)),
            ("72b", 152_064, (8192, 24_576, 80, 64)),
        )
    },
    "internlm2-1.8b": _llama(2048, 8192, 24, 16, 8, vocab_size=92_544, rope_theta=1e6),
    "internlm2-7b": _llama(4096, 14_336, 32, 32, 8, vocab_size=92_544, rope_theta=1e6),
    "internlm2-20b": _llama(6144, 16_384, 48, 48, 8, vocab_size=92_544, rope_theta=1e6),
    "deepseek-7b": _llama(4096, 11_008, 30, 32, vocab_size=102_400, rms_norm_eps=1e-6),
    "deepseek-67b": _llama(8192, 22_016, 95, 64, 8, vocab_size=102_400, rms_norm_eps=1e-6),
    "yi-6b": _llama(4096, 11_008, 32, 32, 4, vocab_size=64_000, rope_theta=5e6),
    "yi-34b": _llama(7168, 20_480, 60, 56, 8, vocab_size=64_000, rope_theta=5e6),
    # Radford et al. 2019, table 2; Brown et al. 2020, table 2.1 (all attention dense).
    "gpt2-124m": _gpt2(768, 12, 12),
    "gpt2-350m": _gpt2(1024, 24, 16),
    "gpt2-774m": _gpt2(1280, 36, 20),
    "gpt2-1.5b": _gpt2(1600, 48, 25),
    "gpt3-175b": _gpt2(12_288, 96, 96, max_position_embeddings=2048),
    # Devlin et al. 2019, section 3.
    "bert-base": _bert(768, 12, 12),
    "bert-large": _bert(1024, 24, 16),
    # Raffel et al. 2020, section 3.7, and the released configurations of T5 1.1.
    "t5-small": _t5(512, 2048, 6, 8),
    "t5-base": _t5(768, 3072, 12, 12),
    "t5-large": _t5(1024, 4096, 24, 16),
    "t5-3b": _t5(1024, 16_384, 24, 32, head_dim=128),
    "t5-11b": _t5(1024, 65_536, 24, 128, head_dim=128),
    "t5-v1.1-small": _newer_t5(512, 1024, 8, 6),
    "t5-v1.1-base": _newer_t5(768, 2048, 12, 12),
    "t5-v1.1-large": _newer_t5(1024, 2816, 24, 16),
    "t5-v1.1-xl": _newer_t5(2048, 5120, 24, 32),
    "t5-v1.1-xxl": _newer_t5(4096, 10_240, 24, 64),
    # Jiang et al. 2024, table 1, and the released configurations.
    "mixtral-8x7b": _mixtral(4096, 14_336, 32, 32, aux=0.02),
    "mixtral-8x22b": _mixtral(6144, 16_384, 56, 48, aux=0.001),
    # Scao et al. 2022, table 3.
    "bloom-560m": _bloom(1024, 24, 16),
    "bloom-1b1": _bloom(1536, 24, 16),
    "bloom-1b7": _bloom(2048, 24, 16),
    "bloom-3b": _bloom(2560, 30, 32),
    "bloom-7b1": _bloom(4096, 30, 32),
    "bloom-176b": _bloom(14_336, 70, 112),
    # Dai et al. 2024, section 5.1.2, and the released configuration.
    "deepseek-moe-16b": _network("deepseek-moe", 2048, 10_944, 28, 16, vocab_size=102_400, moe_intermediate_size=1408),
    # Yang et al. 2023, table 3, and the released configurations.
    "baichuan2-7b": _network("baichuan", 4096, 11_008, 32, 32, vocab_size=125_696),
    "baichuan2-13b": _network("baichuan", 5120, 13_696, 40, 40, vocab_size=125_696, alibi=True),
    # Zeng et al. 2023, section 2.1 and table 11, and the released configuration.
    "glm-130b": _network("glm", 12_288, 32_768, 70, 96, vocab_size=150_528),
    # DeepSeek-AI 2024 (V2), section 3.1.2; DeepSeek-AI 2024 (V3), section 4.2, without multi-token prediction.
    "deepseek-v2-236b": _network(
        "deepseek-v2",
        *(5120, 12_288, 60, 128),
        vocab_size=102_400,
        q_lora_rank=1536,
        moe_intermediate_size=1536,
        n_group=8,
        topk_group=3,
        routed_scaling_factor=16.0,
    ),
    "deepseek-v3-671b": _network(
        "deepseek-v3",
        *(7168, 18_432, 61, 128),
        vocab_size=129_280,
        q_lora_rank=1536,
        moe_intermediate_size=2048,
        n_group=8,
        topk_group=4,
    ),
    # Biderman et al. 2023, table 1, and the released configurations; Black et al. 2022, section 2.
    "pythia-70m": _gpt_neox(512, 6, 8),
    "pythia-160m": _gpt_neox(768, 12, 12),
    "pythia-410m": _gpt_neox(1024, 24, 16),
    "pythia-1b": _gpt_neox(2048, 16, 8),
    "pythia-1.4b": _gpt_neox(2048, 24, 16),
    "pythia-2.8b": _gpt_neox(2560, 32, 32),
    "pythia-6.9b": _gpt_neox(4096, 32, 32, vocab_size=50_432),
    "pythia-12b": _gpt_neox(5120, 36, 40, vocab_size=50_688),
    "gpt-neox-20b": _gpt_neox(6144, 44, 64, vocab_size=50_432),
    # Zhang et al. 2022, table 1.
    "opt-125m": _opt(768, 12, 12),
    "opt-1.3b": _opt(2048, 24, 32),
    "opt-6.7b": _opt(4096, 32, 32),
    "opt-13b": _opt(5120, 40, 40),
    "opt-175b": _opt(12_288, 96, 96),
    # Almazrouei et al. 2023, and the released configurations.
    "falcon-7b": _falcon(4544, 32, 71, num_key_value_heads=1),
    "falcon-40b": _falcon(8192, 60, 128, num_key_value_heads=8),
    "falcon-180b": _falcon(14_848, 80, 232, num_key_value_heads=8),
}


def family_of(model: Model) -> ModelFamily | None:
    """Return the family of a model; None where its preset isn't known."""
    if model.preset is not None and model.preset not in PRESETS:
        return model.family
    return model.family or (PRESETS[model.preset].family if model.preset else "llama")


def required_sizes(family: ModelFamily | None) -> tuple[str, ...]:
    """Return the fields that a model of the family must have where it has no preset."""
    return (*REQUIRED_WITHOUT_PRESET, *(("moe_intermediate_size",) if family in SMALL_EXPERT_FAMILIES else ()))


def architecture(model: Model) -> Architecture:
    """Return the architecture that `model` describes: its preset's, with the fields set in `model` in place.

    Raises:
        KeyError: The preset isn't known.
        ValueError: There's no preset and a required size is missing.
    """
    base = PRESETS[model.preset] if model.preset else None
    family = model.family or (base.family if base else "llama")
    given = {name: getattr(model, name) for name in FIELDS_OF_FAMILY[family] if getattr(model, name) is not None}
    if base is None or base.family != family:
        missing = [name for name in required_sizes(family) if name not in given]
        if missing:
            raise ValueError(f"{', '.join(missing)} missing")
        if family == "t5":
            given.setdefault("num_decoder_layers", given["num_hidden_layers"])
        sizes = [given.pop(name) for name in REQUIRED_WITHOUT_PRESET]
        return _network(family, *sizes, **given)
    if "head_dim" not in given and ("hidden_size" in given or "num_attention_heads" in given):
        hidden = given.get("hidden_size", base.hidden_size)
        given["head_dim"] = hidden // given.get("num_attention_heads", base.num_attention_heads)
    if "num_attention_heads" in given and "num_key_value_heads" not in given:
        given["num_key_value_heads"] = given["num_attention_heads"]
    if base.num_decoder_layers and "num_hidden_layers" in given:
        given.setdefault("num_decoder_layers", given["num_hidden_layers"])
    return replace(base, **given)
