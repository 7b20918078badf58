"""What happened: the ledger's events, and the rollbacks among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pretrain_api.names import LedgerEvent, Reason
from pretrain_report import formats
from pretrain_report.storage import Records

MAX_EVENTS_SHOWN = 500

_TONES: dict[str, str] = {
    LedgerEvent.SPIKE: "bad",
    LedgerEvent.ROLLBACK: "bad",
    LedgerEvent.ROLLBACK_REFUSED: "bad",
    LedgerEvent.RESTART: "bad",
    LedgerEvent.HANG: "bad",
    LedgerEvent.CHECKPOINT_CORRUPT: "bad",
    LedgerEvent.FAILED: "bad",
    LedgerEvent.COMPLETE: "good",
    LedgerEvent.DATA_PREPARED: "good",
    LedgerEvent.VERDICT: "good",
    LedgerEvent.CHECKPOINT: "routine",
    LedgerEvent.CHECKPOINT_PROMOTED: "routine",
}
_COMMON_FIELDS = frozenset({"time", "event", "step", "sequences", "tokens", "wallSeconds", "message"})


@dataclass(frozen=True)
class EventRow:
    """A line of the table of events."""

    time: str
    elapsed: str
    name: str
    tone: str
    step: str
    tokens: str
    message: str


def event_rows(records: Records) -> list[EventRow]:
    """Return the newest 500 events, newest last, times in UTC."""
    rows: list[EventRow] = []
    times = [formats.parse_time(event.get("time")) for event in records.ledger]
    start = min((time for time in times if time), default=None)
    day = ""
    newest = list(zip(records.ledger, times, strict=True))[-MAX_EVENTS_SHOWN:]
    for event, time in newest:
        today = f"{time.day} {time:%b}" if time else ""
        shown = f"{time:%H:%M:%S}" if time else formats.MISSING
        rows.append(
            EventRow(
                time=shown if today == day else f"{today} {shown}".strip(),
                elapsed=f"+{formats.duration((time - start).total_seconds())}" if time and start else "",
                name=str(event["event"]).replace("-", " "),
                tone=_tone(event),
                step=_count(event.get("step")),
                tokens=formats.compact(event["tokens"]) if isinstance(event.get("tokens"), int) else formats.MISSING,
                message=_message(event),
            )
        )
        day = today
    return rows


def _tone(event: dict[str, Any]) -> str:
    if event["event"] == LedgerEvent.VERDICT and event.get("recovered") is False:
        return "bad"
    return _TONES.get(str(event["event"]), "neutral")


def _count(value: Any) -> str:
    return formats.count(value) if isinstance(value, int) else formats.MISSING


def _message(event: dict[str, Any]) -> str:
    if event.get("message"):
        return str(event["message"])
    details = {name: value for name, value in event.items() if name not in _COMMON_FIELDS and _is_plain(value)}
    return ", ".join(f"{name} {value}" for name, value in details.items())


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and value != ""


def _loss(value: Any) -> str:
    return formats.decimals(value) if isinstance(value, (int, float)) else formats.MISSING


@dataclass(frozen=True)
class RollbackRow:
    """A line of the table of rollbacks."""

    number: int
    reason: str
    detected: str
    resumed: str
    skipped: str
    loss: str
    baseline: str
    recovered: str


def rollback_rows(records: Records) -> list[RollbackRow]:
    """Return the rollbacks as the ledger has them (as status.json has them, where the ledger says too little)."""
    told = _rollbacks_of_ledger(records.ledger)
    if not any("detectedAtStep" in rollback for rollback in told):
        from_status = [one.model_dump(by_alias=True) for one in records.status.rollbacks] if records.status else []
        told = from_status or told
    return [_rollback_row(number, rollback, number == len(told)) for number, rollback in enumerate(told, start=1)]


def _rollbacks_of_ledger(ledger: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each rollback with the loss of the spike before it and the verdict after it."""
    found: list[dict[str, Any]] = []
    spike: dict[str, Any] = {}
    for event in ledger:
        if event["event"] == LedgerEvent.SPIKE:
            spike = {name: event[name] for name in ("loss", "baseline") if name in event}
        elif event["event"] == LedgerEvent.ROLLBACK:
            found.append(event if event.get("reason") == Reason.REQUESTED_BY_USER else {**spike, **event})
        elif event["event"] == LedgerEvent.VERDICT and found and "recovered" in event:
            found[-1]["recovered"] = event["recovered"]
    return found


def _rollback_row(number: int, event: dict[str, Any], newest: bool) -> RollbackRow:
    skipped = event.get("skippedSequences")
    span = formats.MISSING
    if isinstance(skipped, dict) and isinstance(skipped.get("from"), int) and isinstance(skipped.get("to"), int):
        count = skipped["to"] - skipped["from"]
        span = f"{formats.count(count)} ({formats.count(skipped['from'])} to {formats.count(skipped['to'])})"
    return RollbackRow(
        number=number,
        reason=str(event.get("reason") or formats.MISSING),
        detected=_count(event.get("detectedAtStep", event.get("step"))),
        resumed=_count(event.get("resumedFromStep")),
        skipped=span,
        loss="not finite" if event.get("loss", 0) is None else _loss(event.get("loss")),
        baseline=_loss(event.get("baseline")),
        recovered=_verdict(event, newest),
    )


def _verdict(event: dict[str, Any], newest: bool) -> str:
    recovered = event.get("recovered")
    if event.get("reason") == Reason.REQUESTED_BY_USER:
        return formats.MISSING
    if isinstance(recovered, bool):
        return "yes" if recovered else "no"
    return "not known yet" if newest else "no, spiked again"
