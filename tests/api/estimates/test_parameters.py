"""Parameter counts against what the publishers say."""

from __future__ import annotations

import pytest

from pretrain_api.estimates import published_models
from pretrain_api.estimates.families import bert, from_architecture, llama
from pretrain_api.presets import PRESETS

# Parameters of the released weights, tied ones once (the metadata of the safetensors files on the publishers' hubs, or
# the sum over the released checkpoint); for Pythia and GPT-NeoX the tables of their model cards.
EXACT = {
    "llama-7b": 6_738_415_616,
    "llama-13b": 13_015_864_320,
    "llama-33b": 32_528_943_616,
    "llama-65b": 65_285_660_672,
    "llama2-7b": 6_738_415_616,
    "llama2-13b": 13_015_864_320,
    "llama2-70b": 68_976_648_192,
    "llama3-8b": 8_030_261_248,
    "llama3-70b": 70_553_706_496,
    "gpt2-124m": 124_439_808,
    "gpt2-350m": 354_823_168,
    "gpt2-774m": 774_030_080,
    "gpt2-1.5b": 1_557_611_200,
    "bert-base": 110_106_428,
    "bert-large": 336_226_108,
    "t5-small": 60_506_624,
    "t5-base": 222_903_552,
    "t5-large": 737_668_096,
    "t5-3b": 2_851_598_336,
    "t5-11b": 11_307_321_344,
    "t5-v1.1-small": 76_961_152,
    "t5-v1.1-base": 247_577_856,
    "t5-v1.1-large": 783_150_080,
    "t5-v1.1-xl": 2_849_757_184,
    "t5-v1.1-xxl": 11_135_332_352,
    "bloom-560m": 559_214_592,
    "bloom-1b1": 1_065_314_304,
    "bloom-1b7": 1_722_408_960,
    "bloom-3b": 3_002_557_440,
    "bloom-7b1": 7_069_016_064,
    "bloom-176b": 176_247_271_424,
    "opt-125m": 125_239_296,
    "opt-1.3b": 1_315_758_080,
    "opt-6.7b": 6_658_473_984,
    "opt-13b": 12_853_473_280,
    "falcon-7b": 6_921_720_704,
    "pythia-70m": 70_426_624,
    "pythia-160m": 162_322_944,
    "pythia-410m": 405_334_016,
    "pythia-1b": 1_011_781_632,
    "pythia-1.4b": 1_414_647_808,
    "pythia-2.8b": 2_775_208_960,
    "pythia-6.9b": 6_857_302_016,
    "pythia-12b": 11_846_072_320,
    "gpt-neox-20b": 20_554_567_680,
    "qwen1.5-0.5b": 463_987_712,
    "qwen1.5-1.8b": 1_836_828_672,
    "qwen1.5-4b": 3_950_369_280,
    "qwen1.5-7b": 7_721_324_544,
    "qwen1.5-14b": 14_167_290_880,
    "qwen1.5-32b": 32_512_218_112,
    "qwen1.5-72b": 72_287_920_128,
    "baichuan2-7b": 7_505_973_248,
    "baichuan2-13b": 13_896_668_160,
    "internlm2-1.8b": 1_889_110_016,
    "internlm2-7b": 7_737_708_544,
    "internlm2-20b": 19_861_149_696,
    "deepseek-7b": 6_910_365_696,
    "yi-6b": 6_061_035_520,
    "yi-34b": 34_388_917_248,
    "mixtral-8x7b": 46_702_792_704,
    "mixtral-8x22b": 140_620_634_112,
    "deepseek-moe-16b": 16_375_728_128,
    "deepseek-v2-236b": 235_741_434_880,
}
# As the papers round them, in billions.
ROUNDED = {
    "gpt3-175b": (174.6, "Brown et al. 2020, table D.1: 174,600 M"),
    "opt-175b": (175, "Zhang et al. 2022"),
    "glm-130b": (128.7, "Zeng et al. 2023 (named 130B); the released code ties the output projection"),
    "falcon-40b": (41, "Almazrouei et al. 2023 (named 40B)"),
    "falcon-180b": (180, "Almazrouei et al. 2023"),
    "deepseek-67b": (67.4, "Bi et al. 2024"),
    "deepseek-v3-671b": (671, "DeepSeek-AI 2024"),
}
# Parameters a token passes, in billions.
ACTIVE = {
    "mixtral-8x7b": (12.9, "Jiang et al. 2024: 13B"),
    "mixtral-8x22b": (39.1, "its announcement: 39B"),
    "deepseek-moe-16b": (2.8, "Dai et al. 2024: 2.8B"),
    "deepseek-v2-236b": (21.4, "DeepSeek-AI 2024: 21B"),
    "deepseek-v3-671b": (37.6, "DeepSeek-AI 2024: 37B, without the embedding"),
}
# Pythia's model cards: parameters without embedding and output projection.
NON_EMBEDDING = {
    "pythia-70m": 18_915_328,
    "pythia-160m": 85_056_000,
    "pythia-410m": 302_311_424,
    "pythia-1b": 805_736_448,
    "pythia-1.4b": 1_208_602_624,
    "pythia-2.8b": 2_517_652_480,
    "pythia-6.9b": 6_444_163_072,
    "pythia-12b": 11_327_027_200,
}


@pytest.mark.parametrize("name", EXACT)
def test_published_weights(name: str) -> None:
    assert published_models()[name].network.parameters() == EXACT[name]


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_in_papers(name: str) -> None:
    assert published_models()[name].network.parameters() / 1e9 == pytest.approx(ROUNDED[name][0], rel=0.01)


def test_every_model_is_checked() -> None:
    assert set(published_models()) == {*EXACT, *ROUNDED}


@pytest.mark.parametrize("name", ACTIVE)
def test_active_parameters(name: str) -> None:
    assert published_models()[name].network.active_parameters() / 1e9 == pytest.approx(ACTIVE[name][0], abs=0.06)


@pytest.mark.parametrize("name", NON_EMBEDDING)
def test_non_embedding_parameters(name: str) -> None:
    assert published_models()[name].network.non_embedding_parameters() == NON_EMBEDDING[name]


@pytest.mark.parametrize(("sizes", "count"), [((768, 12, 12), 109_482_240), ((1024, 24, 16), 335_141_888)])
def test_bert_without_pretraining_heads(sizes: tuple[int, int, int], count: int) -> None:
    assert bert(*sizes, pretraining_heads="none").parameters() == count


def test_formula_of_llama_by_hand() -> None:
    vocabulary, hidden, intermediate, layers = 32_000, 4096, 11_008, 32
    by_hand = 2 * vocabulary * hidden + hidden + layers * (4 * hidden**2 + 3 * hidden * intermediate + 2 * hidden)
    assert llama(hidden, intermediate, layers, 32).parameters() == by_hand == 6_738_415_616


@pytest.mark.parametrize("name", PRESETS)
def test_jobs_and_estimates_agree(name: str) -> None:
    assert published_models()[name].network == from_architecture(PRESETS[name])
    assert published_models()[name].trainable


def test_parts_add_up() -> None:
    for model in published_models().values():
        network = model.network
        assert sum(network.parameters_by_part().values()) == network.parameters()
        assert 0 < network.non_embedding_parameters() < network.active_parameters() <= network.parameters()


def test_vocabulary_must_be_known() -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="vocabulary is not known"):
        from_architecture(replace(PRESETS["llama-7b"], vocab_size=None))
