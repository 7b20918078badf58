"""Published models by name: network, context, training tokens, documented settings.

`pretrain estimate` and `pretrain presets` know all of them. What a job may name as `spec.model.preset` is
`pretrain_api.presets.PRESETS` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from pretrain_api.estimates.families import from_architecture
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


def _preset(
    name: str, context: int, source: str, tokens: int | None = None, settings: str | None = None
) -> PublishedModel:
    return PublishedModel(name, from_architecture(PRESETS[name]), context, source, tokens, settings)


def _llama_models() -> Iterator[PublishedModel]:
    first, second = "Touvron et al. 2023, LLaMA, table 2", "Touvron et al. 2023, Llama 2, table 1"
    third, trillion = "Dubey et al. 2024, Llama 3, table 3", 10**12
    for name, context, source, tokens, settings in (
        ("llama-7b", 2048, first, trillion, "LLaMA 7B, 13B"),
        ("llama-13b", 2048, first, trillion, "LLaMA 7B, 13B"),
        ("llama-33b", 2048, first, 1_400 * 10**9, "LLaMA 33B, 65B"),
        ("llama-65b", 2048, first, 1_400 * 10**9, "LLaMA 33B, 65B"),
        ("llama2-7b", 4096, second, 2 * trillion, "LLaMA-2 7B, 13B"),
        ("llama2-13b", 4096, second, 2 * trillion, "LLaMA-2 7B, 13B"),
        ("llama2-70b", 4096, second, 2 * trillion, "LLaMA-2"),
        ("llama3-8b", 8192, third, 15 * trillion, None),
        ("llama3-70b", 8192, third, 15 * trillion, None),
    ):
        yield _preset(name, context, source, tokens, settings)


def _gpt_models() -> Iterator[PublishedModel]:
    source = "Radford et al. 2019, GPT-2, table 2, and its released weights"
    for name in ("gpt2-124m", "gpt2-350m", "gpt2-774m", "gpt2-1.5b"):
        yield _preset(name, 1024, source)
    yield _preset("gpt3-175b", 2048, "Brown et al. 2020, GPT-3, tables 2.1 and D.1", 300 * 10**9, "GPT-3")


def _bert_and_t5_models() -> Iterator[PublishedModel]:
    source = "Devlin et al. 2019, BERT, section 3 and appendix A.2"
    for name in ("bert-base", "bert-large"):
        yield _preset(name, 512, source, 128 * 10**9, "BERT")
    for name in ("small", "base", "large", "3b", "11b"):
        source = "Raffel et al. 2020, T5, section 3.7, and its released weights"
        yield _preset(f"t5-{name}", 512, source, 10**12, "T5")
        newer = {"3b": "xl", "11b": "xxl"}.get(name, name)
        yield _preset(f"t5-v1.1-{newer}", 512, "T5 1.1: the released configurations", None, "T5")


def _gpt_like_models() -> Iterator[PublishedModel]:
    source = "Scao et al. 2022, BLOOM, table 3"
    for name in ("560m", "1b1", "1b7", "3b", "7b1"):
        yield _preset(f"bloom-{name}", 2048, source, 341 * 10**9)
    yield _preset("bloom-176b", 2048, source, 366 * 10**9, "BLOOM")
    source = "Zhang et al. 2022, OPT, table 1"
    for name in ("125m", "1.3b", "6.7b", "13b", "175b"):
        yield _preset(f"opt-{name}", 2048, source, 180 * 10**9, "OPT" if name == "175b" else None)
    source = "Zeng et al. 2023, GLM-130B, and its released configuration"
    yield _preset("glm-130b", 2048, source, 400 * 10**9, "GLM-130B")
    source = "Almazrouei et al. 2023, Falcon, and its released configurations"
    yield _preset("falcon-7b", 2048, source, 1_500 * 10**9)
    yield _preset("falcon-40b", 2048, source, 1_000 * 10**9)
    yield _preset("falcon-180b", 2048, source, 3_500 * 10**9, "Falcon")


def _pythia_models() -> Iterator[PublishedModel]:
    source = "Biderman et al. 2023, Pythia, table 1"
    for name in ("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"):
        yield _preset(f"pythia-{name}", 2048, source, 299_892_736_000, "Pythia")
    yield _preset("gpt-neox-20b", 2048, "Black et al. 2022, GPT-NeoX-20B, section 2", 472 * 10**9)


def _qwen_models() -> Iterator[PublishedModel]:
    for size in ("0.5b", "1.8b", "4b", "7b", "14b", "32b", "72b"):
        yield _preset(f"qwen1.5-{size}", 32_768, "Qwen1.5: the released configurations", None, "Qwen-1.5")


def _llama_like_models() -> Iterator[PublishedModel]:
    trillion = 10**12
    source = "Yang et al. 2023, Baichuan 2, and its released configurations"
    for name, row in (("baichuan2-7b", "Baichuan-2 7B"), ("baichuan2-13b", "Baichuan-2")):
        yield _preset(name, 4096, source, 2_600 * 10**9, row)
    internlm = "Cai et al. 2024, InternLM2, and its released configurations"
    deepseek = "Bi et al. 2024, DeepSeek LLM, table 2"
    yi = "Young et al. 2024, Yi, and its released configurations"
    for name, context, source, tokens, settings in (
        ("internlm2-1.8b", 32_768, internlm, None, "InternLM-2"),
        ("internlm2-7b", 32_768, internlm, None, "InternLM-2"),
        ("internlm2-20b", 32_768, internlm, None, "InternLM-2"),
        ("deepseek-7b", 4096, deepseek, 2 * trillion, None),
        ("deepseek-67b", 4096, deepseek, 2 * trillion, "DeepSeek"),
        ("yi-6b", 4096, yi, 3_100 * 10**9, "Yi"),
        ("yi-34b", 4096, yi, 3_100 * 10**9, "Yi"),
    ):
        yield _preset(name, context, source, tokens, settings)


def _mixture_models() -> Iterator[PublishedModel]:
    source = "Jiang et al. 2024, Mixtral of Experts, table 1"
    yield _preset("mixtral-8x7b", 32_768, source)
    yield _preset("mixtral-8x22b", 65_536, "Mixtral 8x22B: the released configuration")
    source = "Dai et al. 2024, DeepSeekMoE, and its released configuration"
    yield _preset("deepseek-moe-16b", 4096, source, 2 * 10**12)
    source = "DeepSeek-AI 2024, DeepSeek-V2, section 3.1.2"
    yield _preset("deepseek-v2-236b", 4096, source, 8_100 * 10**9)
    source = "DeepSeek-AI 2024, DeepSeek-V3, section 4.2; without the multi-token prediction module"
    yield _preset("deepseek-v3-671b", 4096, source, 14_800 * 10**9)


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
