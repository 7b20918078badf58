"""What node 0's supervisor has to remember when it is replaced: `supervisor.json` in the job's storage."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from pydantic import Field, ValidationError

from pretrain_api.status import Restarts, StatusModel
from pretrain_trainer.supervisor.goodput import UsefulTime
from pretrain_trainer.supervisor.logs import LOGGER

RECORD_FILE = "supervisor.json"


class Record(StatusModel):
    """The trainer's life so far."""

    generation: int = 0
    running: bool = False
    """Was that generation running when this was written? If the next supervisor reads so, it ended without a word."""
    first_started: float = Field(default_factory=time.time)
    """Seconds since the epoch."""
    restarts: Restarts = Field(default_factory=Restarts)
    restarts_by_reason: dict[str, int] = Field(default_factory=dict)
    counted_restarts: list[float] = Field(default_factory=list)
    """When they took place, in seconds since the epoch; those of the budget's window."""
    useful_time: UsefulTime = Field(default_factory=UsefulTime)

    def goodput(self, time: float) -> float:
        """Return the share of useful time at `time` (seconds since the epoch), from 0 to 1."""
        lived = time - self.first_started
        return min(1.0, self.useful_time.seconds / lived) if lived > 0 else 0.0


def load_record(storage: Path) -> Record:
    """Read the record; a new one where there is none, or where it can't be understood (it is bookkeeping only)."""
    path = storage / RECORD_FILE
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Record()
    except ValidationError as error:
        LOGGER.warning("%s: %s; counting restarts and goodput anew", path, error.errors()[0]["msg"])
        return Record()


def save_record(storage: Path, record: Record) -> None:
    """Replace the record atomically; raise OSError if the storage can't be written."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{RECORD_FILE}.", dir=storage)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(record.model_dump_json(by_alias=True))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(storage / RECORD_FILE)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
