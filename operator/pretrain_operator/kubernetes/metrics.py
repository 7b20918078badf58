"""/metrics of the operator: about itself, and a few series a job, which go with the job."""

from __future__ import annotations

import calendar
import time
from collections import Counter as Tally
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pretrain_api.names import Phase
from pretrain_api.status import DataPreparation, PretrainJobStatus, TrainingStatus
from pretrain_operator.kubernetes.memory import Memories
from pretrain_operator.kubernetes.queue import WorkQueue

_JOB = ["namespace", "name"]
_TRAINING = {
    "step": ("step", "Optimiser steps done."),
    "tokens": ("tokens", "Consumed tokens."),
    "loss": ("loss", "Loss of the newest step, in nats a token."),
    "tokens_per_second": ("tokens_per_second", "Tokens a second, all ranks together."),
    "mfu_ratio": ("mfu", "Model FLOP utilisation."),
}
MAX_SOURCES = 10
"""Of a job; the trainer's own metrics have more of them."""
_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class OperatorMetrics:
    """What the operator counts."""

    def __init__(self, memories: Memories, queue: WorkQueue) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.leader = Gauge("pretrain_operator_leader", "1: this process works.", registry=self.registry)
        self.looks = Histogram(
            "pretrain_operator_reconcile_duration_seconds",
            "Time a look at a job takes.",
            ["result"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        for result in ("success", "error"):
            self.looks.labels(result)
        self.requests = Counter(
            "pretrain_operator_api_requests",
            "Requests to the API server.",
            ["method", "resource", "code"],
            registry=self.registry,
        )
        self.poll_failures = Counter(
            "pretrain_operator_poll_failures", "Polls of pods without an answer.", registry=self.registry
        )
        length = Gauge("pretrain_operator_queue_length", "Jobs that wait to be looked at.", registry=self.registry)
        length.set_function(lambda: len(queue))
        self.registry.register(JobCollector(memories))

    def count_request(self, method: str, resource: str, code: int) -> None:
        """Count a request to the API server; code 0: no answer."""
        self.requests.labels(method, resource, str(code)).inc()


class JobCollector(Collector):
    """Series of the jobs that there are."""

    def __init__(self, memories: Memories) -> None:
        self._memories = memories

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        statuses = [(key, memory.status) for key, memory in self._memories.items() if memory.status is not None]
        phases = Tally(status.phase for _, status in statuses)
        jobs = GaugeMetricFamily("pretrain_operator_jobs", "Jobs by phase.", labels=["phase"])
        for phase in Phase:
            jobs.add_metric([phase], phases[phase])
        yield jobs
        families = _families()
        for key, status in statuses:
            _add_job(families, list(key), status)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    described = {
        "phase": ("1 for the phase the job is in.", ["phase"]),
        "condition": ("Is the condition true?", ["type"]),
        "stage_completed": ("Work items of a stage that are done.", ["stage"]),
        "stage_items": ("Work items of a stage.", ["stage"]),
        "progress_ratio": ("Share of the training that is done.", []),
        "restarts_total": ("Restarts of the trainer.", []),
        "restarts_counted": ("Restarts that count against the budget.", []),
        "rollbacks": ("Rollbacks of the training (the newest 20).", []),
        "goodput_ratio": ("Useful training time / time since the trainer first started.", []),
        "last_progress_timestamp_seconds": ("When the trainer last said how far it is.", []),
        "checkpoint_timestamp_seconds": ("When the newest checkpoint was made.", []),
        "source_tokens": ("Consumed tokens of the sources that were seen most of.", ["source"]),
        **{name: (text, []) for name, (_, text) in _TRAINING.items()},
    }
    return {
        name: GaugeMetricFamily(f"pretrain_job_{name}", text, labels=[*_JOB, *labels])
        for name, (text, labels) in described.items()
    }


def _add_job(families: dict[str, GaugeMetricFamily], key: list[str], status: PretrainJobStatus) -> None:
    families["phase"].add_metric([*key, status.phase], 1)
    for condition in status.conditions:
        families["condition"].add_metric([*key, condition.type], condition.status == "True")
    for stage in (status.data_preparation or DataPreparation()).stages:
        families["stage_completed"].add_metric([*key, stage.name], stage.completed)
        families["stage_items"].add_metric([*key, stage.name], stage.total)
    families["restarts_total"].add_metric(key, status.restarts.total)
    families["restarts_counted"].add_metric(key, status.restarts.counted)
    families["rollbacks"].add_metric(key, len(status.rollbacks))
    training = status.training or TrainingStatus()
    for source in sorted(training.sources or [], key=lambda one: -one.tokens)[:MAX_SOURCES]:
        families["source_tokens"].add_metric([*key, source.name], source.tokens)
    values = {name: getattr(training, field) for name, (field, _) in _TRAINING.items()}
    share = training.progress_percentage
    values["progress_ratio"] = share / 100 if share is not None else None
    values["goodput_ratio"] = status.goodput
    values["last_progress_timestamp_seconds"] = _seconds(training.last_updated_time)
    latest = status.checkpoints.latest if status.checkpoints is not None else None
    values["checkpoint_timestamp_seconds"] = _seconds(latest.time) if latest is not None else None
    for name, value in values.items():
        if value is not None:
            families[name].add_metric(key, value)


def _seconds(moment: str | None) -> float | None:
    """Return RFC 3339 in UTC to the second as seconds since 1970."""
    return float(calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))) if moment else None
