"""Small networks of each family, and inputs for them."""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor

from pretrain_api.spec.model import Model, ModelFamily
from pretrain_api.spec.objective import Objective
from pretrain_trainer.models.families import build_model, initialize
from pretrain_trainer.models.network import Network

VOCABULARY, LENGTH, TARGETS = 101, 32, 12
SIZES: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
}
FAMILIES: tuple[ModelFamily, ...] = get_args(ModelFamily)
DECODERS = tuple(family for family in FAMILIES if family not in ("bert", "t5"))
SMALL_EXPERTS: dict[str, Any] = {"moe_intermediate_size": 24, "num_local_experts": 8, "num_experts_per_tok": 3}
LATENT: dict[str, Any] = {"kv_lora_rank": 20, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 10}
SIZES_OF_FAMILY: dict[str, dict[str, Any]] = {
    "deepseek-moe": SMALL_EXPERTS,
    "deepseek-v2": SMALL_EXPERTS | LATENT,
    "deepseek-v3": SMALL_EXPERTS | LATENT | {"first_k_dense_replace": 1},
}


def tiny(family: str, recompute: str = "none", objective: dict[str, Any] | None = None, **changes: Any) -> Network:
    """Return an initialised network; fields of `spec.model` may be changed."""
    spec = Model.model_validate({"family": family, **SIZES, **SIZES_OF_FAMILY.get(family, {}), **changes})
    made = build_model(spec, VOCABULARY, LENGTH, recompute, objective=Objective.model_validate(objective or {}))
    initialize(made, seed=7)
    return made


def stirred(network: Network) -> Network:
    """Make all weights count, norms and biases too."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            scale = 0.1 if parameter.ndim < 2 else 0.5 / parameter.shape[-1] ** 0.5
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return network


def numbers(*shape: int, seed: int = 0, low: int = 0, high: int = VOCABULARY) -> Tensor:
    """Return random token ids."""
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def inputs(family: str, labels: bool = False) -> dict[str, Tensor]:
    """Return a batch of two samples for a family; encoders have padding in the second."""
    batch = {"input_ids": numbers(2, LENGTH)}
    if family in ("bert", "t5"):
        batch["attention_mask"] = (torch.arange(LENGTH) < torch.tensor([[LENGTH], [20]])).long()
    if family == "bert":
        batch["token_type_ids"] = (torch.arange(LENGTH) > 9).long().expand(2, -1)
    if family == "t5":
        batch["decoder_input_ids"] = numbers(2, TARGETS, seed=1)
    if labels:
        batch["labels"] = numbers(2, TARGETS if family == "t5" else LENGTH, seed=2)
        batch["labels"][:, ::3] = -100
    return batch
