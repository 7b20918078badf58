"""Figures of benchmarks: one table for people, or with JSON=1 one line of JSON a figure, in all benchmarks alike."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

_MOST = ("seconds", "MiB", "bytes", "cores", "requests")
"""Units of which less is better; of all others more is."""


@dataclass(frozen=True)
class Figure:
    """What was measured.

    Attributes:
        name: What it says.
        value: The figure.
        unit: Its unit.
        goal: What it should reach: at most, where less is better, else at least; in `unit`, or as a ratio to the peer.
        peer: Whom it is compared with.
        peer_value: The peer's figure, of the same run.
        goal_is_ratio: Whether `goal` is a ratio to the peer.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    peer: str | None = None
    peer_value: float | None = None
    goal_is_ratio: bool = False

    @property
    def less_is_better(self) -> bool:
        """Is a small figure a good one?"""
        return self.unit.split(" ")[0] in _MOST

    @property
    def ratio(self) -> float | None:
        """How many times as good as the peer's; None: there is no peer."""
        if not self.peer_value or not self.value:
            return None
        return self.peer_value / self.value if self.less_is_better else self.value / self.peer_value

    @property
    def reached(self) -> bool | None:
        """Is the goal reached? None: there is none."""
        if self.goal is None:
            return None
        if self.goal_is_ratio:
            return self.ratio is not None and self.ratio >= self.goal
        return self.value <= self.goal if self.less_is_better else self.value >= self.goal

    def to_json(self) -> str:
        """Return the figure as a line of JSON."""
        return json.dumps(
            {
                "name": self.name,
                "value": self.value,
                "unit": self.unit,
                "goal": self.goal,
                "peer": self.peer,
                "peerValue": self.peer_value,
                "ratio": self.ratio,
            },
            ensure_ascii=False,
        )


def show(figures: Iterable[Figure], output: TextIO = sys.stdout) -> None:
    """Print figures: with JSON=1 in the environment one line a figure, else a table."""
    if os.environ.get("JSON") == "1":
        for figure in figures:
            print(figure.to_json(), file=output)
        return
    rows = [_HEAD, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        cells = [cell.ljust(widths[0]) if not place else cell.rjust(widths[place]) for place, cell in enumerate(row)]
        print("  ".join(cells).rstrip(), file=output)


def markdown(figures: Iterable[Figure]) -> str:
    """Return figures as a table for a document."""
    rows = [_HEAD, ("---",) + ("---:",) * (len(_HEAD) - 1), *(_row(figure) for figure in figures)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def machine(packages: Sequence[str] = ()) -> str:
    """Return in a line what the figures were measured on: processor, cores, memory, versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [_processor(), f"{os.cpu_count()} cores", f"{memory:.0f} GiB", f"Linux {platform.release()}"]
    return ", ".join([*parts, f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


_HEAD = ("figure", "value", "unit", "goal", "peer", "its value", "ratio")


def _row(figure: Figure) -> tuple[str, ...]:
    goal = ""
    if figure.goal is not None:
        sign = "≤" if figure.less_is_better and not figure.goal_is_ratio else "≥"
        goal = f"{sign} {_number(figure.goal)}{' ×' if figure.goal_is_ratio else ''} {'✓' if figure.reached else '✗'}"
    return (
        figure.name,
        _number(figure.value),
        figure.unit,
        goal,
        figure.peer or "",
        _number(figure.peer_value),
        f"{_number(figure.ratio)} ×" if figure.ratio is not None else "",
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
