"""The checkpoints of a run on disk: which there are, which are valid, which stay."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import xxhash

from pretrain_api.spec.training import Checkpoint as CheckpointPolicy
from pretrain_api.status import CheckpointStatus
from pretrain_trainer.checkpoint.layout import (
    HEALTHY_FILE,
    MANIFEST_FILE,
    RECOVERY_FILE,
    FileEntry,
    Manifest,
    RecoveryLog,
    step_of,
)
from pretrain_trainer.errors import InvalidData
from pretrain_trainer.files import remove_tree, write_atomically, write_json
from pretrain_trainer.ledger import utc_now

_CHUNK_BYTES = 1 << 24
logger = logging.getLogger(__name__)


def file_entry(path: Path) -> FileEntry:
    """Return name, size and checksum (xxh3, 128 bits) of a file."""
    digest = xxhash.xxh3_128()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return FileEntry(path=path.name, size=size, xxh3=digest.hexdigest())


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint whose manifest could be read."""

    directory: Path
    manifest: Manifest

    @property
    def step(self) -> int:
        """Steps done."""
        return self.manifest.step

    @property
    def healthy(self) -> bool:
        """Whether enough clean steps followed."""
        return (self.directory / HEALTHY_FILE).exists()

    def damage(self, entry: FileEntry) -> str | None:
        """Return what is wrong with a file; None if it is as it was written."""
        path = self.directory / entry.path
        try:
            found = file_entry(path)
        except OSError as error:
            return f"{path}: {error.strerror or error}"
        if found.size != entry.size:
            return f"{path}: has {found.size} bytes instead of {entry.size}"
        return None if found.xxh3 == entry.xxh3 else f"{path}: its checksum is not the one that was written"

    def status(self, root: Path) -> CheckpointStatus:
        """Return how status shows it."""
        manifest = self.manifest
        uri = str(self.directory.relative_to(root))
        return CheckpointStatus(step=manifest.step, tokens=manifest.tokens, time=manifest.time, uri=uri)


class CheckpointStore:
    """The directory of all checkpoints. Only rank 0 changes it, but for the files of a checkpoint being written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read_recovery(self) -> RecoveryLog:
        """Return what rollbacks decided.

        Raises:
            InvalidData: The file is damaged.
        """
        path = self.directory / RECOVERY_FILE
        try:
            return RecoveryLog.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return RecoveryLog()
        except ValueError as error:
            cause = str(error).splitlines()[0]
            raise InvalidData(f"{path}: {cause}; restore it from a backup, or start anew with --fresh") from None

    def write_recovery(self, log: RecoveryLog) -> None:
        """Make a rollback happen."""
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomically(self.directory / RECOVERY_FILE, log.model_dump_json(by_alias=True, indent=1).encode())

    def checkpoints(self) -> tuple[list[StoredCheckpoint], list[tuple[Path, str]]]:
        """Return the checkpoints with a manifest, newest first, and the others with what is wrong with them."""
        found: list[StoredCheckpoint] = []
        damaged: list[tuple[Path, str]] = []
        for directory in sorted(self.directory.glob("step-*")):
            step = step_of(directory)
            if step is None:
                continue
            path = directory / MANIFEST_FILE
            try:
                manifest = Manifest.model_validate_json(path.read_bytes())
            except (OSError, ValueError) as error:
                damaged.append((directory, f"{path}: {str(error).splitlines()[0]}"))
                continue
            if manifest.step == step:
                found.append(StoredCheckpoint(directory, manifest))
            else:
                damaged.append((directory, f"{path}: is of step {manifest.step}"))
        return sorted(found, key=lambda checkpoint: -checkpoint.step), damaged

    def surviving(self, recovery: RecoveryLog) -> list[StoredCheckpoint]:
        """Return the checkpoints of the surviving trajectory, newest first."""
        found, _ = self.checkpoints()
        return [c for c in found if recovery.survives(c.step, c.manifest.generation)]

    def promote(self, checkpoint: StoredCheckpoint, step: int) -> None:
        """Call a checkpoint healthy."""
        write_json(checkpoint.directory / HEALTHY_FILE, {"step": step, "time": utc_now()})

    def discard(self, checkpoint: StoredCheckpoint) -> None:
        """Remove a checkpoint."""
        logger.info("removing %s", checkpoint.directory)
        remove_tree(checkpoint.directory)

    def set_aside(self, directory: Path) -> None:
        """Rename a damaged checkpoint, so that its name is free and it can still be looked at."""
        target = directory.with_name(directory.name + ".corrupt")
        remove_tree(target)
        directory.rename(target)

    def clean_up(self, recovery: RecoveryLog) -> None:
        """Remove what an earlier process left: temporary files, and checkpoints that a rollback took back."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for leftover in self.directory.glob(".*"):
            if leftover.is_dir():
                remove_tree(leftover)
            else:
                leftover.unlink()
        for checkpoint in self.checkpoints()[0]:
            if not recovery.survives(checkpoint.step, checkpoint.manifest.generation):
                self.discard(checkpoint)

    def retain(self, policy: CheckpointPolicy, recovery: RecoveryLog) -> None:
        """Remove what the policy doesn't keep."""
        checkpoints = self.surviving(recovery)
        kept = {c.step for c in kept_checkpoints(checkpoints, policy)}
        for checkpoint in checkpoints:
            if checkpoint.step not in kept:
                self.discard(checkpoint)


def kept_checkpoints(newest_first: list[StoredCheckpoint], policy: CheckpointPolicy) -> list[StoredCheckpoint]:
    """Return those that stay: the newest `keepLast`, multiples of `keepEverySteps`, and the newest healthy one."""
    kept = newest_first[: policy.keep_last]
    if policy.keep_every_steps:
        kept += [c for c in newest_first if c.step % policy.keep_every_steps == 0]
    kept += [c for c in newest_first if c.healthy][:1]
    return kept
