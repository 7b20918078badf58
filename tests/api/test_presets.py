"""Parameter counts of the published models, and architectures made from them."""

from __future__ import annotations

import pytest

from pretrain_api.estimates.families import from_architecture
from pretrain_api.presets import PRESETS, architecture
from pretrain_api.spec.model import Model

# The numbers of elements of the published weights; those of all presets are in estimates/test_parameters.py.
PUBLISHED = {
    "llama-7b": 6_738_415_616,
    "llama-13b": 13_015_864_320,
    "llama-33b": 32_528_943_616,
    "llama-65b": 65_285_660_672,
    "llama2-7b": 6_738_415_616,
    "llama2-13b": 13_015_864_320,
    "llama2-70b": 68_976_648_192,
}


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_parameters_of_published_models(name: str, parameters: int) -> None:
    assert from_architecture(PRESETS[name]).parameters() == parameters


def test_the_formula_of_the_literature() -> None:
    # 2VH + H + L(4H^2 + 3HI + 2H)
    vocabulary, hidden, intermediate, layers = 32_000, 4096, 11_008, 32
    by_hand = 2 * vocabulary * hidden + hidden + layers * (4 * hidden**2 + 3 * hidden * intermediate + 2 * hidden)
    assert from_architecture(PRESETS["llama-7b"]).parameters() == by_hand == 6_738_415_616


def test_fields_replace_those_of_the_preset() -> None:
    sizes = architecture(Model(preset="llama-7b", num_hidden_layers=2, vocab_size=1000))
    assert (sizes.num_hidden_layers, sizes.vocab_size, sizes.hidden_size) == (2, 1000, 4096)


def test_heads_follow_from_the_width() -> None:
    sizes = architecture(Model(preset="llama2-70b", hidden_size=1024, num_attention_heads=8))
    assert (sizes.head_dim, sizes.num_key_value_heads) == (128, 8)


def test_tied_embeddings_count_once() -> None:
    tied = architecture(Model(preset="llama-7b", tie_word_embeddings=True))
    whole = from_architecture(PRESETS["llama-7b"]).parameters()
    assert whole - from_architecture(tied).parameters() == 32_000 * 4096


def test_a_vocabulary_is_needed_to_count() -> None:
    sizes = architecture(Model(hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2))
    with pytest.raises(ValueError, match="vocabulary"):
        from_architecture(sizes)
    assert from_architecture(sizes, 10).parameters() == 2 * 10 * 8 + 8 + 4 * 64 + 3 * 8 * 16 + 2 * 8


def test_missing_sizes_are_named() -> None:
    with pytest.raises(ValueError, match="num_hidden_layers"):
        architecture(Model(hidden_size=8, intermediate_size=16, num_attention_heads=2))
