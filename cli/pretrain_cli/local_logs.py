"""Files of a local run as they grow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from pretrain_cli.local_runs import LocalRun

LOOK_SECONDS = 0.2


def last_lines(path: Path, number: int | None) -> list[str]:
    """Return the last lines of a file, or all; none where there is no file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return lines if number is None else lines[max(0, len(lines) - number) :]


def follow_lines(path: Path, run: LocalRun, start: int = 0) -> Iterator[str]:
    """Yield the whole lines of a file from a byte on, as they are written, until the run has ended."""
    position, rest = start, b""
    while True:
        works = run.process() is not None
        if path.exists():
            with path.open("rb") as file:
                file.seek(position)
                data = file.read()
            position += len(data)
            *whole, rest = (rest + data).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
        if not works:
            return
        time.sleep(LOOK_SECONDS)
