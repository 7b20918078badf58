"""The trainer's world: how many ranks, and how many of them share the data."""

from __future__ import annotations

from typing import Any

from pretrain_api.spec.job import PretrainJobSpec, Trainer
from pretrain_api.spec.training import BatchStage, Parallelism

GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi", "gpu.intel.com/xe")


def gpus_per_node(trainer: Trainer) -> int | None:
    """Return how many GPUs a trainer pod asks for; None: it asks for none, or for something that isn't a number."""
    for part in ("limits", "requests"):
        resources = trainer.resources_per_node.get(part)
        if isinstance(resources, dict):
            for name in GPU_RESOURCES:
                if name in resources:
                    return _whole_number(resources[name])
    return None


def _whole_number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def processes_per_node(trainer: Trainer) -> int | None:
    """Return how many ranks a trainer pod runs; None: that depends on the CPUs of the machine."""
    if trainer.num_proc_per_node != "auto":
        return trainer.num_proc_per_node
    return gpus_per_node(trainer)


def nodes_of_stage(spec: PretrainJobSpec, stage: BatchStage) -> int:
    """Return the number of trainer pods in a batch stage."""
    return stage.num_nodes or spec.trainer.num_nodes


def model_parallel_size(parallelism: Parallelism) -> int:
    """Return how many ranks hold one copy of the model together: tensor x pipeline."""
    return parallelism.tensor * parallelism.pipeline


def data_parallel_size(world_size: int, parallelism: Parallelism) -> int | None:
    """Return how many copies of the model a world holds; None: the copies don't divide it."""
    size = model_parallel_size(parallelism)
    return None if world_size % size else world_size // size
