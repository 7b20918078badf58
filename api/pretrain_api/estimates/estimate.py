"""The estimate of a run: parameters, FLOPs, time, memory, storage, failures, cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pretrain_api.estimates import scaling_laws
from pretrain_api.estimates.failures import (
    GPU_HOURS_BETWEEN_FAILURES,
    FailureRate,
    daly_interval_seconds,
    goodput,
    young_interval_seconds,
)
from pretrain_api.estimates.flops import TrainingFlops, seconds, training_flops
from pretrain_api.estimates.layouts import (
    LayoutEstimate,
    Workload,
    feasible_layouts,
    fewest_gpus,
    judge,
    runs_in_this_version,
)
from pretrain_api.estimates.memory import Layout, Numbers
from pretrain_api.estimates.plan import DEFAULT_UTILIZATION, Plan

HOST_COPY_BYTES_PER_SECOND = 25e9
"""Device to pinned host memory: PCIe 4.0 x16 in practice."""
GREATEST_UINT16_VOCABULARY = 65_536
"""Token ids of larger vocabularies take four bytes in a Megatron .bin file."""


@dataclass(frozen=True)
class Chinchilla:
    """A run against the scaling laws (`scaling_laws`). N, D as the run has them."""

    tokens_per_parameter: float
    predicted_loss: float
    budget_flops: float
    """C = 6ND of the run, without recomputation."""
    optimum: scaling_laws.Allocation
    """By the parametric loss."""
    optimum_loss: float
    twenty: scaling_laws.Allocation
    """By 20 tokens a parameter."""
    kaplan_loss: float


@dataclass(frozen=True)
class Checkpointing:
    """Checkpoints and what failures cost."""

    rate: FailureRate
    interval_seconds: float
    """Young's, or the time a checkpoint takes to write where that is longer."""
    young_interval_seconds: float
    daly_interval_seconds: float
    goodput: float
    """At `interval_seconds`."""
    checkpoint_bytes: float
    write_seconds: float
    """Until a checkpoint is on storage."""


@dataclass(frozen=True)
class Estimate:
    """All figures of a run."""

    plan: Plan
    parameters: int
    active_parameters: int
    flops: TrainingFlops
    flops_per_second_per_gpu: float
    utilization: float
    training_seconds: float
    """total FLOPs / (GPUs x FLOP/s x utilisation)."""
    seconds_by_model_flops: float
    """C(6N + 12·L·H·T) / (GPUs x FLOP/s x utilisation): utilisation read as MFU."""
    chosen: LayoutEstimate
    layouts: list[LayoutEstimate]
    """That fit, fastest first."""
    fewest_gpus: int | None
    """Where no layout fits: a number of GPUs on which one does."""
    memory_bytes: float
    """Of one GPU."""
    numbers: Numbers
    chinchilla: Chinchilla
    checkpointing: Checkpointing
    token_bytes: int
    """Bytes of the tokenized data."""
    storage_bytes: float
    """Tokenized data, checkpoints that are kept, the exported model."""
    wall_seconds: float
    """Training time / goodput."""
    cost: float | None
    """GPUs x wall hours x price."""


def estimate(plan: Plan) -> Estimate:
    """Return all figures of a run.

    Raises:
        ValueError: The layout doesn't add up.
    """
    given = _layout(plan)
    numbers = Numbers(plan.precision, plan.gradient_bytes, plan.as_trainer)
    rate, utilization = _rate(plan)
    workload = _workload(plan, numbers)
    layouts = feasible_layouts(workload, plan.gpus)
    chosen = (_choice(plan, workload, layouts) if plan.choose_layout else None) or judge(workload, given)
    flops = training_flops(plan.network, plan.tokens, plan.sequence_length, chosen.layout.recompute)
    training_seconds = seconds(flops.total, plan.gpus, rate, utilization)
    checkpointing = _checkpointing(plan, numbers, chosen)
    wall_seconds = training_seconds / checkpointing.goodput if checkpointing.goodput else math.inf
    token_bytes = plan.tokens * (2 if plan.network.vocab_size <= GREATEST_UINT16_VOCABULARY else 4)
    export_bytes = numbers.value_bytes * plan.network.parameters()
    return Estimate(
        plan=plan,
        parameters=plan.network.parameters(),
        active_parameters=plan.network.active_parameters(),
        flops=flops,
        flops_per_second_per_gpu=rate,
        utilization=utilization,
        training_seconds=training_seconds,
        seconds_by_model_flops=seconds(flops.model, plan.gpus, rate, utilization),
        chosen=chosen,
        layouts=layouts,
        fewest_gpus=None if layouts else fewest_gpus(workload, plan.gpus),
        memory_bytes=workload.memory_bytes,
        numbers=numbers,
        chinchilla=_chinchilla(plan, flops),
        checkpointing=checkpointing,
        token_bytes=token_bytes,
        storage_bytes=token_bytes + plan.checkpoints_kept * checkpointing.checkpoint_bytes + export_bytes,
        wall_seconds=wall_seconds,
        cost=_cost(plan, wall_seconds),
    )


def judged(plan: Plan) -> LayoutEstimate:
    """Return what the layout that the plan names needs, without looking for others.

    Raises:
        ValueError: The layout doesn't add up.
    """
    return judge(_workload(plan, Numbers(plan.precision, plan.gradient_bytes, plan.as_trainer)), _layout(plan))


def _choice(plan: Plan, workload: Workload, layouts: list[LayoutEstimate]) -> LayoutEstimate | None:
    """Return the fastest layout that fits; one that this version can train comes first."""
    if plan.recompute is not None:
        layouts = feasible_layouts(workload, plan.gpus, (plan.recompute,))
    return next((one for one in layouts if runs_in_this_version(one.layout)), layouts[0] if layouts else None)


def _layout(plan: Plan) -> Layout:
    return Layout(
        plan.gpus,
        plan.tensor,
        plan.pipeline,
        plan.expert,
        plan.zero,
        plan.micro_batch_size,
        plan.recompute or "none",
        plan.sequence_parallel,
    )


def _rate(plan: Plan) -> tuple[float, float]:
    """Return FLOP/s of a GPU and the share of it that is reached."""
    if plan.flops_per_second_per_gpu is not None:
        return plan.flops_per_second_per_gpu, plan.utilization if plan.utilization is not None else 1.0
    utilization = plan.utilization if plan.utilization is not None else DEFAULT_UTILIZATION
    return plan.device.peak_flops_per_second(plan.precision), utilization


def _workload(plan: Plan, numbers: Numbers) -> Workload:
    return Workload(
        network=plan.network,
        sequence_length=plan.sequence_length,
        batch_sequences=max(1, round(plan.batch_tokens / plan.sequence_length)),
        numbers=numbers,
        kernels=plan.kernels,
        device=plan.device,
        peak_flops_per_second=plan.device.peak_flops_per_second(plan.precision),
        memory_bytes=plan.memory_bytes if plan.memory_bytes is not None else plan.device.memory_bytes,
    )


def _chinchilla(plan: Plan, flops: TrainingFlops) -> Chinchilla:
    parameters, tokens = float(plan.network.active_parameters()), float(plan.tokens)
    budget = flops.parameters
    optimum = scaling_laws.chinchilla_optimum(budget)
    return Chinchilla(
        tokens_per_parameter=tokens / parameters,
        predicted_loss=scaling_laws.chinchilla_loss(parameters, tokens),
        budget_flops=budget,
        optimum=optimum,
        optimum_loss=scaling_laws.chinchilla_loss(optimum.parameters, optimum.tokens),
        twenty=scaling_laws.twenty_tokens_per_parameter(budget),
        kaplan_loss=scaling_laws.kaplan_loss(plan.network.non_embedding_parameters(), tokens),
    )


def _checkpointing(plan: Plan, numbers: Numbers, chosen: LayoutEstimate) -> Checkpointing:
    states = numbers.value_bytes + numbers.optimizer(chosen.layout.zero)
    checkpoint_bytes = float(states * plan.network.parameters())
    hours = plan.hours_between_failures
    mean = 3600 * (hours if hours is not None else GPU_HOURS_BETWEEN_FAILURES / plan.gpus)
    save_seconds = plan.save_seconds
    if save_seconds is None:
        save_seconds = (chosen.memory.weights + chosen.memory.optimizer) / HOST_COPY_BYTES_PER_SECOND
    rate = FailureRate(mean, save_seconds, plan.restart_seconds)
    # A save whose cost was measured is one that training waits for to its end.
    write_seconds = checkpoint_bytes / plan.storage_bytes_per_second if plan.save_seconds is None else save_seconds
    young = young_interval_seconds(save_seconds, mean)
    interval = max(young, write_seconds)
    return Checkpointing(
        rate=rate,
        interval_seconds=interval,
        young_interval_seconds=young,
        daly_interval_seconds=daly_interval_seconds(save_seconds, mean),
        goodput=goodput(interval, rate),
        checkpoint_bytes=checkpoint_bytes,
        write_seconds=write_seconds,
    )


def _cost(plan: Plan, wall_seconds: float) -> float | None:
    if plan.price_per_gpu_hour is None:
        return None
    return plan.gpus * wall_seconds / 3600 * plan.price_per_gpu_hour
