"""Keeps a status small, whatever is put into it: an object of the API server has 1.5 MB for everything."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pretrain_api.status import MAX_SOURCES_SHOWN, PreparationStage, PretrainJobStatus

MAX_STATUS_BYTES = 100_000
MAX_CONDITION_BYTES = 4096
MAX_MESSAGE_BYTES = 1024
MAX_REASON_BYTES = 128
MAX_ROLLBACKS = 20
"""All of them are in the ledger."""
MAX_ENDINGS = 300
MAX_REMOVAL_REASONS = 40
"""Of a stage: those that removed most."""
MAX_SOURCE_NAME_BYTES = 128


def bound(status: PretrainJobStatus) -> None:
    """Cut what is too long in place, so that the status has at most `MAX_STATUS_BYTES` as JSON."""
    for condition in status.conditions:
        condition.reason = cut(condition.reason, MAX_REASON_BYTES)
        condition.message = cut(condition.message, MAX_CONDITION_BYTES)
    for stage in _stages(status):
        _bound_stage(stage)
    _bound_sources(status)
    status.rollbacks = status.rollbacks[-MAX_ROLLBACKS:]
    for record in status.rollbacks:
        record.reason = cut(record.reason, MAX_REASON_BYTES)
    if status.refused_rollback is not None:
        status.refused_rollback.message = cut(status.refused_rollback.message, MAX_MESSAGE_BYTES)
    restarts = status.restarts
    restarts.recent = restarts.recent[-MAX_ENDINGS:]
    if restarts.last is not None:
        restarts.last.reason = cut(restarts.last.reason, MAX_REASON_BYTES)
        restarts.last.message = cut(restarts.last.message, MAX_MESSAGE_BYTES)


def cut(text: str, most: int) -> str:
    """Return `text`, shortened where it has more than `most` bytes as a JSON string."""
    kept = text
    while (size := len(json.dumps(kept, ensure_ascii=False).encode())) > most:
        kept = kept[: min(len(kept) - 2, len(kept) * most // size)] + "…"
    return kept


def _stages(status: PretrainJobStatus) -> Iterator[PreparationStage]:
    if status.data_preparation is not None:
        yield from status.data_preparation.stages
    if status.report is not None:
        yield status.report


def _bound_sources(status: PretrainJobStatus) -> None:
    """Cut what a trainer of another version might have sent."""
    if status.training is not None and status.training.sources is not None:
        status.training.sources = status.training.sources[:MAX_SOURCES_SHOWN]
        for source in status.training.sources:
            source.name = cut(source.name, MAX_SOURCE_NAME_BYTES)


def _bound_stage(stage: PreparationStage) -> None:
    if stage.message is not None:
        stage.message = cut(stage.message, MAX_MESSAGE_BYTES)
    removed = stage.removed or {}
    if len(removed) > MAX_REMOVAL_REASONS:
        most = sorted(removed, key=lambda reason: (-removed[reason], reason))[:MAX_REMOVAL_REASONS]
        stage.removed = {reason: removed[reason] for reason in sorted(most)}
