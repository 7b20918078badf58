"""Layers and loss compiled by torch.compile: fewer kernels, which read and write memory less often."""

from __future__ import annotations

import os
import shutil

from torch import nn

from pretrain_trainer.errors import InvalidConfiguration
from pretrain_trainer.models.heads import LanguageModelHead
from pretrain_trainer.models.network import Network

_COMPILERS = {"cpu": ("CXX", "g++", "clang++"), "cuda": ("CC", "gcc", "clang")}
"""By device: the variable that names what Inductor or Triton calls, and the names they look for without it."""


def compile_network(network: Network, device_type: str) -> None:
    """Have the layers and the loss compiled at their first call, in place; names and parameters stay.

    Layers are compiled one by one, not the network as a whole: they share their code, so that compiling takes the same
    time for any depth, and DeepSpeed's hooks around them stay where they are.

    Raises:
        InvalidConfiguration: There's no compiler.
    """
    variable, *names = _COMPILERS[device_type]
    if not any(shutil.which(name) for name in (os.environ.get(variable), *names) if name):
        raise InvalidConfiguration(
            f"spec.training.compile: torch.compile needs a compiler, and there is none of {', '.join(names)}; "
            f"use a trainer image that has one, set {variable}, or write compile: false"
        )
    for layer in layers(network):
        layer.compile()
    for module in network.modules():
        if isinstance(module, LanguageModelHead):
            module.compiled = True


def layers(network: Network) -> list[nn.Module]:
    """Return the layers of all stacks of the network: the elements of its outermost module lists."""
    found: list[nn.Module] = []

    def visit(module: nn.Module) -> None:
        for child in module.children():
            if isinstance(child, nn.ModuleList):
                found.extend(child)
            else:
                visit(child)

    visit(network)
    return found
