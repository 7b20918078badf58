from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pretrain_api.spec.model import Model
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.cross_entropy import IGNORED_TARGET, linear_cross_entropy
from pretrain_trainer.models.families import build_model, count_parameters, flops_per_token, initialize
from pretrain_trainer.models.llama import LlamaForCausalLM

SIZES = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6}


def tiny(recompute: str = "none", **changes: object) -> LlamaForCausalLM:
    model = build_model(Model.model_validate(SIZES | changes), vocab_size=101, sequence_length=32, recompute=recompute)
    initialize(model, seed=7)
    return model


def tokens(length: int = 33) -> torch.Tensor:
    return torch.randint(0, 101, (2, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("llama-7b", 6_738_415_616),
        ("llama-13b", 13_015_864_320),
        ("llama-33b", 32_528_943_616),
        ("llama-65b", 65_285_660_672),
        ("llama2-70b", 68_976_648_192),
    ],
)
def test_published_parameter_counts(preset: str, parameters: int) -> None:
    model = build_model(Model(preset=preset), vocab_size=32_000, sequence_length=2048, device="meta")
    assert count_parameters(model) == parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_key_value_heads": 2},
        {"num_key_value_heads": 1, "head_dim": 16},
        {"tie_word_embeddings": True},
        {"rope_theta": 500_000.0, "rms_norm_eps": 1e-6},
    ],
    ids=["plain", "grouped", "one-group-wide-heads", "tied", "theta"],
)
def test_logits_are_those_of_transformers(changes: dict[str, object]) -> None:
    from transformers import LlamaConfig
    from transformers import LlamaForCausalLM as Reference

    model = tiny(**changes)
    for parameter in model.parameters():  # make all weights count, norms too
        parameter.data.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.2)
    reference = Reference(LlamaConfig(**model.config.to_hugging_face(), attn_implementation="eager")).eval()
    missing, unexpected = reference.load_state_dict(model.state_dict(), strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    with torch.no_grad():
        expected, found = reference(tokens()).logits, model(tokens())
    assert expected.abs().max() > 0.5
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("recompute", ["selective", "full"])
def test_recomputation_changes_nothing(recompute: str) -> None:
    gradients = []
    for mode in ("none", recompute):
        model = tiny(mode).train()
        loss = model(tokens()[:, :-1], tokens()[:, 1:])
        loss.backward()
        gradients.append([loss.detach(), *(parameter.grad for parameter in model.parameters())])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)


def test_the_future_is_not_seen() -> None:
    model = tiny().eval()
    changed = tokens().clone()
    changed[:, 20:] = 0
    with torch.no_grad():
        torch.testing.assert_close(model(tokens())[:, :20], model(changed)[:, :20])


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


def test_the_first_loss_is_that_of_guessing() -> None:
    assert tiny()(tokens()[:, :-1], tokens()[:, 1:]).item() == pytest.approx(
        torch.log(torch.tensor(101.0)).item(), abs=0.05
    )


@pytest.mark.parametrize("chunk_elements", [101 * 5, 1 << 22], ids=["chunks", "one chunk"])
def test_fused_cross_entropy_is_cross_entropy(monkeypatch: pytest.MonkeyPatch, chunk_elements: int) -> None:
    monkeypatch.setattr("pretrain_trainer.models.cross_entropy.CHUNK_ELEMENTS", chunk_elements)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 9, 16, generator=generator, requires_grad=True)
    weight = torch.randn(101, 16, generator=generator, requires_grad=True)
    targets = torch.randint(0, 101, (3, 9), generator=generator)
    targets[0, :4] = IGNORED_TARGET
    expected = functional.cross_entropy((hidden @ weight.T).flatten(0, 1), targets.flatten())
    expected_gradients = torch.autograd.grad(3.0 * expected, (hidden, weight))
    found = linear_cross_entropy(hidden, weight, targets)
    found_gradients = torch.autograd.grad(3.0 * found, (hidden, weight))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found_gradients, expected_gradients)


def test_cross_entropy_of_no_target_is_zero() -> None:
    hidden, weight = torch.randn(4, 8), torch.randn(10, 8)
    assert linear_cross_entropy(hidden, weight, torch.full((4,), IGNORED_TARGET)).item() == 0


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
