"""What a report can't show, and why."""

from __future__ import annotations

from pretrain_report.facts.outcome import trains
from pretrain_report.storage import Records


def missing_parts(records: Records) -> dict[str, str]:
    """Return section (training, validation, samples, data, events) -> why it is empty."""
    reasons: dict[str, str] = {}
    if records.metrics is None:
        reasons["training"] = _no_training(records)
    if not records.evaluations:
        reasons["validation"] = _no_validation(records)
    if not records.samples:
        reasons["samples"] = _no_samples(records)
    if records.data_report is None:
        reasons["data"] = _no_data(records)
    if not records.ledger:
        reasons["events"] = "ledger.jsonl isn't there: nothing has been recorded yet."
    return reasons


def _no_training(records: Records) -> str:
    if not trains(records):
        return "This job only prepares data: its specification has no training."
    if records.data_report is None and records.spec.get("data", {}).get("sources"):
        return "No step was done: the data preparation hasn't finished."
    return "No step was done: metrics.jsonl is empty or not there."


def _no_validation(records: Records) -> str:
    if not trains(records):
        return "This job only prepares data."
    report = records.data_report
    if report and not any(source.validation_tokens for source in report.sources):
        return "No validation loss: no text was held back (spec.data.split.validation)."
    return "No validation loss yet: evaluations.jsonl is empty or not there."


def _no_samples(records: Records) -> str:
    if not trains(records):
        return "This job only prepares data."
    samples = records.spec["training"].get("evaluation", {}).get("samples", {})
    if samples.get("count") == 0:
        return "None were asked for (spec.training.evaluation.samples.count is 0)."
    if records.completed is not None:
        return "The trainer wrote none: it needs a tokenizer to do so."
    return "samples.json isn't there: samples are written when training ends."


def _no_data(records: Records) -> str:
    data = records.spec.get("data", {})
    if data.get("tokenized"):
        return "The job brings its tokens ready-made (spec.data.tokenized); nothing was prepared."
    if data.get("prepared"):
        return f"The data was prepared by another job ({data['prepared']}); its report is there."
    return "data/report.json isn't there: it is written when the data preparation ends."
