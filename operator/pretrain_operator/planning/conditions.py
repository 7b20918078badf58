"""Conditions of a status: set, read, with transition times that move only when the status of a condition does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pretrain_api.names import ConditionType
from pretrain_api.status import Condition, PretrainJobStatus

_ORDER = list(ConditionType)


def timestamp(moment: datetime) -> str:
    """Return RFC 3339 in UTC to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    """Return the moment that `timestamp` wrote."""
    return datetime.fromisoformat(text)


def get_condition(status: PretrainJobStatus, kind: ConditionType) -> Condition | None:
    """Return the condition of a kind; None: it hasn't been set yet."""
    return next((condition for condition in status.conditions if condition.type == kind), None)


def is_true(status: PretrainJobStatus, kind: ConditionType) -> bool:
    """Is the condition there and True?"""
    condition = get_condition(status, kind)
    return condition is not None and condition.status == "True"


def set_condition(
    status: PretrainJobStatus, kind: ConditionType, value: bool, reason: str, message: str, now: datetime
) -> None:
    """Set a condition in place."""
    before = get_condition(status, kind)
    text: Literal["True", "False"] = "True" if value else "False"
    since = before.last_transition_time if before is not None and before.status == text else timestamp(now)
    condition = Condition(
        type=kind,
        status=text,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=status.observed_generation,
    )
    others = [other for other in status.conditions if other.type != kind]
    status.conditions = sorted([*others, condition], key=lambda each: _ORDER.index(each.type))
