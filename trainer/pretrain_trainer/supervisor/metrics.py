"""/metrics of a supervisor: made from what is known when somebody asks; no label has more than a few dozen values."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pretrain_api.status import MAX_SOURCES_SHOWN, CheckpointStatus, SourceSeen
from pretrain_api.wire import TrainerProgress


@dataclass(frozen=True)
class Snapshot:
    """What a supervisor shows of itself; replaced as a whole, so that threads may read it."""

    progress: TrainerProgress
    generation: int = 0
    heartbeat_age_seconds: float | None = None
    restarts_by_reason: dict[str, int] = field(default_factory=dict)
    rollbacks_by_reason: dict[str, int] = field(default_factory=dict)
    alive: float = 0.0
    """Monotonic time of the main loop's newest turn."""


_TRAINING_GAUGES = {
    "step": "Optimiser steps done.",
    "total_steps": "Optimiser steps of the whole run.",
    "sequences": "Consumed sequences.",
    "tokens": "Consumed tokens.",
    "total_tokens": "Tokens of the whole run.",
    "loss": "Loss of the newest step, in nats a token.",
    "validation_loss": "Newest validation loss, in nats a token.",
    "learning_rate": "Learning rate.",
    "gradient_norm": "Global gradient norm before clipping.",
    "tokens_per_second": "Tokens a second, all ranks together.",
    "mfu": "Model FLOP utilisation.",
    "batch_stage": "Index of the batch stage, from 0.",
    "batch_tokens": "Tokens of a batch.",
    "num_nodes": "Nodes that train.",
    "world_size": "Ranks that train.",
    "estimated_remaining_seconds": "Time that training will still take.",
}


class SupervisorCollector(Collector):
    """Gives Prometheus the newest snapshot."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        snapshot = self._snapshot()
        progress = snapshot.progress
        for name, help_text in _TRAINING_GAUGES.items():
            yield from _gauge(f"pretrain_{name}", help_text, getattr(progress.training, name))
        yield from _sources(progress.training.sources or [])
        yield from _gauge("pretrain_goodput", "Useful training time / time since the first start.", progress.goodput)
        yield from _gauge("pretrain_generation", "Generation of the ranks.", snapshot.generation)
        yield from _gauge(
            "pretrain_heartbeat_age_seconds",
            "Time since the last sign of life of the most silent rank of this node.",
            snapshot.heartbeat_age_seconds,
        )
        yield from _checkpoint("pretrain_checkpoint_latest", "newest checkpoint", progress.checkpoints.latest)
        yield from _checkpoint("pretrain_checkpoint_healthy", "newest healthy checkpoint", progress.checkpoints.healthy)
        yield _counter("pretrain_restarts", "Restarts of all ranks.", snapshot.restarts_by_reason)
        yield _counter("pretrain_rollbacks", "Rollbacks of the training.", snapshot.rollbacks_by_reason)
        state = GaugeMetricFamily("pretrain_trainer_state", "1 for the state the trainer is in.", labels=["state"])
        state.add_metric([progress.state], 1)
        yield state


def registry_of(snapshot: Callable[[], Snapshot]) -> CollectorRegistry:
    """Return a registry with the supervisor's metrics and nothing else."""
    registry = CollectorRegistry()
    registry.register(SupervisorCollector(snapshot))
    return registry


def _gauge(name: str, help_text: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(name, help_text, value=value)


def _sources(seen: list[SourceSeen]) -> Iterator[Metric]:
    """Yield what was seen by source: a few dozen sources at most, as the status has them."""
    if not seen:
        return
    tokens = GaugeMetricFamily("pretrain_source_tokens", "Consumed tokens of a source.", labels=["source"])
    epochs = GaugeMetricFamily("pretrain_source_epochs", "Passes over a source.", labels=["source"])
    for source in seen[:MAX_SOURCES_SHOWN]:
        tokens.add_metric([source.name], source.tokens)
        epochs.add_metric([source.name], source.epochs)
    yield from (tokens, epochs)


def _checkpoint(prefix: str, what: str, checkpoint: CheckpointStatus | None) -> Iterator[Metric]:
    if checkpoint is None:
        return
    yield from _gauge(f"{prefix}_step", f"Step of the {what}.", checkpoint.step)
    written = calendar.timegm(time.strptime(checkpoint.time[:19], "%Y-%m-%dT%H:%M:%S"))
    yield from _gauge(f"{prefix}_timestamp_seconds", f"When the {what} was written.", written)


def _counter(name: str, help_text: str, by_reason: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=["reason"])
    for reason, count in sorted(by_reason.items()):
        family.add_metric([reason], count)
    return family
