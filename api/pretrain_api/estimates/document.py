"""An estimate as JSON: camelCase keys, units in names, the formula beside each figure."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from pretrain_api.estimates.estimate import Estimate
from pretrain_api.estimates.layouts import USABLE_MEMORY, LayoutEstimate, runs_in_this_version
from pretrain_api.estimates.memory import Layout, MemoryBytes
from pretrain_api.estimates.published import PublishedModel
from pretrain_api.estimates.scaling_laws import Allocation
from pretrain_api.estimates.settings import documented_settings


def estimate_document(estimate: Estimate, max_layouts: int = 10) -> dict[str, Any]:
    """Return the estimate for machines. Figures that are infinite (nothing would ever be finished) are null."""
    plan, flops = estimate.plan, estimate.flops
    return {
        "name": plan.name,
        "family": plan.network.family,
        "parameters": estimate.parameters,
        "activeParameters": estimate.active_parameters,
        "parametersByPart": plan.network.parameters_by_part(),
        "tokens": plan.tokens,
        "sequenceLength": plan.sequence_length,
        "batchTokens": plan.batch_tokens,
        "gpus": plan.gpus,
        "trainingFlops": flops.total,
        "trainingFlopsByPart": {
            "parameters": flops.parameters,
            "parameterRecomputation": flops.parameter_recomputation,
            "attention": flops.attention,
            "attentionRecomputation": flops.attention_recomputation,
        },
        "trainingFlopsWithAttention": flops.executed,
        "modelFlops": flops.model,
        "flopsPerSecondPerGpu": estimate.flops_per_second_per_gpu,
        "utilization": estimate.utilization,
        "trainingSeconds": estimate.training_seconds,
        "trainingSecondsByModelFlops": estimate.seconds_by_model_flops,
        "wallSeconds": _finite(estimate.wall_seconds),
        "memoryBytesPerGpu": round(estimate.chosen.memory.total),
        "memoryBytesPerGpuByPart": _memory(estimate.chosen.memory),
        "gpuMemoryBytes": round(estimate.memory_bytes),
        "usableGpuMemoryBytes": round(USABLE_MEMORY * estimate.memory_bytes),
        "fits": estimate.chosen.fits,
        "layoutWasChosen": plan.choose_layout,
        "bytesPerParameterBeforeSharding": estimate.numbers.bytes_per_parameter(estimate.chosen.layout.zero),
        "layout": _layout(estimate.chosen.layout),
        "feasibleLayouts": [_layout_estimate(layout) for layout in estimate.layouts[:max_layouts]],
        "fewestGpus": estimate.fewest_gpus,
        "chinchilla": _chinchilla(estimate),
        **_checkpointing(estimate),
        "tokenizedDataBytes": estimate.token_bytes,
        "storageBytes": round(estimate.storage_bytes),
        "cost": None if estimate.cost is None else _finite(estimate.cost),
    }


def preset_document(model: PublishedModel) -> dict[str, Any]:
    """Return a published model for machines."""
    settings = documented_settings().get(model.settings or "")
    return {
        "name": model.name,
        "family": model.network.family,
        "parameters": model.network.parameters(),
        "activeParameters": model.network.active_parameters(),
        "contextLength": model.context_length,
        "trainingTokens": model.training_tokens,
        "trainable": model.trainable,
        "source": model.source,
        "documentedSettings": settings.as_json() if settings else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _memory(memory: MemoryBytes) -> dict[str, int]:
    return {part: round(value) for part, value in asdict(memory).items()}


def _layout(layout: Layout) -> dict[str, Any]:
    return {
        "data": layout.data,
        "tensor": layout.tensor,
        "pipeline": layout.pipeline,
        "expert": layout.expert,
        "zero": layout.zero,
        "microBatchSize": layout.micro_batch_size,
        "recompute": layout.recompute,
        "sequenceParallel": layout.sequence_parallel,
    }


def _layout_estimate(estimate: LayoutEstimate) -> dict[str, Any]:
    return {
        **_layout(estimate.layout),
        "memoryBytesPerGpu": round(estimate.memory.total),
        "expectedTokensPerSecond": estimate.tokens_per_second,
        "expectedUtilization": estimate.utilization,
        "runsInThisVersion": runs_in_this_version(estimate.layout),
    }


def _chinchilla(estimate: Estimate) -> dict[str, Any]:
    chinchilla = estimate.chinchilla
    return {
        "tokensPerParameter": chinchilla.tokens_per_parameter,
        "predictedLoss": chinchilla.predicted_loss,
        "budgetFlops": chinchilla.budget_flops,
        "optimal": {**_allocation(chinchilla.optimum), "predictedLoss": chinchilla.optimum_loss},
        "twentyTokensPerParameter": _allocation(chinchilla.twenty),
        "kaplanPredictedLoss": chinchilla.kaplan_loss,
    }


def _allocation(allocation: Allocation) -> dict[str, float]:
    return {
        "parameters": allocation.parameters,
        "tokens": allocation.tokens,
        "tokensPerParameter": allocation.tokens_per_parameter,
    }


def _checkpointing(estimate: Estimate) -> dict[str, Any]:
    checkpointing = estimate.checkpointing
    return {
        "checkpointIntervalSeconds": checkpointing.interval_seconds,
        "checkpointIntervalSecondsByYoung": checkpointing.young_interval_seconds,
        "checkpointIntervalSecondsByDaly": checkpointing.daly_interval_seconds,
        "goodput": checkpointing.goodput,
        "checkpointBytes": round(checkpointing.checkpoint_bytes),
        "checkpointSaveSeconds": checkpointing.rate.save_seconds,
        "checkpointWriteSeconds": checkpointing.write_seconds,
        "meanTimeBetweenFailuresSeconds": checkpointing.rate.seconds_between_failures,
        "restartSeconds": checkpointing.rate.restart_seconds,
    }
