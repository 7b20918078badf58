"""Numbers and times as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return 0:07, 12:34, 1:02:03 or 20 d 14 h."""
    whole = int(max(0.0, seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def count(value: float) -> str:
    """Return 1,234 or, from a million on, 12.3M."""
    if value < 1_000_000:
        return f"{value:,.0f}"
    for suffix, factor in (("T", 1e12), ("B", 1e9), ("M", 1e6)):
        if value >= factor:
            return f"{value / factor:.3g}{suffix}"
    return f"{value:,.0f}"


def loss(value: float) -> str:
    """Return 3.142."""
    return f"{value:.3f}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Return "1 document", "2 documents"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
