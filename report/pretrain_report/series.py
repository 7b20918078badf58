"""Metrics of any length, read line by line and thinned to what a plot can show, with every peak kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

MAX_BUCKETS = 1000
"""Two points each (least and greatest value): as many as a plot of 1,000 pixels can show."""
MAX_DISCARDED_BUCKETS = 200
MAX_DISCARDED_TRAJECTORIES = 50
MAX_STEPS_LISTED = 200

PLOTTED = ("loss", "learningRate", "batchTokens", "tokensPerSecond", "gradientNorm")
READ_OUT = ("step", "tokens", *PLOTTED)


@dataclass(slots=True)
class _Bucket:
    """Consecutive values in one."""

    total: float
    count: int
    least: tuple[float, float]
    """(step, value)."""
    greatest: tuple[float, float]

    def add(self, step: float, value: float) -> None:
        self.total += value
        self.count += 1
        if value < self.least[1]:
            self.least = (step, value)
        elif value > self.greatest[1]:
            self.greatest = (step, value)

    def merged(self, other: _Bucket) -> _Bucket:
        return _Bucket(
            self.total + other.total,
            self.count + other.count,
            min(self.least, other.least, key=lambda point: point[1]),
            max(self.greatest, other.greatest, key=lambda point: point[1]),
        )


@dataclass
class Series:
    """A curve of any number of values in bounded memory: buckets are merged in pairs as they get too many.

    After n values there are at most `max_buckets`, each of the same number of values (the last may have fewer).
    """

    max_buckets: int = MAX_BUCKETS
    bucket_values: int = 1
    buckets: list[_Bucket] = field(default_factory=list)
    not_finite_steps: list[float] = field(default_factory=list)
    """The first 200 of them."""
    not_finite_count: int = 0

    def add(self, step: float, value: float | None) -> None:
        """Append a value; None, NaN and infinity are counted as not finite."""
        if value is None or not math.isfinite(value):
            self.not_finite_count += 1
            if len(self.not_finite_steps) < MAX_STEPS_LISTED:
                self.not_finite_steps.append(step)
        elif self.buckets and self.buckets[-1].count < self.bucket_values:
            self.buckets[-1].add(step, value)
        else:
            self._open_bucket(step, value)

    def _open_bucket(self, step: float, value: float) -> None:
        if len(self.buckets) == self.max_buckets:
            pairs = zip(self.buckets[::2], self.buckets[1::2], strict=True)
            self.buckets = [first.merged(second) for first, second in pairs]
            self.bucket_values *= 2
        self.buckets.append(_Bucket(value, 1, (step, value), (step, value)))

    def __bool__(self) -> bool:
        return bool(self.buckets)

    def points(self) -> tuple[list[float], list[float]]:
        """Return steps and values of the least and greatest value of each bucket, in their order."""
        points: list[tuple[float, float]] = []
        for bucket in self.buckets:
            points += sorted({bucket.least, bucket.greatest})
        return [step for step, _ in points], [value for _, value in points]

    def smoothed(self, half_width: int) -> tuple[list[float], list[float]]:
        """Return steps and means over `half_width` buckets to either side (fewer at the ends)."""
        means = [bucket.total / bucket.count for bucket in self.buckets]
        steps = [(bucket.least[0] + bucket.greatest[0]) / 2 for bucket in self.buckets]
        sums = [0.0]
        for mean in means:
            sums.append(sums[-1] + mean)
        smooth = []
        for index in range(len(means)):
            reach = min(half_width, index, len(means) - 1 - index)
            smooth.append((sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1))
        return steps, smooth

    def median(self) -> float | None:
        """Return the median of the buckets' means; None without values."""
        return median(bucket.total / bucket.count for bucket in self.buckets) if self.buckets else None


@dataclass
class RowSample:
    """Whole rows at even distances, for reading values off a plot: at most `max_rows`."""

    max_rows: int = MAX_BUCKETS // 2
    stride: int = 1
    seen: int = 0
    rows: list[list[Any]] = field(default_factory=list)

    def add(self, record: dict[str, Any]) -> None:
        """Offer a row; every `stride`-th is taken."""
        if self.seen % self.stride == 0:
            if len(self.rows) == self.max_rows:
                self.rows = self.rows[::2]
                self.stride *= 2
            if self.seen % self.stride == 0:
                self.rows.append([_short(record.get(name)) for name in READ_OUT])
        self.seen += 1


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) and math.isfinite(value) else _whole_or_none(value)


def _whole_or_none(value: Any) -> int | None:
    return value if isinstance(value, int) else None


@dataclass(frozen=True)
class StageStart:
    """The first step of a batch stage."""

    step: int
    tokens: int | None
    batch_tokens: int | None


@dataclass
class Metrics:
    """metrics.jsonl in bounded memory."""

    series: dict[str, Series]
    rows: RowSample
    stages: list[StageStart]
    first: dict[str, Any]
    last: dict[str, Any]
    steps: int
    least_loss: float | None


def collect_metrics(records: Iterable[dict[str, Any]]) -> Metrics | None:
    """Read the lines of metrics.jsonl; None when there is no line with a step."""
    series = {name: Series() for name in PLOTTED}
    metrics = Metrics(series, RowSample(), [], {}, {}, 0, None)
    stage: Any = None
    for record in _with_step(records):
        step = record["step"]
        for name, one in series.items():
            if name in record:
                one.add(step, _number(record[name]))
        metrics.rows.add(record)
        if record.get("batchStage") != stage:
            stage = record.get("batchStage")
            metrics.stages.append(StageStart(step, record.get("tokens"), record.get("batchTokens")))
        metrics.first = metrics.first or record
        metrics.last = record
        metrics.steps += 1
    return metrics if metrics.steps else None


@dataclass
class Discarded:
    """The stretch of training that one rollback took back."""

    rollback: int
    loss: Series
    gradient_norm: Series
    first_step: int
    last_step: int


def collect_discarded(records: Iterable[dict[str, Any]]) -> list[Discarded]:
    """Read the lines of metrics-discarded.jsonl: the newest 50 trajectories, oldest first."""
    found: dict[int, Discarded] = {}
    for record in _with_step(records):
        number, step = record.get("rollback", 0), record["step"]
        if number not in found:
            small = (Series(MAX_DISCARDED_BUCKETS), Series(MAX_DISCARDED_BUCKETS))
            found[number] = Discarded(number, *small, first_step=step, last_step=step)
            if len(found) > MAX_DISCARDED_TRAJECTORIES:
                del found[min(found)]
        trajectory = found.get(number)
        if trajectory:
            trajectory.loss.add(step, _number(record.get("loss")))
            trajectory.gradient_norm.add(step, _number(record.get("gradientNorm")))
            trajectory.last_step = step
    return [found[number] for number in sorted(found)]


def _with_step(records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (record for record in records if isinstance(record.get("step"), int))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
