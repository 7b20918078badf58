"""Baichuan-2 with ALiBi, which transformers doesn't know, against the authors' formulas; its normalised projection."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import LENGTH, inputs, numbers, stirred, tiny
from torch import Tensor
from torch.nn import functional

from pretrain_trainer.models.baichuan import BaichuanForCausalLM

SLOPES = {
    4: [2**-2, 2**-4, 2**-6, 2**-8],
    6: [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3],
}
"""Press et al. 2022, section 3; of six heads those of four, and every other one of eight."""


def rms_norm(hidden: Tensor, weight: Tensor) -> Tensor:
    return weight * hidden * (hidden.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


def written_out(tensors: dict[str, Tensor], tokens: Tensor, heads: int, layers: int) -> Tensor:
    """Return the logits as the released modeling_baichuan.py of the 13B model computes them from its weights: biases of
    slope * key position on the scores, W_pack unpacked, the rows of the output projection normalised."""
    hidden = tensors["model.embed_tokens.weight"][tokens]
    batch, length, size = hidden.shape
    future = torch.full((length, length), -torch.inf).triu(1)
    mask = torch.tensor(SLOPES[heads])[:, None, None] * torch.arange(length) + future
    for layer in range(layers):
        weights = {name.removeprefix(f"model.layers.{layer}."): tensor for name, tensor in tensors.items()}
        normed = rms_norm(hidden, weights["input_layernorm.weight"])
        projected = (normed @ weights["self_attn.W_pack.weight"].T).unflatten(-1, (3, heads, size // heads))  # type: ignore[no-untyped-call]
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        scores = query @ key.mT / (size // heads) ** 0.5 + mask
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, size)
        hidden = hidden + mixed @ weights["self_attn.o_proj.weight"].T
        normed = rms_norm(hidden, weights["post_attention_layernorm.weight"])
        gate, up = (normed @ weights[f"mlp.{name}_proj.weight"].T for name in ("gate", "up"))
        hidden = hidden + (functional.silu(gate) * up) @ weights["mlp.down_proj.weight"].T
    normed = rms_norm(hidden, tensors["model.norm.weight"])
    rows = tensors["lm_head.weight"]
    return normed @ (rows / rows.norm(dim=1, keepdim=True)).T


def exported(network: BaichuanForCausalLM) -> dict[str, Tensor]:
    pairs = ((name, value.detach()) for name, value in network.named_parameters())
    return {key: tensor for name, value in pairs for key, tensor in network.exported(name, value).items()}


def network(**changes: object) -> BaichuanForCausalLM:
    made = stirred(tiny("baichuan", **changes)).eval()
    assert isinstance(made, BaichuanForCausalLM)
    return made


@pytest.mark.parametrize("heads", [4, 6])
def test_logits_are_those_of_the_authors_formulas(heads: int) -> None:
    made, tokens = network(alibi=True, num_attention_heads=heads), numbers(2, LENGTH)
    with torch.no_grad():
        expected = written_out(exported(made), tokens, heads, layers=3)
        assert expected.abs().max() > 0.5
        torch.testing.assert_close(made(tokens), expected, atol=1e-4, rtol=0)
        again = network(alibi=True, num_attention_heads=heads)
        again.load_state_dict(again.imported(exported(made)))
        torch.testing.assert_close(again(tokens), expected, atol=1e-4, rtol=0)


def test_with_alibi_the_export_has_the_published_format() -> None:
    made = network(alibi=True)
    config = made.hugging_face_config()
    assert (config["model_type"], config["architectures"]) == ("baichuan", ["BaichuanForCausalLM"])
    assert {name for name, _ in made.named_parameters()} == set(exported(made))


def test_the_length_of_a_row_changes_no_logit() -> None:
    made, tokens = network(), numbers(2, LENGTH)
    with torch.no_grad():
        before = made(tokens)
        made.lm_head.weight *= torch.rand(made.lm_head.weight.shape[0], 1) + 0.5
        torch.testing.assert_close(made(tokens), before)


def test_large_logits_cost_in_training() -> None:
    batch = inputs("baichuan", labels=True)
    plain, pulled = network(max_z_loss_coef=0.0), network(max_z_loss_coef=0.1)
    with torch.no_grad():
        logits = plain(batch["input_ids"])[batch["labels"] != -100]
        expected = 0.1 * logits.amax(-1).square().mean()
        torch.testing.assert_close(pulled.train()(**batch) - plain.train()(**batch), expected, atol=1e-5, rtol=1e-4)
        assert pulled.eval()(**batch) == plain.eval()(**batch)


def test_initial_rows_are_as_long_as_in_the_released_code() -> None:
    """Uniform between ±1 / sqrt(hidden_size): a mean square of 1 / 3 for the whole row."""
    rows = tiny("baichuan").get_parameter("lm_head.weight")
    assert rows.square().sum(1).mean().item() == pytest.approx(1 / 3, rel=0.05)
