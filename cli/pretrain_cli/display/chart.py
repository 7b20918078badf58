"""A curve as text: dots of braille characters, two across and four down in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import quantiles

from pretrain_api.quantities import humanize_tokens

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character by row and column."""
_BLANK = 0x2800
MARK = "◆"

Points = Sequence[tuple[float, float]]


def chart(curve: Points, marks: Points, width: int, height: int) -> list[str]:
    """Return lines that show a curve, marks on it, and both axes.

    Args:
        curve: (step, value), in order of steps; every value is finite.
        marks: Single points, shown as ◆.
        width: Characters of a line, labels included; at least 20.
        height: Lines of the plot itself; at least 2.

    Raises:
        ValueError: There is no point.
    """
    if not curve:
        raise ValueError("there is nothing to plot")
    low, high = _limits([value for _, value in (*curve, *marks)])
    labels = _labels(low, high, height)
    margin = max(len(label) for label in labels)
    columns = width - margin - 2
    first, last = curve[0][0], max(curve[-1][0], curve[0][0] + 1)

    def place(point: tuple[float, float]) -> tuple[int, int]:
        across = (point[0] - first) / (last - first)
        down = (high - min(max(point[1], low), high)) / (high - low)
        return round(across * (2 * columns - 1)), round(down * (4 * height - 1))

    canvas = _draw([place(point) for point in curve], columns, height)
    for mark in marks:
        across, down = place(mark)
        if 0 <= across < 2 * columns:
            canvas[down // 4][across // 2] = MARK
    rows = [f"{label:>{margin}} ┤{''.join(row)}".rstrip() for label, row in zip(labels, canvas, strict=True)]
    left, right = f"{first:,.0f}", f"step {last:,.0f}"
    return [*rows, f"{'':>{margin}} └{'─' * columns}", f"{'':>{margin}}  {left}{right:>{columns - len(left)}}"]


def _draw(places: list[tuple[int, int]], columns: int, height: int) -> list[list[str]]:
    """Join the places by lines."""
    bits = [[0] * columns for _ in range(height)]
    before = places[0]
    for across, down in places:
        steps = max(abs(across - before[0]), abs(down - before[1]), 1)
        for step in range(steps + 1):
            x = round(before[0] + (across - before[0]) * step / steps)
            y = round(before[1] + (down - before[1]) * step / steps)
            bits[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
        before = across, down
    return [[chr(_BLANK + bit) if bit else " " for bit in row] for row in bits]


def _limits(values: list[float]) -> tuple[float, float]:
    """Cut off what is so far out that the rest would be a flat line, as the report's plot does."""
    low, high = min(values), max(values)
    if len(values) >= 20:
        high = min(high, 3 * quantiles(values, n=20)[-1] - 2 * low)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _labels(low: float, high: float, height: int) -> list[str]:
    """Return a label a line, empty for most."""
    every = max(1, math.ceil(height / 5))
    shown = {*range(0, height - every // 2 - 1, every), height - 1}
    return [_number(high - (high - low) * row / max(1, height - 1)) if row in shown else "" for row in range(height)]


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else humanize_tokens(value)
