"""Running a case with the trainer's own engine, and what was measured of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.cases import VOCABULARY, Case
from pretrain_api.estimates.estimate import estimate
from pretrain_api.estimates.plan import plan_of_job
from pretrain_api.schedule import batch_schedule
from pretrain_trainer.engine.process_group import ProcessGroup
from pretrain_trainer.engine.training_engine import TrainingEngine
from pretrain_trainer.models import cross_entropy
from pretrain_trainer.models.families import build_model, count_parameters, flops_per_token
from pretrain_trainer.records.clock import peak_flops

WARMUP_STEPS = 2
LEARNING_RATE = 1e-4


def measure(case: Case, group: ProcessGroup) -> dict[str, Any]:
    """Run a case; return its figures: bytes by part, seconds a step, tokens a second, utilisation, losses."""
    with _loss_as(case):
        before = _allocated()
        began = time.monotonic()
        engine = build_engine(case, group)
        built = time.monotonic() - began
        after_building = _allocated() - before
        figures = _run_steps(case, engine)
        memory = _memory(case, before, after_building)
        profile = {"profile": profile_of_a_step(lambda: one_step(case, engine))} if case.profile else {}
        size = {"parameters": count_parameters(engine.module), "buildSeconds": round(built, 2)}
        engine.deepspeed.destroy()  # else its hooks keep the states of ZeRO 2 alive
        engine.deepspeed.destroy()  # else its hooks keep it, and its memory, for the cases that follow
        return {"case": case.name, **asdict(case), **size, **figures, **memory, **profile}


def build_engine(case: Case, group: ProcessGroup) -> TrainingEngine:
    """Return the trainer's engine. The weights are drawn on the device, as their values don't matter here."""
    spec = case.job().spec
    assert spec.model is not None
    assert spec.training is not None
    torch.set_float32_matmul_precision("high" if case.precision == "tf32" else "highest")
    model = build_model(spec.model, VOCABULARY, case.sequence_length, case.recompute, str(group.device))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.02) if parameter.ndim > 1 else nn.init.ones_(parameter)
    schedule = batch_schedule(spec.training)
    accumulation = schedule.spans[0].batch_sequences // case.micro_batch_size
    engine = TrainingEngine(model, spec.training, accumulation, group)
    engine.set_batch_sequences(schedule.spans[0].batch_sequences)
    engine.set_learning_rate(LEARNING_RATE)
    return engine


def one_step(case: Case, engine: TrainingEngine) -> float:
    """Do a step on the same random tokens as ever; return the loss."""
    generator = torch.Generator().manual_seed(1)
    losses = []
    for micro_batch in range(case.micro_batches):
        tokens = torch.randint(
            VOCABULARY, (case.micro_batch_size, case.sequence_length + 1), generator=generator, dtype=torch.int64
        ).to(engine.group.device)
        batch = {"input_ids": tokens[:, :-1], "labels": tokens[:, 1:]}
        losses.append(engine.backward(batch, last=micro_batch == case.micro_batches - 1))
        engine.step()
    return float(torch.stack(losses).mean())


def _run_steps(case: Case, engine: TrainingEngine) -> dict[str, Any]:
    began = time.monotonic()
    losses = [one_step(case, engine) for _ in range(WARMUP_STEPS)]
    _synchronize()
    warmup = time.monotonic() - began
    began = time.monotonic()
    losses += [one_step(case, engine) for _ in range(case.steps)]
    _synchronize()
    seconds = (time.monotonic() - began) / case.steps
    speed = case.micro_batches * case.micro_batch_size * case.sequence_length / seconds
    peak = peak_flops(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
    flops = speed * flops_per_token(engine.module, case.sequence_length)
    return {
        "tokensPerSecond": round(speed),
        "mfu": round(flops / peak, 4) if peak else None,
        "secondsPerStep": round(seconds, 4),
        "warmupSeconds": round(warmup, 2),
        "firstLoss": round(losses[0], 4),
        "lastLoss": round(losses[-1], 4),
        "gradientNorm": engine.gradient_norm(),
        "lossScale": engine.loss_scale(),
        "skippedSteps": int(engine.deepspeed.skipped_steps),
    }


def _memory(case: Case, before: int, after_building: int) -> dict[str, Any]:
    """Return estimated and measured bytes. `statesBytes` stay between steps; the peak is that of all steps."""
    estimated = estimate(plan_of_job(case.job())).chosen.memory
    parts = {part: round(value) for part, value in asdict(estimated).items()}
    states = sum(parts[name] for name in ("weights", "gradients", "optimizer"))
    figures = {"estimatedBytes": round(estimated.total), "estimatedBytesByPart": parts, "estimatedStatesBytes": states}
    if not torch.cuda.is_available():
        return figures
    peak = torch.cuda.max_memory_allocated() - before
    return {
        **figures,
        "builtBytes": after_building,
        "statesBytes": _allocated() - before,
        "peakBytes": peak,
        "reservedBytes": torch.cuda.max_memory_reserved(),
        "leftBytesBefore": before,
        "estimatedToMeasured": round(estimated.total / peak, 4),
    }


def profile_of_a_step(step: Callable[[], float], most: int = 25) -> list[dict[str, Any]]:
    """Return the kernels that take most of a step: name, milliseconds, calls."""
    if not torch.cuda.is_available():
        return []
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        step()
        _synchronize()
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_device_time_total)
    return [
        {"kernel": event.key[:120], "milliseconds": round(event.self_device_time_total / 1e3, 3), "calls": event.count}
        for event in events[:most]
    ]


@contextmanager
def _loss_as(case: Case) -> Iterator[None]:
    """Compute the loss as the case says; afterwards as before, and nothing of the run is left on the device."""
    chunks = dict(cross_entropy.CHUNK_ELEMENTS)
    if case.loss_chunk_elements is not None:
        cross_entropy.CHUNK_ELEMENTS.update(dict.fromkeys(chunks, case.loss_chunk_elements))
    release()
    try:
        yield
    finally:
        cross_entropy.CHUNK_ELEMENTS.update(chunks)


def release() -> None:
    """Give back what an earlier case left, and forget its peak."""
    torch._dynamo.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _allocated() -> int:
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
