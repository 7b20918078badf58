"""Multiple-choice questions that the model answered."""

from __future__ import annotations

from typing import Any

from pretrain_report import formats
from pretrain_report.storage import Records


def answer_rows(records: Records) -> list[dict[str, str]]:
    """Return a row a file of questions, as the newest evaluation has it; none where nothing was asked."""
    results = [found for one in records.evaluations if isinstance(found := one.get("multipleChoice"), dict)]
    if not results:
        return []
    return [
        _row(name, result, results[0].get(name)) for name, result in results[-1].items() if isinstance(result, dict)
    ]


def _row(name: str, result: dict[str, Any], first: Any) -> dict[str, str]:
    before = first if isinstance(first, dict) else {}
    accuracy, error = formats.percentage(result.get("accuracy")), result.get("accuracyStandardError")
    return {
        "name": name,
        "items": formats.count(result.get("items")),
        "accuracy": accuracy if error is None else f"{accuracy} ± {formats.percentage(error)}",
        "normalized": formats.percentage(result.get("normalizedAccuracy")),
        "chance": formats.percentage(result.get("chance")),
        "first": formats.percentage(before.get("accuracy")),
    }
