"""Kills what runs in pods, from the outside, as the kernel would."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

RANK = b"pretrain_trainer.rank"


def processes_of(pod: dict[str, Any]) -> list[int]:
    """Return the processes of a pod on this machine, oldest first."""
    marks = (pod["metadata"]["uid"], pod["metadata"]["uid"].replace("-", "_"))
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and any(mark in _read(path / "cgroup").decode() for mark in marks):
            found.append(int(path.name))
    return sorted(found)


def ranks_of(pod: dict[str, Any]) -> list[int]:
    """Return the processes of a trainer pod that train."""
    return [process for process in processes_of(pod) if b"RANK=" in _read(Path(f"/proc/{process}/environ"))]


def kill(processes: list[int]) -> None:
    """Kill them."""
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it ended with the one before


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""
