"""Memory of one accelerator by part."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import repeat

from pretrain_api.estimates.activations import (
    TRAINER_KERNELS,
    Kernels,
    Microbatch,
    chunk_bytes,
    ends_bytes,
    layer_bytes,
    logits_bytes,
)
from pretrain_api.estimates.flops import Recompute
from pretrain_api.estimates.layers import Layers
from pretrain_api.estimates.network import Network

OPTIMIZER_BYTES = {"bf16": 12, "fp16": 12, "tf32": 8, "fp32": 8}
"""Adam: two FP32 moments, and FP32 weights where the weights themselves are 16 bit (Rajbhandari et al. 2020, 3.1)."""
BUCKET_ELEMENTS = 200_000_000
"""Most elements that DeepSpeed reduces or gathers at a time, as the trainer sets it up."""


@dataclass(frozen=True)
class Layout:
    """How a run is divided over accelerators."""

    gpus: int
    tensor: int = 1
    pipeline: int = 1
    expert: int = 1
    zero: int = 1
    micro_batch_size: int = 1
    recompute: Recompute = "none"
    sequence_parallel: bool = False

    def __post_init__(self) -> None:
        """Refuse a layout that doesn't add up.

        Raises:
            ValueError: The parts don't divide the accelerators.
        """
        if self.gpus % (self.tensor * self.pipeline):
            raise ValueError(
                f"{self.gpus} GPUs aren't a multiple of tensor x pipeline = {self.tensor} x {self.pipeline}; "
                f"take {math.ceil(self.gpus / (self.tensor * self.pipeline)) * self.tensor * self.pipeline}"
            )
        if self.data % self.expert:
            raise ValueError(
                f"{self.data} data-parallel ranks aren't a multiple of expert = {self.expert}; "
                f"take an expert size that divides {self.data}"
            )

    @property
    def data(self) -> int:
        """Copies of the model."""
        return self.gpus // (self.tensor * self.pipeline)


@dataclass(frozen=True)
class Numbers:
    """Number formats: bytes a value."""

    precision: str = "bf16"
    gradient_bytes: int | None = None
    """None: as wide as the weights; 4 where 16-bit gradients accumulate in FP32."""
    as_trainer: bool = False
    """Count what this project's trainer holds under DeepSpeed 0.19, counted tensor by tensor: with ZeRO an FP32 copy of
    the weights whatever their format; gradients of BF16 in FP32, with stage 1 beside the 16-bit ones."""

    @property
    def value_bytes(self) -> int:
        """Bytes of a weight and of an activation."""
        return 2 if self.precision in ("bf16", "fp16") else 4

    def gradients(self, zero: int) -> int:
        """Return the bytes of gradients a parameter, before sharding, with a ZeRO stage."""
        if self.gradient_bytes is not None:
            return self.gradient_bytes
        if self.as_trainer and self.precision == "bf16":
            return {0: 2, 1: 6}.get(zero, 4)
        return self.value_bytes

    def optimizer(self, zero: int) -> int:
        """Return the bytes of optimiser states a parameter, before sharding, with a ZeRO stage."""
        return 12 if self.as_trainer and zero else OPTIMIZER_BYTES[self.precision]

    def bytes_per_parameter(self, zero: int) -> int:
        """Return weights, gradients and optimiser before sharding: 16 with mixed-precision Adam."""
        return self.value_bytes + self.gradients(zero) + self.optimizer(zero)


@dataclass(frozen=True)
class MemoryBytes:
    """Memory of the fullest accelerator at the end of a forward pass, by part."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    """What the layers and what is around them keep for the backward pass."""
    recomputation: float
    """The one layer that full recomputation has computed again."""
    logits: float
    """Logits, or what the chunked loss keeps instead."""
    buffers: float
    """Buckets of ZeRO and of gradient reduction; with stage 3 the gathered weights of two layers."""

    @property
    def total(self) -> float:
        """All parts together, without the CUDA context and fragmentation."""
        return float(sum(getattr(self, part.name) for part in fields(self)))


@dataclass(frozen=True)
class LocalParameters:
    """Parameters of the fullest rank before ZeRO."""

    dense: float
    experts: float
    largest_layer: float


def flat_layers(network: Network) -> list[Layers]:
    """Return the layers one by one, encoder first."""
    groups = sorted(network.layers, key=lambda group: group.stack != "encoder")
    return [layer for group in groups for layer in repeat(group, group.count)]


def local_parameters(network: Network, layout: Layout) -> LocalParameters:
    """Return the parameters of the rank that has most: matrices divided by the tensor size, layers by the pipeline
    size, experts by the expert size; the first stage has the embedding, the last the projection (a copy if tied)."""
    return _local_parameters(network, layout.tensor, layout.pipeline, layout.expert)


@lru_cache(maxsize=1024)
def _local_parameters(network: Network, tensor: int, pipeline: int, expert: int) -> LocalParameters:
    layers = [network.layer_parameters(layer) for layer in flat_layers(network)]
    per_stage = math.ceil(len(layers) / pipeline)
    stages: list[tuple[float, float]] = []
    for first in range(0, len(layers), per_stage):
        part = layers[first : first + per_stage]
        norms = sum(layer.normalization for layer in part)
        dense = norms + (sum(layer.without_experts for layer in part) - norms) / tensor
        experts = sum(layer.experts for layer in part) / (tensor * expert)
        dense += _end_parameters(network, tensor, is_first=first == 0, is_last=first + per_stage >= len(layers))
        stages.append((dense, experts))
    dense, experts = max(stages, key=sum)
    largest = max((layer.without_experts + layer.experts / expert) / tensor for layer in layers)
    return LocalParameters(dense, experts, largest)


def _end_parameters(network: Network, tensor: int, *, is_first: bool, is_last: bool) -> float:
    parts = network.parameters_by_part()
    embedding = network.embedding_size / tensor
    small = sum(parts.get(name, 0) for name in ("positions", "tokenTypes", "relativePositions"))
    total = embedding + small if is_first else 0.0
    if is_last:
        total += network.outer_norms * network.norm_size + network.head_values
        if not network.tied or not is_first:
            total += embedding
    return total


def memory_bytes(
    network: Network,
    layout: Layout,
    sequence_length: int,
    numbers: Numbers,
    kernels: Kernels = TRAINER_KERNELS,
    micro_batches: int = 1,
) -> MemoryBytes:
    """Return the memory of the fullest accelerator.

    Args:
        network: The network.
        layout: How it is divided.
        sequence_length: Tokens a sequence.
        numbers: Number formats.
        kernels: What the layers keep.
        micro_batches: Micro-batches a step and rank; a pipeline's first stage holds as many of them as there are
            stages (1F1B, Narayanan et al. 2021).
    """
    local = local_parameters(network, layout)
    batch = Microbatch(
        sequence_length, layout.micro_batch_size, numbers.value_bytes, layout.tensor, layout.sequence_parallel
    )
    in_flight = min(layout.pipeline, max(1, micro_batches))
    each = {group: layer_bytes(network, group, batch, kernels, layout.recompute) for group in network.layers}
    kept = [each[layer] for layer in flat_layers(network)]
    per_stage = math.ceil(len(kept) / layout.pipeline)
    fullest = max(sum(kept[first : first + per_stage]) for first in range(0, len(kept), per_stage))
    recomputed = max(layer_bytes(network, group, batch, kernels, "none") for group in network.layers)
    if kernels.chunked_loss:
        # Layers are computed again when the loss's chunk is gone: the greater of the two counts.
        recomputed = max(0.0, recomputed - chunk_bytes(network, batch))
    return MemoryBytes(
        weights=numbers.value_bytes * _sharded(local, layout, from_stage=3),
        gradients=numbers.gradients(layout.zero) * _sharded(local, layout, from_stage=2),
        optimizer=numbers.optimizer(layout.zero) * _sharded(local, layout, from_stage=1),
        activations=in_flight * fullest + ends_bytes(network, batch, kernels, in_flight),
        recomputation=recomputed if layout.recompute == "full" else 0.0,
        logits=logits_bytes(network, batch, kernels),
        buffers=_buffer_bytes(local, layout, numbers),
    )


def _sharded(local: LocalParameters, layout: Layout, from_stage: int) -> float:
    """Return the parameters of which a rank keeps something that ZeRO shards from a stage on."""
    if layout.zero < from_stage:
        return local.dense + local.experts
    return local.dense / layout.data + local.experts / (layout.data // layout.expert)


def _buffer_bytes(local: LocalParameters, layout: Layout, numbers: Numbers) -> float:
    if layout.data == 1:
        return 0.0
    bucket = min(BUCKET_ELEMENTS, local.dense + local.experts)
    buckets = numbers.value_bytes * bucket * (2 if layout.zero else 1)
    return buckets + (2 * numbers.value_bytes * local.largest_layer if layout.zero == 3 else 0.0)
