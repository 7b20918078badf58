"""What a checkpoint consists of.

```
checkpoints/
  recovery.json                       rollbacks and what they skip; holds for all checkpoints
  step-000001000/
    state-00000-of-00002.safetensors  a rank's FP32 weights and moments, with an index of what they are pieces of
    trainer.json                      position, detector, configuration
    MANIFEST.json                     sizes and checksums; a checkpoint without it doesn't exist
    healthy.json                      added when enough clean steps have followed
```
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import Field

from pretrain_api.names import Reason
from pretrain_api.status import RollbackRecord, StatusModel

MANIFEST_FILE = "MANIFEST.json"
TRAINER_FILE = "trainer.json"
HEALTHY_FILE = "healthy.json"
RECOVERY_FILE = "recovery.json"
FORMAT_VERSION = 1
_DIRECTORY = re.compile(r"step-(\d{9,})")


def directory_name(step: int) -> str:
    """Return the name of the checkpoint after `step` steps."""
    return f"step-{step:09d}"


def step_of(directory: Path) -> int | None:
    """Return the step a checkpoint's directory is named after; None for other names."""
    match = _DIRECTORY.fullmatch(directory.name)
    return int(match.group(1)) if match else None


def state_file(rank: int, world_size: int) -> str:
    """Return the name of a rank's file."""
    return f"state-{rank:05d}-of-{world_size:05d}.safetensors"


class FileEntry(StatusModel):
    """A file of a checkpoint."""

    path: str
    size: int
    xxh3: str


class Manifest(StatusModel):
    """MANIFEST.json."""

    manifest_version: int = FORMAT_VERSION
    step: int
    sequences: int
    tokens: int
    time: str
    generation: int
    """Rollbacks before it: tells a surviving checkpoint from one that a rollback took back."""
    world_size: int
    outputs: list[FileEntry]


class TrainerState(StatusModel):
    """trainer.json: everything but tensors."""

    step: int
    sequences: int
    """Consumed sequences."""
    tokens: int
    generation: int
    skipped: list[list[int]]
    """Ranges [from, to) of the global sample index that were left out so far."""
    detector: dict[str, Any]
    configuration: dict[str, str]
    """Hashes of the parts of the job that a checkpoint depends on."""
    training_seconds: float
    """Time spent on the steps of the surviving trajectory."""
    loss_scale: float | None = None


class RecoveryLog(StatusModel):
    """recovery.json: what rollbacks decided. Replaced atomically; this is the moment at which a rollback happens."""

    rollbacks: list[RollbackRecord] = Field(default_factory=list)
    skipped: list[list[int]] = Field(default_factory=list)
    requests: list[str] = Field(default_factory=list)
    """Ids of the rollbacks that a person asked for and that were done or refused."""

    @property
    def generation(self) -> int:
        """Number of rollbacks."""
        return len(self.rollbacks)

    @property
    def automatic(self) -> list[RollbackRecord]:
        """The rollbacks that nobody asked for: `spec.stability.rollback` is about these."""
        return [rollback for rollback in self.rollbacks if rollback.reason != Reason.REQUESTED_BY_USER]

    def survives(self, step: int, generation: int) -> bool:
        """Return whether a checkpoint is on the surviving trajectory: no later rollback went back beyond it."""
        return all(step <= rollback.resumed_from_step for rollback in self.rollbacks[generation:])
