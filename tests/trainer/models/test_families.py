"""Every family against transformers' class of it, and what all families have to keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_networks import DECODERS, FAMILIES, LENGTH, VOCABULARY, inputs, numbers, stirred, tiny
from torch import Tensor

from pretrain_api.estimates import published_models
from pretrain_api.estimates.families import from_architecture
from pretrain_api.estimates.flops import training_flops
from pretrain_api.presets import PRESETS
from pretrain_api.spec.model import Model
from pretrain_api.spec.objective import Objective
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.families import build_model, count_parameters, flops_per_token
from pretrain_trainer.models.network import Network

PAIRS = {"type": "masked-lm", "sentencePairs": "nsp"}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    "llama": ("llama", {}, None),
    "llama-grouped": ("llama", {"num_key_value_heads": 2}, None),
    "llama-one-group-wide-heads": ("llama", {"num_key_value_heads": 1, "head_dim": 16}, None),
    "llama-tied": ("llama", {"tie_word_embeddings": True}, None),
    "llama-theta": ("llama", {"rope_theta": 500_000.0, "rms_norm_eps": 1e-6}, None),
    "qwen": ("llama", {"query_key_value_bias": True}, None),
    "gpt2": ("gpt2", {}, None),
    "gpt2-parted": ("gpt2", {"tie_word_embeddings": False, "max_position_embeddings": 40}, None),
    "bert": ("bert", {}, None),
    "bert-pairs": ("bert", {"max_position_embeddings": 40}, PAIRS),
    "t5": ("t5", {}, None),
    "t5-narrow": ("t5", {"head_dim": 4, "num_decoder_layers": 2}, None),
    "t5-newer": ("t5", {"feed_forward": "gated-gelu", "tie_word_embeddings": False}, None),
    "mixtral": ("mixtral", {"num_key_value_heads": 2}, None),
    "mixtral-many": ("mixtral", {"num_local_experts": 6, "num_experts_per_tok": 3}, None),
    "bloom": ("bloom", {"num_attention_heads": 4, "intermediate_size": 192}, None),
    "bloom-six-heads": ("bloom", {"num_attention_heads": 6, "intermediate_size": 192, "layer_norm_eps": 1e-4}, None),
    "deepseek-moe": ("deepseek-moe", {"num_key_value_heads": 2}, None),
    "deepseek-moe-two-dense": ("deepseek-moe", {"first_k_dense_replace": 2, "n_shared_experts": 1}, None),
    "deepseek-moe-wide-heads": ("deepseek-moe", {"head_dim": 16, "first_k_dense_replace": 0}, None),
    "deepseek-v2": ("deepseek-v2", {"q_lora_rank": 16}, None),
    "deepseek-v2-groups": (
        "deepseek-v2",
        {"n_group": 4, "topk_group": 2, "routed_scaling_factor": 16.0, "first_k_dense_replace": 2},
        None,
    ),
    "deepseek-v3": ("deepseek-v3", {"n_group": 4, "topk_group": 2, "q_lora_rank": 16}, None),
    "deepseek-v3-plain": ("deepseek-v3", {"rope_theta": 500.0, "tie_word_embeddings": True}, None),
    "baichuan": ("baichuan", {"rope_theta": 500.0}, None),
    "bloom-parted": ("bloom", {"intermediate_size": 192, "tie_word_embeddings": False}, None),
    "gpt-neox": ("gpt-neox", {}, None),
    "gpt-neox-tied-half": (
        "gpt-neox",
        {"tie_word_embeddings": True, "partial_rotary_factor": 0.5, "rope_theta": 500.0, "layer_norm_eps": 1e-4},
        None,
    ),
    "opt": ("opt", {}, None),
    "opt-parted": ("opt", {"tie_word_embeddings": False, "max_position_embeddings": 40}, None),
    "falcon": ("falcon", {"num_key_value_heads": 1}, None),
    "falcon-grouped": ("falcon", {"num_key_value_heads": 2, "layer_norm_eps": 1e-4, "rope_theta": 500.0}, None),
    "falcon-plain-parted": ("falcon", {"tie_word_embeddings": False}, None),
    "gpt-neox-whole-heads": ("gpt-neox", {"partial_rotary_factor": 1.0, "num_attention_heads": 3}, None),
}


def exported_weights(network: Network) -> dict[str, Tensor]:
    """Return the tensors of the network's export."""
    parameters = [(name, value.detach()) for name, value in network.named_parameters() if network.exports(name)]
    return {key: tensor for name, value in parameters for key, tensor in network.exported(name, value).items()}


def in_transformers(network: Network, directory: Path) -> Any:
    """Return the network as transformers reads it from files like those of an export."""
    import transformers

    config = network.hugging_face_config()
    (name,) = config["architectures"]
    weights = exported_weights(network)
    save_file(weights, directory / "model.safetensors", {"format": "pt"})
    made = transformers.AutoConfig.for_model(**config)
    made.save_pretrained(directory)
    options = {"attn_implementation": "eager", "dtype": torch.float32, "output_loading_info": True}
    reference, loading = getattr(transformers, name).from_pretrained(directory, **options)
    assert not loading["unexpected_keys"]
    assert not loading["mismatched_keys"]
    assert not loading["missing_keys"]
    return reference.eval()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    """Ours exported gives theirs, and theirs saved gives ours."""
    family, changes, objective = CASES[case]
    network = stirred(tiny(family, objective=objective, **changes)).eval()
    reference = in_transformers(network, tmp_path)
    with torch.no_grad():
        output, found = reference(**inputs(family)), network(**inputs(family))
    expected = output.prediction_logits if objective else output.logits
    assert expected.abs().max() > 0.5
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)

    reference.save_pretrained(tmp_path / "theirs")
    again = tiny(family, objective=objective, **changes).eval()
    theirs = again.imported(load_file(tmp_path / "theirs" / "model.safetensors"))
    missing, _ = again.load_state_dict(theirs, strict=False)
    assert set(missing) <= {"lm_head.weight", "embed_out.weight", "cls.predictions.decoder.weight"}
    with torch.no_grad():
        torch.testing.assert_close(again(**inputs(family)), found, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_judgements_of_pairs_are_those_of_transformers(tmp_path: Path) -> None:
    network = stirred(tiny("bert", objective=PAIRS))
    reference = in_transformers(network, tmp_path).train()
    batch = inputs("bert", labels=True)
    pairs = torch.tensor([0, 1])
    output = reference(**batch, next_sentence_label=pairs)
    torch.testing.assert_close(network.train()(**batch, sentence_labels=pairs), output.loss, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_losses_of_experts_are_those_of_transformers(tmp_path: Path) -> None:
    network = stirred(tiny("mixtral", router_aux_loss_coef=0.5, router_z_loss_coef=0.0)).train()
    reference = in_transformers(network, tmp_path).train()
    batch = inputs("mixtral", labels=True)
    shifted = torch.cat([torch.full((2, 1), -100), batch["labels"][:, :-1]], 1)  # theirs are shifted in the loss
    batch["labels"][:, -1] = -100
    output = reference(batch["input_ids"], labels=shifted, output_router_logits=True)
    loss = network(**batch)
    torch.testing.assert_close(loss, output.loss, atol=1e-5, rtol=0)
    loss.backward()
    output.loss.backward()
    router = network.get_parameter("model.layers.1.block_sparse_moe.gate.weight").grad
    torch.testing.assert_close(router, reference.model.layers[1].mlp.gate.weight.grad, atol=1e-5, rtol=0)
    expected = sum(logits.logsumexp(-1).square().mean() for logits in output.router_logits) / 3
    network.config.__dict__["router_z_loss_coef"] = 2.0
    torch.testing.assert_close(network(**batch) - loss, 2.0 * expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_published_number_of_parameters(name: str) -> None:
    pairs = Objective.model_validate(PAIRS) if name.startswith("bert") else None
    model = build_model(Model(preset=name), 1000, 512, device="meta", objective=pairs)
    assert count_parameters(model) == published_models()[name].network.parameters()


@pytest.mark.parametrize("case", CASES)
def test_estimates_count_the_same_parameters(case: str) -> None:
    family, changes, objective = CASES[case]
    network = tiny(family, objective=objective, **changes)
    estimate = from_architecture(network.config, pretraining_heads=objective == PAIRS)
    assert count_parameters(network) == estimate.parameters()
    assert flops_per_token(network, LENGTH) == training_flops(estimate, 1, LENGTH, "none").model


@pytest.mark.parametrize("recompute", ["selective", "full"])
@pytest.mark.parametrize("family", FAMILIES)
def test_recomputation_changes_nothing(family: str, recompute: str) -> None:
    gradients: list[list[Tensor]] = []
    for mode in ("none", recompute):
        network = stirred(tiny(family, mode)).train()
        loss = network(**inputs(family, labels=True))
        loss.backward()
        gradients.append([loss.detach(), *(p.grad for p in network.parameters() if p.grad is not None)])
    assert len(gradients[0]) == len(list(tiny(family).parameters())) + 1  # all of them learn
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed, atol=1e-6, rtol=1e-5)


SPREAD = {"t5": 0.5, "baichuan": 0.5, "gpt-neox": 0.3}
"""Half the variance of the logits at the beginning, where it isn't near 0 (a normalised output projection has 1,
GPT-NeoX 0.4), and chance."""


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_loss_is_that_of_guessing(family: str) -> None:
    network = tiny(family).eval()
    loss = network(**inputs(family, labels=True)).item()
    assert loss == pytest.approx(torch.log(torch.tensor(float(VOCABULARY))).item(), abs=0.1 + SPREAD.get(family, 0))


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_for_training(family: str) -> None:
    batch = inputs(family, labels=True)
    plain, dropped = stirred(tiny(family)), stirred(tiny(family, dropout=0.3))
    with torch.no_grad():
        assert plain.train()(**batch) == plain.train()(**batch)
        assert dropped.eval()(**batch) == plain.eval()(**batch)
        assert dropped.train()(**batch) != dropped.train()(**batch)


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoder_does_not_see_the_future(family: str) -> None:
    network = stirred(tiny(family)).eval()
    changed = numbers(2, LENGTH)
    changed[:, 20:] = 0
    with torch.no_grad():
        torch.testing.assert_close(network(numbers(2, LENGTH))[:, :20], network(changed)[:, :20])


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_an_encoder_does_not_see_padding(family: str) -> None:
    network, batch = stirred(tiny(family)).eval(), inputs(family)
    changed = batch | {"input_ids": torch.where(batch["attention_mask"] > 0, batch["input_ids"], 5)}
    real = slice(None) if family == "t5" else batch["attention_mask"] > 0
    with torch.no_grad():
        torch.testing.assert_close(network(**batch)[real], network(**changed)[real])


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_samples_without_text_cost_nothing(family: str) -> None:
    """Ranks that have no more validation samples compute one of padding."""
    network, batch = tiny(family).train(), inputs(family, labels=True)
    batch["attention_mask"][:] = 0
    batch["labels"][:] = -100
    loss = network(**batch)
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_positions_must_do_for_the_sequences() -> None:
    with pytest.raises(InvalidConfiguration, match=r"spec\.model\.maxPositionEmbeddings: 16 is less than"):
        tiny("gpt2", max_position_embeddings=16)
