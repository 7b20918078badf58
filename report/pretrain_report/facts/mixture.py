"""What training saw of each source."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from pretrain_api.status import SourceSeen
from pretrain_report import formats
from pretrain_report.storage import Records


def mixture_rows(records: Records) -> list[dict[str, str]]:
    """Return a row a source, as the newest event, evaluation or status has it; none where nothing says."""
    seen = _newest(records)
    total = sum(source.tokens for source in seen)
    return [
        {
            "name": source.name,
            "sequences": formats.count(source.sequences),
            "tokens": formats.compact(source.tokens),
            "share": formats.percentage(source.tokens, total),
            "epochs": f"{source.epochs:.2f}",
        }
        for source in seen
    ]


def _newest(records: Records) -> list[SourceSeen]:
    events = [one for one in records.ledger if one.get("sources")]
    evaluations = [one for one in records.evaluations if one.get("sources")]
    newest: dict[str, Any] = events[-1] if events else {}
    if evaluations and evaluations[-1]["step"] > (newest.get("step") or 0):
        newest = evaluations[-1]
    try:
        seen = [SourceSeen.model_validate(source) for source in newest.get("sources", [])]
    except (ValidationError, TypeError):
        seen = []
    training = records.status.training if records.status else None
    shown = (training.sources or []) if training else []
    return shown if sum(one.tokens for one in shown) > sum(one.tokens for one in seen) else seen
