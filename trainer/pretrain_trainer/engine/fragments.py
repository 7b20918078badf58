"""Where each piece of each parameter lives in DeepSpeed's optimisers: one view of ZeRO 0, 1, 2 and 3.

DeepSpeed keeps FP32 masters of the weights, whole (ZeRO 0) or as this rank's part of flat arrays (ZeRO 1 to 3), and the
optimiser's moments beside them. A `Fragment` says which stretch of which parameter a stretch of a master is.
Checkpoints are written and read in these terms, so that they fit any number of ranks and any ZeRO stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Fragment:
    """`length` elements of the parameter `name` from `start` on are those of `masters[master]` from `master_start`
    on."""

    name: str
    start: int
    length: int
    master: int
    master_start: int


@dataclass(frozen=True)
class MasterState:
    """The FP32 weights this rank keeps, in flat arrays, and what they are pieces of."""

    masters: list[Tensor]
    fragments: list[Fragment]


def master_state(engine: Any, rank: int, share: int = 1) -> MasterState:
    """Return the masters of a DeepSpeed engine that this rank answers for.

    Args:
        engine: DeepSpeed's engine.
        rank: This rank.
        share: ZeRO 0 keeps everything everywhere: answer for every `share`-th parameter only.
    """
    names = {parameter: name for name, parameter in engine.module.named_parameters()}
    stage = int(engine.zero_optimization_stage())
    if stage == 3:
        return _partitioned_weights(engine.optimizer, names, rank)
    if stage > 0:
        return _partitioned_optimizer(engine.optimizer, names)
    pairs = list(replicated_pairs(engine))
    masters = [master for _, master in pairs]
    fragments = [
        Fragment(names[parameter], 0, parameter.numel(), index, 0)
        for index, (parameter, _) in enumerate(pairs)
        if index % share == rank % share
    ]
    return MasterState(masters, fragments)


def replicated_pairs(engine: Any) -> list[tuple[nn.Parameter, Tensor]]:
    """Return (parameter, FP32 master) of ZeRO 0; the same tensor twice where training is in FP32."""
    optimizer = engine.optimizer
    if not hasattr(optimizer, "fp32_groups"):
        return [(p, p) for group in optimizer.param_groups for p in group["params"]]
    return [
        (parameter, master)
        for parameters, masters in zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True)
        for parameter, master in zip(parameters, masters, strict=True)
    ]


def _partitioned_optimizer(optimizer: Any, names: dict[nn.Parameter, str]) -> MasterState:
    """ZeRO 1 and 2: a parameter's `_hp_mapping` says which of its elements this rank's flat partition holds, and
    where."""
    flat_name, group_name = "single_partition_of_fp32_groups", "bit16_groups"
    if not hasattr(optimizer, flat_name):  # BF16_Optimizer: ZeRO 1 with FP32 gradient accumulation
        flat_name, group_name = "fp32_groups_flat_partition", "bf16_groups"
    masters = list(getattr(optimizer, flat_name))
    fragments = []
    for index, parameters in enumerate(getattr(optimizer, group_name)):
        for parameter in parameters:
            mapping = parameter._hp_mapping
            if mapping is not None:
                inside, flat = mapping.lp_fragment_address, mapping.hp_fragment_address
                fragments.append(Fragment(names[parameter], inside.start, inside.numel, index, flat.start))
    return MasterState(masters, fragments)


def _partitioned_weights(optimizer: Any, names: dict[Any, str], rank: int) -> MasterState:
    """ZeRO 3: rank r holds the r-th of equal parts of each parameter, the last one padded."""
    fragments = []
    for parameter, name in names.items():
        master, master_start, _ = optimizer.grad_position[optimizer.get_param_id(parameter)]
        part = parameter.ds_tensor.ds_numel
        start = rank * part
        length = min(part, parameter.ds_numel - start)
        if length > 0:
            fragments.append(Fragment(name, start, length, int(master), int(master_start)))
    return MasterState(list(optimizer.fp32_partitioned_groups_flat), fragments)


@torch.no_grad()
def publish_masters(engine: Any) -> None:
    """Bring the weights that the model computes with up to date with the masters; a collective."""
    stage = int(engine.zero_optimization_stage())
    if stage == 0:
        for parameter, master in replicated_pairs(engine):
            if parameter is not master:
                parameter.copy_(master)
    elif stage < 3:
        engine.optimizer.update_lp_params()
    else:
        _publish_partitions(engine)


def _publish_partitions(engine: Any) -> None:
    optimizer = engine.optimizer
    for parameter in engine.module.parameters():
        master, start, length = optimizer.grad_position[optimizer.get_param_id(parameter)]
        flat = optimizer.fp32_partitioned_groups_flat[int(master)]
        parameter.ds_tensor.data.copy_(flat[int(start) : int(start) + int(length)])
    persistent = optimizer.persistent_parameters  # small ones, kept whole on every rank
    if persistent:
        persistent[0].partition(persistent)
        persistent[0].all_gather(persistent)
