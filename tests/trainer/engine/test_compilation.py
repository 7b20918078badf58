"""`training.compile`: the same losses and gradients from kernels that torch.compile makes."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor

from pretrain_api.spec.model import Model
from pretrain_trainer.engine.compilation import compile_network, layers
from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.families import build_model, initialize
from pretrain_trainer.models.network import Network

SIZES = {"hiddenSize": 16, "intermediateSize": 32, "numHiddenLayers": 3, "numAttentionHeads": 2}
LAYERS = {
    "llama": 3,
    "gpt2": 3,
    "bert": 3,
    "t5": 6,
    "mixtral": 3,
    "bloom": 3,
    "deepseek-moe": 3,
    "deepseek-v2": 3,
    "deepseek-v3": 3,
    "gpt-neox": 3,
    "opt": 3,
    "falcon": 3,
}

SMALL = {"moeIntermediateSize": 8, "numLocalExperts": 8, "firstKDenseReplace": 1}
EXPERTS = {"mixtral": {"numLocalExperts": 4}, "deepseek-moe": SMALL, "deepseek-v2": SMALL, "deepseek-v3": SMALL}


def network(family: str) -> Network:
    experts = EXPERTS.get(family, {})
    made = build_model(Model.model_validate({"family": family, **SIZES, **experts}), 100, 16)
    initialize(made, seed=1)
    return made


@pytest.mark.parametrize("family", LAYERS)
def test_the_layers_of_all_stacks_are_compiled_one_by_one(family: str) -> None:
    found = layers(network(family))
    assert len(found) == LAYERS[family]
    assert len({id(layer) for layer in found}) == len(found)


def test_names_and_parameters_stay() -> None:
    compiled = network("llama")
    before = [(name, id(parameter)) for name, parameter in compiled.named_parameters()]
    compile_network(compiled, "cpu")
    assert [(name, id(parameter)) for name, parameter in compiled.named_parameters()] == before


def test_a_missing_compiler_is_named_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InvalidConfiguration, match=r"compile: torch.compile needs a compiler.*gcc.*compile: false"):
        compile_network(network("llama"), "cuda")


def loss_and_gradients(network: Network) -> list[Tensor]:
    tokens = torch.randint(100, (2, 17), generator=torch.Generator().manual_seed(1))
    loss = network(input_ids=tokens[:, :-1], labels=tokens[:, 1:])
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None for gradient in gradients)
    return [loss.detach(), *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor calls g++ on a CPU")
def test_losses_and_gradients_are_those_of_the_uncompiled_network() -> None:
    compiled = network("llama")
    compile_network(compiled, "cpu")
    for found, expected in zip(loss_and_gradients(compiled), loss_and_gradients(network("llama")), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2  # one of all layers, one of the loss
