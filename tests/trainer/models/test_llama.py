from __future__ import annotations

import pytest
import torch

from pretrain_api.spec.model import Model
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.families import build_model, count_parameters, flops_per_token, initialize
from pretrain_trainer.models.llama import LlamaForCausalLM

SIZES = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6}


def tiny(recompute: str = "none", **changes: object) -> LlamaForCausalLM:
    model = build_model(Model.model_validate(SIZES | changes), vocab_size=101, sequence_length=32, recompute=recompute)
    assert isinstance(model, LlamaForCausalLM)
    initialize(model, seed=7)
    return model


def tokens(length: int = 33) -> torch.Tensor:
    return torch.randint(0, 101, (2, length), generator=torch.Generator().manual_seed(0))


def test_tied_embeddings_are_one_parameter() -> None:
    model = tiny(tie_word_embeddings=True)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert count_parameters(tiny()) - count_parameters(model) == 101 * 48


def test_initial_values_depend_on_seed_and_name_alone() -> None:
    small, deep = tiny(), tiny(num_hidden_layers=4)
    same = "model.layers.1.self_attn.q_proj.weight"
    assert torch.equal(small.state_dict()[same], deep.state_dict()[same])
    other = build_model(Model.model_validate(SIZES), vocab_size=101, sequence_length=32)
    initialize(other, seed=8)
    assert not torch.equal(small.state_dict()[same], other.state_dict()[same])
    assert small.state_dict()["model.embed_tokens.weight"].std().item() == pytest.approx(0.02, rel=0.1)
    output = small.state_dict()["model.layers.0.mlp.down_proj.weight"]
    assert output.std().item() == pytest.approx(0.02 / 6**0.5, rel=0.1)


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match=r"spec\.model\.vocabSize: 100 is less than the tokenizer's 101"):
        build_model(Model.model_validate(SIZES | {"vocab_size": 100}), vocab_size=101, sequence_length=32)


def test_missing_sizes_are_named() -> None:
    with pytest.raises(InvalidConfiguration, match="hidden_size"):
        build_model(Model(num_hidden_layers=2), vocab_size=101, sequence_length=32)


def test_flops_are_six_per_weight_and_attention() -> None:
    model = tiny()
    without_embedding = count_parameters(model) - 101 * 48
    assert flops_per_token(model, 32) == 6 * without_embedding + 12 * 3 * 48 * 32
