"""GLM-130B, which transformers doesn't know, against the formulas of its paper and released code."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import LENGTH, inputs, numbers, stirred, tiny
from torch import Tensor
from torch.nn import functional

from pretrain_api.estimates.families import from_architecture
from pretrain_trainer.models.families import count_parameters
from pretrain_trainer.models.glm import GlmForCausalLM

HEADS, SIZE, LAYERS = 6, 48, 3


def turned(heads: Tensor) -> Tensor:
    """Return heads [..., length, size] turned: element i and i + size / 2 are a pair (RoPE, base 10,000)."""
    half = heads.shape[-1] // 2
    angle = torch.arange(heads.shape[-2])[:, None] * 10_000.0 ** (-torch.arange(half) / half)
    first, second = heads[..., :half], heads[..., half:]
    return torch.cat((first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()), -1)


def written_out(weights: dict[str, Tensor], tokens: Tensor, prefix: int) -> Tensor:
    """Return the logits as the released code computes them: the normalised input of a part passes beside it,
    sqrt(2 * layers) times as large, and the embedding projects at the end."""

    def normed(hidden: Tensor, name: str) -> Tensor:
        return functional.layer_norm(hidden, (SIZE,), weights[f"{name}.weight"], weights[f"{name}.bias"])

    def linear(hidden: Tensor, name: str) -> Tensor:
        return hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    hidden, batch = weights["transformer.word_embeddings.weight"][tokens], tokens.shape[0]
    place = torch.arange(LENGTH)
    hidden_keys = (place > place[:, None]) & (place >= prefix)
    for layer in (f"transformer.layers.{number}" for number in range(LAYERS)):
        hidden = normed(hidden, f"{layer}.input_layernorm")
        projected = linear(hidden, f"{layer}.attention.query_key_value").view(batch, LENGTH, HEADS, -1).transpose(1, 2)
        query, key, value = projected.chunk(3, -1)
        scores = turned(query) @ turned(key).mT / (SIZE / HEADS) ** 0.5
        mixed = scores.masked_fill(hidden_keys, -10_000.0).softmax(-1) @ value
        attended = linear(mixed.transpose(1, 2).reshape(batch, LENGTH, SIZE), f"{layer}.attention.dense")
        hidden = normed((2 * LAYERS) ** 0.5 * hidden + attended, f"{layer}.post_attention_layernorm")
        first, second = linear(hidden, f"{layer}.mlp.dense_h_to_4h").chunk(2, -1)
        inner = linear(first * functional.gelu(second), f"{layer}.mlp.dense_4h_to_h")
        hidden = (2 * LAYERS) ** 0.5 * hidden + inner
    hidden = normed(hidden, "transformer.final_layernorm")
    return hidden @ weights["transformer.word_embeddings.weight"].T


@pytest.mark.parametrize("prefix", [0, 1, 12, LENGTH])
def test_logits_are_those_of_the_authors_formulas(prefix: int) -> None:
    network, tokens = stirred(tiny("glm")).eval(), numbers(2, LENGTH)
    weights = {name: value.detach() for name, value in network.named_parameters()}
    with torch.no_grad():
        expected = written_out(weights, tokens, prefix)
        assert expected.abs().max() > 0.5
        found = network(tokens, prefix_lengths=torch.full((2,), prefix))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_initial_weights_are_those_of_the_paper() -> None:
    """Section 2.1: Xavier normal; of values, the attention's output and the feed-forward (2 * layers)^-0.5 of it."""
    network = tiny("glm", hidden_size=96, intermediate_size=256)
    smaller = (2 * LAYERS) ** -0.5

    def deviation(name: str) -> float:
        return float(network.get_parameter(f"transformer.layers.1.{name}.weight").detach().std())

    packed = network.get_parameter("transformer.layers.1.attention.query_key_value.weight").view(HEADS, 3, 16, 96)
    assert packed[:, :2].std().item() == pytest.approx(96**-0.5, rel=0.05)
    assert packed[:, 2].std().item() == pytest.approx(smaller * 96**-0.5, rel=0.05)
    assert deviation("attention.dense") == pytest.approx(smaller * 96**-0.5, rel=0.05)
    assert deviation("mlp.dense_h_to_4h") == pytest.approx(smaller * (2 / (96 + 256)) ** 0.5, rel=0.05)
    assert deviation("mlp.dense_4h_to_h") == pytest.approx(smaller * (2 / (96 + 256)) ** 0.5, rel=0.05)
    assert network.get_parameter("transformer.word_embeddings.weight").std().item() == pytest.approx(0.02, rel=0.05)
    assert not network.get_parameter("transformer.layers.1.mlp.dense_h_to_4h.bias").any()


def test_gradients_of_embeddings_shrink() -> None:
    network = tiny("glm", tie_word_embeddings=False).train()
    assert isinstance(network, GlmForCausalLM)
    read: list[Tensor] = []
    network.transformer.layers[0].register_forward_pre_hook(lambda _module, given: read.append(given[0]))
    batch = inputs("glm", labels=True)
    loss = network(**batch)
    (whole,) = torch.autograd.grad(loss, read, retain_graph=True)
    loss.backward()
    expected = torch.zeros(101, SIZE).index_add(0, batch["input_ids"].flatten(), 0.1 * whole.flatten(0, 1))
    torch.testing.assert_close(network.get_parameter("transformer.word_embeddings.weight").grad, expected)
    assert torch.equal(read[0], network.transformer.word_embeddings(batch["input_ids"]))


@pytest.mark.parametrize("tied", [True, False])
def test_estimates_count_the_same_parameters(tied: bool) -> None:
    network = tiny("glm", tie_word_embeddings=tied)
    assert count_parameters(network) == from_architecture(network.config).parameters()
