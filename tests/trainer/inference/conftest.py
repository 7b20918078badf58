"""Small networks exported as the trainer does it: real weights, a real tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rank_harness import real_text_blend
from safetensors.torch import save_file

from pretrain_api.spec.model import Model
from pretrain_api.wire import SpecialTokens
from pretrain_trainer.export import export_config
from pretrain_trainer.export_tokenizer import export_tokenizer
from pretrain_trainer.models.families import build_model, initialize
from pretrain_trainer.models.network import Network

VOCABULARY, LENGTH = 600, 48
SIZES = {
    "hiddenSize": 64,
    "intermediateSize": 96,
    "numHiddenLayers": 2,
    "numAttentionHeads": 4,
    "numKeyValueHeads": 2,
    "initializerRange": 0.2,  # so that the tokens differ in what they make likely
}


UNGROUPED = {name: size for name, size in SIZES.items() if name != "numKeyValueHeads"}
FAMILY_SIZES: dict[str, dict[str, Any]] = {
    "llama": SIZES,
    "gpt2": {"family": "gpt2", **UNGROUPED},
    "mixtral": {"family": "mixtral", **SIZES, "numLocalExperts": 4, "numExpertsPerTok": 2},
    "deepseek-moe": {"family": "deepseek-moe", **SIZES, "moeIntermediateSize": 32, "numLocalExperts": 8},
    "deepseek-v3": {
        "family": "deepseek-v3",
        **UNGROUPED,
        "moeIntermediateSize": 32,
        "numLocalExperts": 8,
        "numExpertsPerTok": 2,
        "firstKDenseReplace": 1,
        "kvLoraRank": 32,
        "qkNopeHeadDim": 16,
        "qkRopeHeadDim": 8,
        "vHeadDim": 16,
    },
    "t5": {"family": "t5", **UNGROUPED},
    "bloom": {"family": "bloom", **UNGROUPED, "intermediateSize": 256},
    "bert": {"family": "bert", **UNGROUPED},
    "glm": {"family": "glm", **UNGROUPED},
    "baichuan-alibi": {"family": "baichuan", "alibi": True, **UNGROUPED},
    "baichuan": {"family": "baichuan", **UNGROUPED},
    "gpt-neox": {"family": "gpt-neox", **UNGROUPED},
    "opt": {"family": "opt", **UNGROUPED},
    "falcon": {"family": "falcon", **SIZES},
}


def trained(family: str) -> Network:
    """Return a network of a family."""
    network = build_model(Model.model_validate(FAMILY_SIZES[family]), VOCABULARY, LENGTH)
    initialize(network, seed=3)
    return network.eval()


def export(storage: Path, family: str) -> Path:
    """Export a network of a family as the trainer does it, beside the tokenizer of `storage`."""
    network = trained(family)
    directory = storage / family
    directory.mkdir()
    weights: dict[str, torch.Tensor] = {}
    for name, weight in network.named_parameters():
        if network.exports(name):
            weights |= network.exported(name, weight.detach())
    save_file(weights, directory / "model.safetensors", {"format": "pt"})
    special = SpecialTokens(pad=0, unk=1, bos=2, eos=3)
    (directory / "config.json").write_text(json.dumps(export_config(network, special, torch.float32)))
    export_tokenizer(storage / "data/tokenizer", directory, special, LENGTH)
    return directory


@pytest.fixture(scope="session")
def tokenized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with a tokenizer."""
    storage = tmp_path_factory.mktemp("inference")
    real_text_blend(storage, VOCABULARY)
    return storage


@pytest.fixture(scope="session")
def exported(tokenized: Path) -> Path:
    """An exported LLaMA."""
    return export(tokenized, "llama")
