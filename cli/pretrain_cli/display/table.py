"""Jobs as a table, with the columns of `kubectl get pretrainjobs`, and objects as JSON or YAML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import yaml

from pretrain_api.quantities import humanize_seconds

HEAD = ("NAME", "PHASE", "PROGRESS", "STEP", "TOKENS", "LOSS", "TOKENS/S", "ETA", "RESTARTS", "AGE")
WIDE_HEAD = ("NODES", "CHECKPOINT", "HEALTHY", "ROLLBACKS", "GOODPUT", "WHY")


def job_row(job: dict[str, Any], now: datetime, wide: bool = False, namespaced: bool = False) -> list[str]:
    """Return the cells of a job in wire form."""
    metadata, status = job["metadata"], job.get("status") or {}
    summary = status.get("summary") or {}
    keys = ("progress", "step", "tokens", "loss", "tokensPerSecond", "estimatedRemaining")
    restarts = str((status.get("restarts") or {}).get("total", 0))
    row = [metadata["name"], status.get("phase") or "", *(str(summary.get(key) or "") for key in keys), restarts]
    row.append(_age(metadata.get("creationTimestamp") or status.get("startTime"), now))
    if wide:
        row += _wide(status)
    return [metadata.get("namespace", ""), *row] if namespaced else row


def head(wide: bool = False, namespaced: bool = False) -> list[str]:
    """Return the heads of the columns."""
    return [*(["NAMESPACE"] if namespaced else []), *HEAD, *(WIDE_HEAD if wide else ())]


def align(rows: Sequence[Sequence[str]], widths: Sequence[int] | None = None) -> list[str]:
    """Return rows as lines with aligned columns, three spaces apart."""
    widths = widths or column_widths(rows)
    return ["   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column."""
    return [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]


def as_text(value: Any, output: str) -> str:
    """Return an object as "json" or "yaml"."""
    if output == "yaml":
        return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True)).rstrip("\n")
    return json.dumps(value, ensure_ascii=False, indent=2)


def _wide(status: dict[str, Any]) -> list[str]:
    training, checkpoints = status.get("training") or {}, status.get("checkpoints") or {}
    steps = [str((checkpoints.get(which) or {}).get("step", "")) for which in ("latest", "healthy")]
    goodput = status.get("goodput")
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    why = next((conditions[kind]["reason"] for kind in ("Failed", "Suspended") if _holds(conditions, kind)), "")
    why = why or conditions.get("Running", {}).get("reason", "")
    return [
        str(training.get("numNodes", "")),
        *steps,
        str(len(status.get("rollbacks") or [])),
        f"{goodput:.1%}" if goodput is not None else "",
        why,
    ]


def _holds(conditions: dict[str, Any], kind: str) -> bool:
    return bool(conditions.get(kind, {}).get("status") == "True")


def _age(time: str | None, now: datetime) -> str:
    if time is None:
        return ""
    return humanize_seconds(max(0.0, (now - datetime.fromisoformat(time).astimezone(UTC)).total_seconds()))
