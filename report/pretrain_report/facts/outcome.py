"""How the job stands, and its key figures."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pretrain_api.names import ConditionType, LedgerEvent, Phase, StageState
from pretrain_api.status import PreparationStage
from pretrain_api.wire import DataReport
from pretrain_report import formats
from pretrain_report.storage import Records

Tone = Literal["good", "bad", "neutral"]


@dataclass(frozen=True)
class Outcome:
    """The banner."""

    title: str
    tone: Tone
    message: str = ""


@dataclass(frozen=True)
class Figure:
    """A key figure: a value with its label, and what it is compared with."""

    label: str
    value: str
    note: str = ""


def trains(records: Records) -> bool:
    """Say whether the job is meant to train, or only to prepare data."""
    return bool(records.spec.get("training"))


def outcome(records: Records) -> Outcome:
    """Return how the job stands; the files decide, status.json where they leave it open."""
    phase = records.status.phase if records.status else None
    ending = _last_ending(records)
    if records.completed is not None or ending == LedgerEvent.COMPLETE or phase is Phase.COMPLETED:
        return Outcome("Completed", "good", _completion_message(records))
    if ending == LedgerEvent.FAILED or phase is Phase.FAILED or _failed_stages(records):
        return Outcome("Failed", "bad", _failure_message(records))
    if not trains(records) and records.data_report is not None:
        return Outcome("Data prepared", "good", "This job has no training: it only prepares data.")
    if ending == LedgerEvent.SUSPEND or phase is Phase.SUSPENDED:
        return Outcome("Suspended", "neutral", "Everything is kept; the job goes on where it stopped.")
    return Outcome("Not finished", "neutral", _progress_message(records))


def _last_ending(records: Records) -> str | None:
    """Return the newest event that ends or takes up the work."""
    deciding = {LedgerEvent.COMPLETE, LedgerEvent.FAILED, LedgerEvent.SUSPEND, LedgerEvent.START, LedgerEvent.RESUME}
    for event in reversed(records.ledger):
        if event["event"] in deciding:
            return str(event["event"])
    return None


def _completion_message(records: Records) -> str:
    message = (records.completed or {}).get("message")
    return message if isinstance(message, str) else ""


def _failure_message(records: Records) -> str:
    for event in reversed(records.ledger):
        if event["event"] == LedgerEvent.FAILED and event.get("message"):
            return str(event["message"])
    conditions = {(one.type, one.status): one.message for one in (records.status.conditions if records.status else [])}
    for failing in (
        (ConditionType.FAILED, "True"),
        (ConditionType.VALID, "False"),
        (ConditionType.DATA_READY, "False"),
    ):
        if conditions.get(failing):
            return conditions[failing]
    stages = [f"Stage {stage.name}: {stage.message}" for stage in _failed_stages(records) if stage.message]
    return stages[0] if stages else "The ledger gives no reason; see the logs of the last process."


def _failed_stages(records: Records) -> list[PreparationStage]:
    """Return the stages of the preparation that failed: the phase follows only when the report is there."""
    preparation = records.status.data_preparation if records.status else None
    return [stage for stage in preparation.stages if stage.state is StageState.FAILED] if preparation else []


def _progress_message(records: Records) -> str:
    if records.metrics:
        last = records.metrics.last
        total = f" of {formats.count(last['totalSteps'])}" if isinstance(last.get("totalSteps"), int) else ""
        when = formats.parse_time(last.get("lastUpdatedTime"))
        as_of = f", as of {formats.moment(when)}" if when else ""
        return f"Training had reached step {formats.count(last['step'])}{total}{as_of}."
    if records.data_report:
        return "The data is prepared; training hasn't done a step yet."
    return "The data preparation hasn't finished."


def start_and_end(records: Records) -> tuple[datetime | None, datetime | None]:
    """Return the times of the job's first and last event (status.json's where it has them)."""
    times = [time for event in records.ledger if (time := formats.parse_time(event.get("time")))]
    start, end = (min(times), max(times)) if times else (None, None)
    if records.status:
        start = formats.parse_time(records.status.start_time) or start
        end = formats.parse_time(records.status.completion_time) or end
    if records.metrics and (last := formats.parse_time(records.metrics.last.get("lastUpdatedTime"))):
        end = max(end, last) if end else last
    return start, end


def final_validation_loss(records: Records) -> float | None:
    """Return the newest validation loss that is a number."""
    for evaluation in reversed(records.evaluations):
        value = evaluation.get("validationLoss")
        if isinstance(value, (int, float)) and math.isfinite(value):
            return float(value)
    return None


def key_figures(records: Records) -> list[Figure]:
    """Return the key figures, the most important first; what isn't known isn't among them."""
    figures = [*_loss_figures(records), *_progress_figures(records), *_stability_figures(records)]
    return figures if len(figures) >= 4 else [*figures, *_data_figures(records)]


def _loss_figures(records: Records) -> list[Figure]:
    figures = []
    validation = final_validation_loss(records)
    if validation is not None:
        perplexity = formats.perplexity(validation)
        figures = [Figure("Validation loss", f"{validation:.3f}", "nats a token"), Figure("Perplexity", perplexity)]
    if records.metrics:
        loss = records.metrics.series["loss"]
        if loss:
            recent = loss.buckets[-max(1, round(0.02 * len(loss.buckets))) :]
            mean = sum(bucket.total for bucket in recent) / sum(bucket.count for bucket in recent)
            figures.append(Figure("Training loss", f"{mean:.3f}", "mean of the last 2 % of steps"))
    return figures


def _progress_figures(records: Records) -> list[Figure]:
    figures = []
    if records.metrics:
        last = records.metrics.last
        figures.append(Figure("Steps", formats.count(last["step"]), _of(last.get("totalSteps"), last["step"])))
        if isinstance(last.get("tokens"), int):
            note = _of(last.get("totalTokens"), last["tokens"], formats.compact)
            figures.append(Figure("Tokens", formats.compact(last["tokens"]), note))
    start, end = start_and_end(records)
    if start and end and end > start:
        figures.append(Figure("Wall time", formats.duration((end - start).total_seconds())))
    if records.metrics:
        speed = records.metrics.series["tokensPerSecond"].median()
        if speed is not None:
            figures.append(Figure("Tokens a second", formats.compact(speed), "median"))
        utilisation = records.metrics.last.get("mfu")
        if isinstance(utilisation, (int, float)):
            figures.append(Figure("MFU", formats.percentage(utilisation), "last step"))
    return figures


def _of(total: Any, value: float, show: Any = formats.count) -> str:
    return f"of {show(total)}" if isinstance(total, int) and total != value else ""


def _stability_figures(records: Records) -> list[Figure]:
    if not records.metrics:
        return []
    events = Counter(str(event["event"]) for event in records.ledger)
    status = records.status
    restarts = max(events[LedgerEvent.RESTART], status.restarts.total if status else 0)
    figures = [
        Figure("Rollbacks", formats.count(events[LedgerEvent.ROLLBACK])),
        Figure("Restarts", formats.count(restarts)),
    ]
    goodput = _goodput(records)
    return figures if goodput is None else [*figures, Figure("Goodput", formats.percentage(goodput))]


def _goodput(records: Records) -> float | None:
    given = (records.completed or {}).get("goodput", records.status.goodput if records.status else None)
    return float(given) if isinstance(given, (int, float)) else None


def _training_tokens(report: DataReport) -> Figure:
    new = sum(one.train_tokens for one in report.augmented)
    total = sum(one.train_tokens for one in report.sources) + new
    label, value = "Training tokens", formats.compact(total)
    return (
        Figure(label, value, f"{formats.compact(new)} in new documents") if report.augmented else Figure(label, value)
    )


def _data_figures(records: Records) -> list[Figure]:
    report = records.data_report
    if report is None:
        return []
    read, kept = sum(one.documents_read for one in report.sources), sum(one.documents_kept for one in report.sources)
    return [
        Figure("Documents kept", formats.count(kept), f"of {formats.count(read)}"),
        Figure("Text kept", formats.size(sum(one.bytes_kept for one in report.sources))),
        _training_tokens(report),
        Figure("Validation tokens", formats.compact(sum(one.validation_tokens for one in report.sources))),
    ]
