"""Documented training hyper-parameters."""

from __future__ import annotations

import pytest

from pretrain_api.estimates import documented_settings, preset_document, published_models
from pretrain_api.presets import PRESETS

TABLE = {
    # model: batch, peak learning rate, optimizer, weight decay, gradient clip
    "GPT-3": ("32K->3.2M", 6e-5, "Adam", "0.1", 1.0),
    "PanGu-alpha": (None, 2e-5, "Adam", "0.1", None),
    "OPT": ("2M", 1.2e-4, "AdamW", "0.1", None),
    "PaLM": ("1M->4M", 1e-2, "Adafactor", "lr^2", 1.0),
    "BLOOM": ("4M", 6e-5, "Adam", "0.1", 1.0),
    "MT-NLG": ("64K->3.75M", 5e-5, "Adam", "0.1", 1.0),
    "Gopher": ("3M->6M", 4e-5, "Adam", None, 1.0),
    "Chinchilla": ("1.5M->3M", 1e-4, "AdamW", None, None),
    "Galactica": ("2M", 7e-6, "AdamW", "0.1", 1.0),
    "LaMDA": ("256K", None, None, None, None),
    "Jurassic-1": ("32K->3.2M", 6e-5, None, None, None),
    "LLaMA-2": ("4M", 1.5e-4, "AdamW", "0.1", 1.0),
    "Pythia": ("2M", 1.4e-4, "Adam", "0.01", 1.0),
    "Baichuan-2": (None, 1.5e-4, "AdamW", "0.1", 0.5),
    "Baichuan-2 7B": (None, 2e-4, "AdamW", "0.1", 0.5),
    "Qwen-1.5": ("4M", 3e-4, "AdamW", "0.1", 1.0),
    "InternLM-2": ("5M", 3e-4, "AdamW", "0.1", None),
    "Falcon": ("warmup->4M", 1.25e-4, "AdamW", "0.1", 0.4),
    "DeepSeek": ("18M", 3.2e-4, "AdamW", "0.1", 1.0),
    "Yi": ("256K", 1e-5, "AdamW", "0.1", 1.0),
    "YuLan": ("4.5M", 3e-4, "Adam", "0.1", 1.0),
    "GLM-130B": ("0.4M->8.25M", 8e-5, "AdamW", "0.1", 1.0),
    "T5": ("64K", 1e-2, "Adafactor", None, None),
}


@pytest.mark.parametrize("model", TABLE)
def test_table(model: str) -> None:
    settings = documented_settings()[model].as_json()
    keys = ("batchTokens", "peakLearningRate", "optimizer", "weightDecay", "gradientClip")
    assert tuple(settings[key] for key in keys) == TABLE[model]


def test_every_row_names_its_source() -> None:
    for settings in documented_settings().values():
        assert any(character.isdigit() for character in settings.source), settings.model


def test_presets_point_at_rows_that_exist() -> None:
    for model in published_models().values():
        assert model.settings is None or model.settings in documented_settings(), model.name
        assert model.source


def test_families_are_those_that_a_job_may_name() -> None:
    for name, preset in PRESETS.items():
        assert published_models()[name].network.family == preset.family, name


def test_required_presets_are_there() -> None:
    required = (
        "llama-7b llama-13b llama-33b llama-65b llama2-7b llama2-70b gpt2-124m gpt2-350m gpt2-774m gpt2-1.5b gpt3-175b "
        "bert-base bert-large t5-small t5-base t5-large bloom-176b opt-175b glm-130b mixtral-8x7b"
    )
    assert set(required.split()) <= set(published_models())


def test_preset_document() -> None:
    document = preset_document(published_models()["gpt3-175b"])
    assert document["documentedSettings"]["batchTokens"] == "32K->3.2M"
    assert document["trainable"] is True
    assert preset_document(published_models()["bloom-176b"])["trainable"] is True
    assert preset_document(published_models()["deepseek-v3-671b"])["trainable"] is True
    assert preset_document(published_models()["opt-175b"])["trainable"] is True
    assert preset_document(published_models()["gpt2-124m"])["documentedSettings"] is None
