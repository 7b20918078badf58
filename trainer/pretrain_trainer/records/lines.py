"""JSON Lines files that follow the trajectory: appended to by step, cut back when training goes back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from pretrain_trainer.files import json_lines, write_atomically


class StepLines:
    """A file with one line a step (or fewer), in the order of the steps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def append(self, value: dict[str, Any]) -> None:
        """Add a line; it survives the end of this process, though not that of the machine."""
        if self._file is None:
            self._file = self.path.open("ab")
        self._file.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def sync(self) -> None:
        """Flush to the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def after(self, step: int) -> list[dict[str, Any]]:
        """Return the lines of steps after `step`."""
        return [line for line in json_lines(self.path) if line["step"] > step]

    def cut(self, step: int) -> None:
        """Remove the lines of steps after `step`, and a torn last line."""
        self.close()
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        kept = b"".join(
            json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            for line in json_lines(self.path)
            if line["step"] <= step
        )
        if kept != content:
            write_atomically(self.path, kept)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def move_discarded(metrics: StepLines, discarded: Path, step: int, rollback: int) -> None:
    """Copy the lines of `metrics` after `step` to `discarded`, marked with the rollback's number, from 1.

    Lines of a rollback that didn't come to pass, because the process ended before it was decided, are replaced.
    """
    kept = [line for line in json_lines(discarded) if line["rollback"] < rollback]
    moved = [line | {"rollback": rollback} for line in metrics.after(step)]
    lines = (json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in [*kept, *moved])
    write_atomically(discarded, "".join(line + "\n" for line in lines).encode())
