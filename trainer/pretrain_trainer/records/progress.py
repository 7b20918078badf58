"""What the supervisor is told while the rank runs: that it lives, and how far training is."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pretrain_api.wire import TerminationMessage, TrainerProgress
from pretrain_trainer import rank_protocol
from pretrain_trainer.environment import RankEnvironment
from pretrain_trainer.files import write_atomically


class Heartbeat:
    """A file that is touched whenever the rank gets somewhere."""

    def __init__(self, environment: RankEnvironment) -> None:
        self._path = rank_protocol.heartbeat_path(environment.run_directory, environment.local_rank)
        self._path.touch()

    def beat(self) -> None:
        """Say that this rank lives."""
        os.utime(self._path)


class ProgressFile:
    """progress.json, replaced at most five times a second, or at once when the state changes."""

    def __init__(self, environment: RankEnvironment) -> None:
        self._path: Path | None = None
        if environment.rank == 0:
            self._path = rank_protocol.progress_path(environment.run_directory)
        self._written_at = 0.0
        self._said = ("", "")

    def due(self, state: str, message: str) -> bool:
        """Return whether it is time to write again."""
        if self._path is None:
            return False
        return (
            state,
            message,
        ) != self._said or time.monotonic() - self._written_at >= rank_protocol.PROGRESS_INTERVAL_SECONDS

    def write(self, progress: TrainerProgress) -> None:
        """Replace the file."""
        if self._path is None:
            return
        write_atomically(self._path, progress.model_dump_json(by_alias=True).encode(), durable=False)
        self._written_at, self._said = time.monotonic(), (progress.state, progress.message)


def write_result(environment: RankEnvironment, result: TerminationMessage) -> None:
    """Say why this rank ends."""
    path = rank_protocol.result_path(environment.run_directory, environment.local_rank)
    write_atomically(path, result.to_json().encode(), durable=False)
