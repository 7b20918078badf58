"""Published models by name: network, context, training tokens, documented settings.

`pretrain estimate` and `pretrain presets` know all of them. What a job may name as `spec.model.preset` is
`pretrain_api.presets.PRESETS` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from pretrain_api.estimates.families import (
    bert,
    bloom,
    deepseek_moe,
    falcon,
    from_architecture,
    glm_130b,
    gpt2,
    gpt_neox,
    llama,
    mixtral,
    opt,
    t5,
)
from pretrain_api.estimates.layers import Attention, Experts, FeedForward, LatentAttention
from pretrain_api.estimates.network import Network
from pretrain_api.presets import PRESETS


@dataclass(frozen=True)
class PublishedModel:
    """A model that a paper describes."""

    name: str
    network: Network = field(repr=False)
    context_length: int
    """Tokens a sequence in pre-training."""
    source: str
    training_tokens: int | None = None
    """Tokens of the documented pre-training; None where the publisher doesn't say."""
    settings: str | None = None
    """Row of `documented_settings()`."""

    @property
    def trainable(self) -> bool:
        """Whether this version can train it: a job may name it as spec.model.preset."""
        return self.name in PRESETS


def _llama_models() -> Iterator[PublishedModel]:
    first, second = "Touvron et al. 2023, LLaMA, table 2", "Touvron et al. 2023, Llama 2, table 1"
    for name in PRESETS:
        context, source, tokens, settings = 2048, first, 1_000_000_000_000, "LLaMA 7B, 13B"
        if name in ("llama-33b", "llama-65b"):
            tokens, settings = 1_400_000_000_000, "LLaMA 33B, 65B"
        elif name.startswith("llama2"):
            context, source, tokens = 4096, second, 2_000_000_000_000
            settings = "LLaMA-2" if name == "llama2-70b" else "LLaMA-2 7B, 13B"
        yield PublishedModel(name, from_architecture(PRESETS[name]), context, source, tokens, settings)


def _gpt_models() -> Iterator[PublishedModel]:
    source = "Radford et al. 2019, GPT-2, table 2, and its released weights"
    for name, hidden, layers, heads in (
        ("124m", 768, 12, 12),
        ("350m", 1024, 24, 16),
        ("774m", 1280, 36, 20),
        ("1.5b", 1600, 48, 25),
    ):
        yield PublishedModel(f"gpt2-{name}", gpt2(hidden, layers, heads), 1024, source)
    gpt3 = gpt2(12_288, 96, 96, positions=2048)
    yield PublishedModel("gpt3-175b", gpt3, 2048, "Brown et al. 2020, GPT-3, tables 2.1 and D.1", 300 * 10**9, "GPT-3")


def _bert_and_t5_models() -> Iterator[PublishedModel]:
    source = "Devlin et al. 2019, BERT, section 3 and appendix A.2"
    for name, sizes in (("base", (768, 12, 12)), ("large", (1024, 24, 16))):
        yield PublishedModel(f"bert-{name}", bert(*sizes), 512, source, 128 * 10**9, "BERT")
    for name, first, second in (
        ("small", (512, 2048, 6, 8), (512, 1024, 8, 6)),
        ("base", (768, 3072, 12, 12), (768, 2048, 12, 12)),
        ("large", (1024, 4096, 24, 16), (1024, 2816, 24, 16)),
        ("3b", (1024, 16_384, 24, 32), (2048, 5120, 24, 32)),
        ("11b", (1024, 65_536, 24, 128), (4096, 10_240, 24, 64)),
    ):
        head_dim = 128 if name in ("3b", "11b") else 64
        source = "Raffel et al. 2020, T5, section 3.7, and its released weights"
        yield PublishedModel(f"t5-{name}", t5(*first, head_dim=head_dim), 512, source, 10**12, "T5")
        newer = {"3b": "xl", "11b": "xxl"}.get(name, name)
        yield PublishedModel(
            f"t5-v1.1-{newer}", t5(*second, version="1.1"), 512, "T5 1.1: the released configurations", None, "T5"
        )


def _gpt_like_models() -> Iterator[PublishedModel]:
    source = "Scao et al. 2022, BLOOM, table 3"
    yield PublishedModel("bloom-176b", bloom(14_336, 70, 112), 2048, source, 366 * 10**9, "BLOOM")
    source = "Zhang et al. 2022, OPT, table 1"
    for name, hidden, layers, heads in (
        ("125m", 768, 12, 12),
        ("1.3b", 2048, 24, 32),
        ("6.7b", 4096, 32, 32),
        ("13b", 5120, 40, 40),
        ("175b", 12_288, 96, 96),
    ):
        settings = "OPT" if name == "175b" else None
        yield PublishedModel(f"opt-{name}", opt(hidden, layers, heads), 2048, source, 180 * 10**9, settings)
    source = "Zeng et al. 2023, GLM-130B, and its released configuration"
    yield PublishedModel("glm-130b", glm_130b(), 2048, source, 400 * 10**9, "GLM-130B")
    source = "Almazrouei et al. 2023, Falcon, and its released configurations"
    for name, network, tokens, settings in (
        ("7b", falcon(4544, 32, 71, 1, norms=1), 1_500 * 10**9, None),
        ("40b", falcon(8192, 60, 128, 8), 1_000 * 10**9, None),
        ("180b", falcon(14_848, 80, 232, 8), 3_500 * 10**9, "Falcon"),
    ):
        yield PublishedModel(f"falcon-{name}", network, 2048, source, tokens, settings)


def _pythia_models() -> Iterator[PublishedModel]:
    source = "Biderman et al. 2023, Pythia, table 1"
    for name, hidden, layers, heads, vocab_size in (
        ("70m", 512, 6, 8, 50_304),
        ("160m", 768, 12, 12, 50_304),
        ("410m", 1024, 24, 16, 50_304),
        ("1b", 2048, 16, 8, 50_304),
        ("1.4b", 2048, 24, 16, 50_304),
        ("2.8b", 2560, 32, 32, 50_304),
        ("6.9b", 4096, 32, 32, 50_432),
        ("12b", 5120, 36, 40, 50_688),
    ):
        network = gpt_neox(hidden, layers, heads, vocab_size=vocab_size)
        yield PublishedModel(f"pythia-{name}", network, 2048, source, 299_892_736_000, "Pythia")
    source = "Black et al. 2022, GPT-NeoX-20B, section 2"
    yield PublishedModel("gpt-neox-20b", gpt_neox(6144, 44, 64, vocab_size=50_432), 2048, source, 472 * 10**9)


def _qwen_models() -> Iterator[PublishedModel]:
    source = "Qwen1.5: the released configurations"
    for name, vocab_size, sizes, tied in (
        ("0.5b", 151_936, (1024, 2816, 24, 16), True),
        ("1.8b", 151_936, (2048, 5504, 24, 16), False),
        ("4b", 151_936, (2560, 6912, 40, 20), False),
        ("7b", 151_936, (4096, 11_008, 32, 32), False),
        ("14b", 152_064, (5120, 13_696, 40, 40), False),
        ("32b", 152_064, (5120, 27_392, 64, 40, 8), False),
        ("72b", 152_064, (8192, 24_576, 80, 64), False),
    ):
        network = llama(*sizes, vocab_size=vocab_size, tied=tied, query_key_value_bias=True)
        yield PublishedModel(f"qwen1.5-{name}", network, 32_768, source, None, "Qwen-1.5")


def _llama_like_models() -> Iterator[PublishedModel]:
    trillion = 10**12
    baichuan = "Yang et al. 2023, Baichuan 2, and its released configurations"
    internlm = "Cai et al. 2024, InternLM2, and its released configurations"
    deepseek = "Bi et al. 2024, DeepSeek LLM, table 2"
    yi = "Young et al. 2024, Yi, and its released configurations"
    llama3 = "Dubey et al. 2024, Llama 3, table 3"
    for name, vocab_size, sizes, context, tokens, settings, source in (
        ("llama3-8b", 128_256, (4096, 14_336, 32, 32, 8), 8192, 15 * trillion, None, llama3),
        ("llama3-70b", 128_256, (8192, 28_672, 80, 64, 8), 8192, 15 * trillion, None, llama3),
        ("baichuan2-7b", 125_696, (4096, 11_008, 32, 32), 4096, 2_600 * 10**9, "Baichuan-2", baichuan),
        ("baichuan2-13b", 125_696, (5120, 13_696, 40, 40), 4096, 2_600 * 10**9, "Baichuan-2", baichuan),
        ("internlm2-1.8b", 92_544, (2048, 8192, 24, 16, 8), 32_768, None, "InternLM-2", internlm),
        ("internlm2-7b", 92_544, (4096, 14_336, 32, 32, 8), 32_768, None, "InternLM-2", internlm),
        ("internlm2-20b", 92_544, (6144, 16_384, 48, 48, 8), 32_768, None, "InternLM-2", internlm),
        ("deepseek-7b", 102_400, (4096, 11_008, 30, 32), 4096, 2 * trillion, None, deepseek),
        ("deepseek-67b", 102_400, (8192, 22_016, 95, 64, 8), 4096, 2 * trillion, "DeepSeek", deepseek),
        ("yi-6b", 64_000, (4096, 11_008, 32, 32, 4), 4096, 3_100 * 10**9, "Yi", yi),
        ("yi-34b", 64_000, (7168, 20_480, 60, 56, 8), 4096, 3_100 * 10**9, "Yi", yi),
    ):
        yield PublishedModel(name, llama(*sizes, vocab_size=vocab_size), context, source, tokens, settings)


def _mixture_models() -> Iterator[PublishedModel]:
    source = "Jiang et al. 2024, Mixtral of Experts, table 1"
    yield PublishedModel("mixtral-8x7b", mixtral(4096, 14_336, 32, 32, 8), 32_768, source)
    source = "Mixtral 8x22B: the released configuration"
    yield PublishedModel("mixtral-8x22b", mixtral(6144, 16_384, 56, 48, 8), 65_536, source)
    small = deepseek_moe(
        2048,
        28,
        Attention(16, 16, 128),
        Experts(64, 6, FeedForward(1408), shared=FeedForward(2 * 1408)),
        dense_layers=1,
        dense_intermediate_size=10_944,
    )
    source = "Dai et al. 2024, DeepSeekMoE, and its released configuration"
    yield PublishedModel("deepseek-moe-16b", small, 4096, source, 2 * 10**12)
    second = deepseek_moe(
        5120,
        60,
        LatentAttention(128, 512, 128, 64, 128, query_rank=1536),
        Experts(160, 6, FeedForward(1536), shared=FeedForward(2 * 1536)),
        dense_layers=1,
        dense_intermediate_size=12_288,
    )
    source = "DeepSeek-AI 2024, DeepSeek-V2, section 3.1.2"
    yield PublishedModel("deepseek-v2-236b", second, 4096, source, 8_100 * 10**9)
    third = deepseek_moe(
        7168,
        61,
        LatentAttention(128, 512, 128, 64, 128, query_rank=1536),
        Experts(256, 8, FeedForward(2048), shared=FeedForward(2048), router_bias=True),
        dense_layers=3,
        dense_intermediate_size=18_432,
        vocab_size=129_280,
    )
    source = "DeepSeek-AI 2024, DeepSeek-V3, section 4.2; without the multi-token prediction module"
    yield PublishedModel("deepseek-v3-671b", third, 4096, source, 14_800 * 10**9)


@cache
def published_models() -> dict[str, PublishedModel]:
    """Return all published models by name, family by family."""
    groups = (
        _llama_models,
        _gpt_models,
        _bert_and_t5_models,
        _gpt_like_models,
        _pythia_models,
        _qwen_models,
        _llama_like_models,
        _mixture_models,
    )
    return {model.name: model for group in groups for model in group()}
