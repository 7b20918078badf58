"""Which layouts fit, and how fast each is expected to be.

The speed is a model, good for putting layouts in order: kernels reach KERNEL_UTILIZATION of the peak; a pipeline idles
(p - 1) of m + p - 1 slots (Narayanan et al. 2021, section 2.2); tensor parallelism waits for its all-reduces (two a
layer forward, two backward, two more with full recomputation: Shoeybi et al. 2019); ZeRO's volumes are those of
Rajbhandari et al. 2020, section 7, hidden behind the computation they can overlap with, and rings move (n - 1)/n of the
data a pass; a micro-batch takes no less than the launches of its kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pretrain_api.estimates.activations import Kernels
from pretrain_api.estimates.devices import Device
from pretrain_api.estimates.flops import Recompute, training_flops
from pretrain_api.estimates.layers import Experts
from pretrain_api.estimates.memory import Layout, MemoryBytes, Numbers, local_parameters, memory_bytes
from pretrain_api.estimates.network import Network

KERNEL_UTILIZATION = 0.6
"""Share of the peak that the kernels of large layers reach: FlashAttention and matrix products in BF16."""
USABLE_MEMORY = 0.92
"""Share of the memory to plan with; the rest is for the CUDA context, NCCL and fragmentation."""
LAUNCH_SECONDS_PER_LAYER = 45 * 5e-6
"""About 15 kernels a layer forward and 30 backward, 5 µs each: what keeps tiny micro-batches slow."""
MAX_PIPELINE = 64
MICRO_BATCH_SIZES = (1, 2, 4, 8, 16)
RECOMPUTES: tuple[Recompute, ...] = ("none", "selective", "full")


@dataclass(frozen=True)
class Workload:
    """What is trained, in what portions, on what."""

    network: Network
    sequence_length: int
    batch_sequences: int
    numbers: Numbers
    kernels: Kernels
    device: Device
    peak_flops_per_second: float
    memory_bytes: float


@dataclass(frozen=True)
class LayoutEstimate:
    """A layout, its memory, its expected speed."""

    layout: Layout
    memory: MemoryBytes
    fits: bool
    tokens_per_second: float
    utilization: float
    """Expected MFU: model FLOPs a second as a share of the peak."""


def micro_batches(layout: Layout, batch_sequences: int) -> int:
    """Return the micro-batches a step and rank."""
    return max(1, math.ceil(batch_sequences / (layout.data * layout.micro_batch_size)))


def judge(workload: Workload, layout: Layout) -> LayoutEstimate:
    """Return what a layout needs and how fast it is expected to be."""
    count = micro_batches(layout, workload.batch_sequences)
    memory = memory_bytes(workload.network, layout, workload.sequence_length, workload.numbers, workload.kernels, count)
    step_tokens = workload.batch_sequences * workload.sequence_length
    step_seconds = _step_seconds(workload, layout, count)
    flops = training_flops(workload.network, step_tokens, workload.sequence_length, layout.recompute)
    peak = layout.gpus * workload.peak_flops_per_second
    return LayoutEstimate(
        layout=layout,
        memory=memory,
        fits=memory.total <= USABLE_MEMORY * workload.memory_bytes,
        tokens_per_second=step_tokens / step_seconds,
        utilization=flops.model / (step_seconds * peak),
    )


def _step_seconds(workload: Workload, layout: Layout, count: int) -> float:
    micro_tokens = layout.micro_batch_size * workload.sequence_length
    flops = training_flops(workload.network, micro_tokens, workload.sequence_length, layout.recompute)
    ranks = layout.tensor * layout.pipeline
    computing = flops.executed / (ranks * workload.peak_flops_per_second * KERNEL_UTILIZATION)
    computing = max(computing, LAUNCH_SECONDS_PER_LAYER * workload.network.num_layers / layout.pipeline)
    computing += _tensor_seconds(workload, layout, micro_tokens)
    slots = (count + layout.pipeline - 1) * computing
    return slots + _exposed_data_seconds(workload, layout, count, computing)


def _tensor_seconds(workload: Workload, layout: Layout, micro_tokens: int) -> float:
    size = layout.tensor
    bandwidth = workload.device.link_bytes_per_second
    if size > workload.device.per_machine:
        bandwidth = workload.device.network_bytes_per_second
    all_reduces = (6 if layout.recompute == "full" else 4) * workload.network.num_layers / layout.pipeline
    message = workload.numbers.value_bytes * micro_tokens * workload.network.hidden_size
    return all_reduces * 2 * (size - 1) / size * message / bandwidth


def _exposed_data_seconds(workload: Workload, layout: Layout, count: int, computing: float) -> float:
    """Return the time of gradients and weights on their way that no computation hides."""
    if layout.data == 1:
        return 0.0
    device = workload.device
    neighbours = max(1, min(layout.data, device.per_machine // layout.tensor))
    alone = layout.gpus <= device.per_machine
    bandwidth = device.link_bytes_per_second
    if not alone:
        bandwidth = min(bandwidth, device.network_bytes_per_second * neighbours)
    local = local_parameters(workload.network, layout)
    share = (layout.data - 1) / layout.data
    one_pass = workload.numbers.value_bytes * (local.dense + local.experts) * share / bandwidth
    passes = {2: count + 1, 3: 3 * count}.get(layout.zero, 2)
    hidden = {2: count * computing * 2 / 3, 3: count * computing}.get(layout.zero, computing * 2 / 3)
    return max(0.0, passes * one_pass - hidden)


def runs_in_this_version(layout: Layout) -> bool:
    """Return whether this version's trainer can carry the layout out: data parallelism and ZeRO alone."""
    return layout.tensor == layout.pipeline == layout.expert == 1


def feasible_layouts(
    workload: Workload, gpus: int, recomputes: tuple[Recompute, ...] = RECOMPUTES
) -> list[LayoutEstimate]:
    """Return the layouts of `gpus` accelerators that fit, fastest first: of each division and ZeRO stage the fastest
    micro-batch and, of those given, recomputation."""
    best: dict[tuple[int, ...], LayoutEstimate] = {}
    for layout in _candidates(workload, gpus, recomputes):
        key = (layout.tensor, layout.pipeline, layout.expert, layout.zero)
        estimate = judge(workload, layout)
        if estimate.fits and (key not in best or _rank(estimate) < _rank(best[key])):
            best[key] = estimate
    return sorted(best.values(), key=_rank)


def _rank(estimate: LayoutEstimate) -> tuple[float, ...]:
    """Order by speed; of equally fast layouts the simpler one, then the one with more memory to spare."""
    layout = estimate.layout
    speed = -round(estimate.utilization, 3)
    return (speed, layout.tensor * layout.pipeline * layout.expert, layout.zero, estimate.memory.total)


def _candidates(workload: Workload, gpus: int, recomputes: tuple[Recompute, ...]) -> Iterator[Layout]:
    for tensor, pipeline, expert in _divisions(workload, gpus):
        data = gpus // (tensor * pipeline)
        for zero in range(4):
            if (pipeline > 1 and zero > 1) or (data == 1 and zero > 0):
                continue  # DeepSpeed's pipelines shard the optimiser only; one copy can't be sharded
            for size in MICRO_BATCH_SIZES:
                if data * size > workload.batch_sequences:
                    break
                for recompute in recomputes:
                    yield Layout(gpus, tensor, pipeline, expert, zero, size, recompute, tensor > 1)


def _divisions(workload: Workload, gpus: int) -> Iterator[tuple[int, int, int]]:
    network = workload.network
    for tensor in _powers_of_two(min(workload.device.per_machine, gpus)):
        if any(group.attention.heads % tensor for group in network.layers) or gpus % tensor:
            continue
        for pipeline in _pipeline_sizes(network.num_layers, gpus // tensor):
            data = gpus // (tensor * pipeline)
            for expert in _expert_sizes(network, data):
                yield tensor, pipeline, expert


def _powers_of_two(greatest: int) -> Iterator[int]:
    value = 1
    while value <= greatest:
        yield value
        value *= 2


def _pipeline_sizes(num_layers: int, ranks: int) -> list[int]:
    """Sizes that divide the layers evenly."""
    greatest = min(MAX_PIPELINE, num_layers)
    return [size for size in range(1, greatest + 1) if num_layers % size == 0 and ranks % size == 0]


def _expert_sizes(network: Network, data: int) -> list[int]:
    counts = {group.feed_forward.count for group in network.layers if isinstance(group.feed_forward, Experts)}
    if not counts:
        return [1]
    return [size for size in _powers_of_two(64) if data % size == 0 and all(count % size == 0 for count in counts)]


def fewest_gpus(workload: Workload, at_least: int = 1, at_most: int = 65_536) -> int | None:
    """Return the smallest power of two of accelerators on which some layout fits; None: not even on `at_most`."""
    for gpus in _powers_of_two(at_most):
        if gpus >= at_least and any(judge(workload, layout).fits for layout in _smallest(workload, gpus)):
            return gpus
    return None


def _smallest(workload: Workload, gpus: int) -> Iterator[Layout]:
    """Layouts that need least of each division."""
    for tensor, pipeline, expert in _divisions(workload, gpus):
        data = gpus // (tensor * pipeline)
        if data <= workload.batch_sequences:
            zero = 0 if data == 1 else (1 if pipeline > 1 else 3)
            yield Layout(gpus, tensor, pipeline, expert, zero, 1, "full", tensor > 1)
