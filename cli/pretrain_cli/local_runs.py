"""Runs in directories of this machine, as the commands for jobs see them."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path
from typing import Any

from pretrain_api.status import PretrainJobStatus
from pretrain_cli.errors import UsageError
from pretrain_operator.local.workdir import LOCK_NAME, MARKER_NAME, Workdir

RUNS = Path("runs")
"""Where `pretrain run` puts its directories."""


class LocalRun:
    """A directory of a run."""

    def __init__(self, directory: Path) -> None:
        """Take a directory.

        Raises:
            UsageError: It isn't one of a run.
        """
        self.directory = directory
        self.workdir = Workdir(directory)
        marker = self.workdir.marker()
        if marker is None:
            raise UsageError(f"{directory} isn't the directory of a run: it has no {MARKER_NAME}; give its --workdir")
        self.name = marker.job or directory.name

    def job(self) -> dict[str, Any]:
        """Return the resolved job; only its name where the file is gone."""
        return self.workdir.previous_job() or {"metadata": {"name": self.name}, "spec": {}}

    def status(self) -> PretrainJobStatus:
        """Return the status as it was written last."""
        return self.workdir.read_status()

    def document(self) -> dict[str, Any]:
        """Return the run as a PretrainJob with its status, in wire form."""
        status = self.status().model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"apiVersion": "pretrain.dev/v1alpha1", "kind": "PretrainJob", **self.job(), "status": status}

    def process(self) -> int | None:
        """Return the id of the `pretrain run` that works in the directory; None: there is none.

        The lock says whether there is one, and its holder has the file open: so an id that was used again isn't
        taken for it.
        """
        path = self.directory / LOCK_NAME
        try:
            with path.open("r+", encoding="ascii") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pid = lock.read().strip()
                    return int(pid) if pid.isdecimal() and _has_open(int(pid), path) else None
        except FileNotFoundError:
            return None
        return None

    def stop(self) -> int | None:
        """Ask the run to stop as Ctrl-C does; return its process, None where nothing runs."""
        pid = self.process()
        if pid is not None:
            os.kill(pid, signal.SIGINT)
        return pid

    def ledger(self) -> list[dict[str, Any]]:
        """Return the lines of ledger.jsonl; a last one that isn't whole yet is left out."""
        try:
            lines = self.workdir.layout.ledger.read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines[:-1] if line.startswith("{") and line.endswith("}")]


def local_runs(parent: Path = RUNS) -> list[LocalRun]:
    """Return the runs below a directory, by name."""
    return [LocalRun(marker.parent) for marker in sorted(parent.glob(f"*/{MARKER_NAME}"))]


def is_run(directory: Path) -> bool:
    """Is it the directory of a run?"""
    return (directory / MARKER_NAME).is_file()


def _has_open(pid: int, path: Path) -> bool:
    descriptors = Path(f"/proc/{pid}/fd")
    if not descriptors.parent.parent.joinpath("self").exists():
        return True  # no /proc: the lock alone has to do
    wanted = path.resolve()
    try:
        return any(descriptor.resolve() == wanted for descriptor in descriptors.iterdir())
    except OSError:
        return False
