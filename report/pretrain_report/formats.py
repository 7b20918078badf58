"""Numbers, sizes and times as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

MISSING = "–"


def count(value: float | None) -> str:
    """Return a whole number with thousands separated: 12,345."""
    return MISSING if value is None else f"{value:,.0f}"


def compact(value: float | None) -> str:
    """Return three digits with a decimal unit: 1.23 M."""
    if value is None:
        return MISSING
    if abs(value) < 9_999.5:
        return f"{value:,.0f}"
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(value) >= limit * 0.9995:
            return f"{_digits(value / limit)} {unit}"
    return f"{_digits(value / 1e3)} K"


def tick(value: float) -> str:
    """Return the label of an axis: like `compact`, without zeros at the end."""
    return compact(value).replace(".00 ", " ").replace(".0 ", " ")


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def tokens(value: float | None) -> str:
    """Return a number of tokens as it would be written in a job where that is exact: 256Ki, 4M, 6,750."""
    if value is None:
        return MISSING
    for size, unit in ((1 << 40, "Ti"), (10**12, "T"), (1 << 30, "Gi"), (10**9, "B"), (1 << 20, "Mi"), (10**6, "M")):
        if value >= size and value % size == 0:
            return f"{value // size:.0f}{unit}"
    if value >= 1024 and value % 1024 == 0 and value < 1 << 30:
        return f"{value // 1024:,.0f}Ki"
    return compact(value)


def size(value: float | None) -> str:
    """Return bytes with a decimal unit: 10.2 MB."""
    if value is None:
        return MISSING
    for limit, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit * 0.9995:
            return f"{_digits(value / limit)} {unit}"
    return f"{value:.0f} bytes"


def perplexity(loss: float) -> str:
    """Return e to the power of a loss in nats a token."""
    return f"{math.exp(loss):,.1f}" if loss < 30 else "over 10¹³"


def decimals(value: float | None, places: int = 3) -> str:
    """Return a number with a fixed number of decimals; one that isn't finite says so."""
    if value is None:
        return MISSING
    return f"{value:,.{places}f}" if math.isfinite(value) else "not finite"


def scientific(value: float | None) -> str:
    """Return a small number such as a learning rate: 3e-4."""
    if value is None:
        return MISSING
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}" if value else "0"


def number_of(value: int, noun: str) -> str:
    """Return a number with its noun: 1 step, 2 steps."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def percentage(part: float | None, whole: float | None = 1.0) -> str:
    """Return a share: 12.3 %."""
    if part is None or not whole:
        return MISSING
    share = 100 * part / whole
    return "< 0.1 %" if 0 < share < 0.1 else f"{share:.1f} %"


def duration(seconds: float | None) -> str:
    """Return a length of time in its two largest units: 4 min 12 s, 3 h 5 min, 2 d 7 h."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 59.95:
        return f"{max(seconds, 0):.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    for large, small, big, little in ((86400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large} {big} {rest} {little}" if rest else f"{whole // large} {big}"
    return f"{whole} s"


def parse_time(text: Any) -> datetime | None:
    """Return an RFC 3339 time in UTC; None where it isn't one."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def moment(value: datetime | None) -> str:
    """Return a time in full: 22 Nov 2026, 05:44:03 UTC."""
    return f"{value.day} {value:%b %Y, %H:%M:%S} UTC" if value else MISSING
