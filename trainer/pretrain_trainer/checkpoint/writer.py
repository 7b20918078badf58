"""Writing a checkpoint while training goes on."""

from __future__ import annotations

import logging
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pretrain_trainer.checkpoint.layout import (
    MANIFEST_FILE,
    TRAINER_FILE,
    FileEntry,
    Manifest,
    TrainerState,
    directory_name,
    state_file,
)
from pretrain_trainer.checkpoint.snapshot import Snapshot
from pretrain_trainer.checkpoint.store import StoredCheckpoint, file_entry
from pretrain_trainer.files import remove_tree, sync_directory, sync_file, write_atomically
from pretrain_trainer.ledger import utc_now

logger = logging.getLogger(__name__)


@dataclass
class PendingCheckpoint:
    """A checkpoint that is being written: this rank's file first, then, on rank 0, the manifest."""

    state: TrainerState
    directory: Path
    part: Future[None]
    commit: Future[StoredCheckpoint] | None = None


class CheckpointWriter:
    """Writes this rank's part of a checkpoint in a thread; rank 0 completes it when all parts are there."""

    def __init__(self, root: Path, rank: int, world_size: int) -> None:
        self.root, self.rank, self.world_size = root, rank, world_size
        self.pending: PendingCheckpoint | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")

    def start(self, snapshot: Snapshot, state: TrainerState) -> None:
        """Begin to write; the one before must be done."""
        if self.pending is not None:
            raise RuntimeError("a checkpoint is still being written")
        directory = self.root / f".{directory_name(state.step)}.tmp"
        part = self._thread.submit(self._write_part, directory, snapshot)
        self.pending = PendingCheckpoint(state, directory, part)

    def part_state(self) -> tuple[bool, bool]:
        """Return whether this rank's part is (written, failed)."""
        if self.pending is None or not self.pending.part.done():
            return False, False
        failed = self.pending.part.exception() is not None
        return not failed, failed

    def wait_for_part(self) -> OSError | None:
        """Wait for this rank's part; return what went wrong."""
        assert self.pending is not None
        return _os_error(self.pending.part)

    def commit(self) -> None:
        """On rank 0, when all parts are there: begin to write the manifest and give the checkpoint its name."""
        assert self.pending is not None
        if self.pending.commit is None:
            self.pending.commit = self._thread.submit(self._commit, self.pending.directory, self.pending.state)

    def wait_for_commit(self) -> StoredCheckpoint | OSError:
        """Wait until the checkpoint has its name; return it, or what went wrong."""
        assert self.pending is not None
        assert self.pending.commit is not None
        error = _os_error(self.pending.commit)
        result = error if error is not None else self.pending.commit.result()
        self.pending = None
        return result

    @property
    def committing(self) -> bool:
        """Whether the manifest has been begun."""
        return self.pending is not None and self.pending.commit is not None

    @property
    def committed(self) -> bool:
        """Whether `wait_for_commit` returns at once."""
        return self.pending is not None and self.pending.commit is not None and self.pending.commit.done()

    def forget(self) -> None:
        """Let go of the pending checkpoint: it is complete, or to be given up. Rank 0 removes what is left of it."""
        if self.pending is not None:
            _os_error(self.pending.part)
            if self.rank == 0:
                shutil.rmtree(self.pending.directory, ignore_errors=True)
        self.pending = None

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True)

    def _write_part(self, directory: Path, snapshot: Snapshot) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / state_file(self.rank, self.world_size)
        snapshot.save(path)
        sync_file(path)
        entry = file_entry(path)
        write_atomically(_entry_path(directory, self.rank), entry.model_dump_json().encode())

    def _commit(self, directory: Path, state: TrainerState) -> StoredCheckpoint:
        started = time.monotonic()
        write_atomically(directory / TRAINER_FILE, state.model_dump_json(by_alias=True).encode())
        entries = [
            FileEntry.model_validate_json(_entry_path(directory, r).read_bytes()) for r in range(self.world_size)
        ]
        entries.append(file_entry(directory / TRAINER_FILE))
        for rank in range(self.world_size):
            _entry_path(directory, rank).unlink()
        manifest = Manifest(
            step=state.step,
            sequences=state.sequences,
            tokens=state.tokens,
            time=utc_now(),
            generation=state.generation,
            world_size=self.world_size,
            outputs=entries,
        )
        write_atomically(directory / MANIFEST_FILE, manifest.model_dump_json(by_alias=True, indent=1).encode())
        final = self.root / directory_name(state.step)
        remove_tree(final)  # an unreadable one of the same step
        directory.rename(final)
        sync_directory(self.root)
        logger.info("checkpoint %s: committed in %.2f s", final.name, time.monotonic() - started)
        return StoredCheckpoint(final, manifest)


def _entry_path(directory: Path, rank: int) -> Path:
    return directory / f"entry-{rank:05d}.json"


def _os_error(future: Future[object] | Future[None] | Future[StoredCheckpoint]) -> OSError | None:
    """Wait; return an error of the file system, raise any other.

    safetensors wraps what the system says into an exception of its own.
    """
    error = future.exception()
    if error is None or isinstance(error, OSError):
        return error
    if type(error).__name__ == "SafetensorError":
        return OSError(str(error))
    raise error
