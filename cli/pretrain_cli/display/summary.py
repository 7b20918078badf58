"""The end of a run in a few lines: what came out, where it is, what to do next."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from pretrain_api.names import ConditionType, StageState
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import StorageLayout
from pretrain_cli.display.words import count, loss, plural
from pretrain_operator.planning.conditions import get_condition

SAMPLE_CHARACTERS = 160
_CULPRIT = re.compile(r"([a-z][a-z-]*)(?: (\d+))?: ")
_AUTO_CLASSES = {
    "ForConditionalGeneration": "AutoModelForSeq2SeqLM",
    "ForMaskedLM": "AutoModelForMaskedLM",
    "ForPreTraining": "AutoModelForPreTraining",
}
"""By the ending of the architecture's name; the others are decoders."""


def completed_lines(status: PretrainJobStatus, layout: StorageLayout) -> list[str]:
    """Return what came out of a job and where it is."""
    rows: list[tuple[str, str]] = []
    data, training = status.data_preparation, status.training
    if data is not None and data.tokens is not None:
        rows.append(("data", f"{count(data.tokens)} tokens{_documents(data.documents)}"))
        if data.augmented_documents is not None:
            made = plural(data.augmented_documents, "document")
            rows.append(("augmented", f"{count(data.augmented_tokens or 0)} of the tokens, in {made} made of those"))
    if training is not None and training.tokens is not None:
        rows.append(("trained", f"{training.step or 0:,} steps, {count(training.tokens)} tokens"))
    value = _validation_loss(status, layout)
    if value is not None:
        rows.append(("validation loss", f"{loss(value)} (perplexity {math.exp(min(value, 700.0)):,.1f})"))
    if status.rollbacks:
        rows.append(("rollbacks", f"{len(status.rollbacks)}: see the report"))
    for sample in _read_json(layout.samples) or []:
        rows.append(("sample", _shorten(f"{sample['prompt']} → {sample['text'].removeprefix(sample['prompt'])}")))
    rows += _places(status, layout)
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {text}" for name, text in rows]


def failure_lines(status: PretrainJobStatus, layout: StorageLayout) -> list[str]:
    """Return why a job failed, what to do, and where the log is: a line each."""
    failed = get_condition(status, ConditionType.FAILED)
    if failed is None or failed.status != "True":
        failed = get_condition(status, ConditionType.SUSPENDED)
    message = failed.message if failed is not None else ""
    why, _, remedy = message.rpartition("; ") if "; " in message else (message, "", "")
    if not remedy or remedy.startswith("its log is "):
        remedy = "look into the log; the same command goes on from what is done"
    lines = [f"failed: {' '.join(why.split()) or (failed.reason if failed is not None else 'not known')}"]
    lines.append(f"what to do: {' '.join(remedy.split())}")
    if log := _log(message, layout):
        lines.append(f"log: {log}")
    return lines


def _log(message: str, layout: StorageLayout) -> Path | None:
    culprit = _CULPRIT.match(message)
    if culprit is None:
        return None
    path = layout.logs / f"{culprit[1]}-{culprit[2] or 0}.log"
    return path if path.exists() else None


def _documents(documents: int | None) -> str:
    return f" in {plural(documents, 'document')}" if documents is not None else ""


def _validation_loss(status: PretrainJobStatus, layout: StorageLayout) -> float | None:
    if status.training is not None and status.training.validation_loss is not None:
        return status.training.validation_loss
    marker = _read_json(layout.completed)
    value = marker.get("validationLoss") if isinstance(marker, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _places(status: PretrainJobStatus, layout: StorageLayout) -> list[tuple[str, str]]:
    places: list[tuple[str, str]] = []
    page = layout.report / "index.html"
    if status.report is not None and status.report.state is StageState.FAILED:
        places.append(("report", f"couldn't be written: {status.report.message}"))
    elif page.exists():
        places.append(("report", f"{page}  (open it in a browser)"))
    if layout.model.exists():
        places.append(("model", f"{layout.model}  (transformers: {_auto_class(layout)}.from_pretrained)"))
    elif status.training is None:
        places.append(("next", f"train on it: data: {{prepared: file://{layout.root}}}"))
    return places


def _auto_class(layout: StorageLayout) -> str:
    """Return the class of transformers that reads the exported model."""
    config = _read_json(layout.model / "config.json")
    (name,) = config["architectures"] if isinstance(config, dict) and config.get("architectures") else ("",)
    return next((auto for ending, auto in _AUTO_CLASSES.items() if name.endswith(ending)), "AutoModelForCausalLM")


def _read_json(path: Path) -> Any:
    """Return the content of a file that may not be there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SAMPLE_CHARACTERS else f"{line[: SAMPLE_CHARACTERS - 1]}…"
