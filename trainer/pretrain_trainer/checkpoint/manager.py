"""Saving and restoring: what all ranks do together."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from pretrain_api.names import LedgerEvent, Reason
from pretrain_api.spec.training import Checkpoint as CheckpointPolicy
from pretrain_api.status import Checkpoints
from pretrain_api.wire import StorageLayout
from pretrain_trainer.checkpoint.layout import TRAINER_FILE, RecoveryLog, TrainerState, state_file
from pretrain_trainer.checkpoint.snapshot import (
    RNG_CPU,
    RNG_DEVICE,
    HostBuffers,
    SavedState,
    load_state,
    take_snapshot,
)
from pretrain_trainer.checkpoint.store import CheckpointStore, StoredCheckpoint
from pretrain_trainer.checkpoint.writer import CheckpointWriter
from pretrain_trainer.engine.training_engine import TrainingEngine
from pretrain_trainer.errors import TemporaryFailure

MAX_FAILURES_IN_A_ROW = 3
"""Checkpoints that couldn't be written, one after the other, after which training stops."""
logger = logging.getLogger(__name__)

EventLog = Callable[..., None]
"""Writes (event, message, **fields) to the ledger; does nothing on ranks other than 0."""


@dataclass
class CheckpointManager:
    """The checkpoints of a run. Methods are collectives unless they say otherwise."""

    engine: TrainingEngine
    storage: StorageLayout
    policy: CheckpointPolicy
    log_event: EventLog
    beat: Callable[[], None]
    check: Callable[[TrainerState, Path], None]
    """Raises `InvalidConfiguration` where a checkpoint, whose path is given, isn't one of this job."""

    def __post_init__(self) -> None:
        group = self.engine.group
        self.store = CheckpointStore(self.storage.checkpoints)
        self.writer = CheckpointWriter(self.storage.checkpoints, group.rank, group.world_size)
        self.recovery = RecoveryLog()
        self.stored: list[StoredCheckpoint] = []
        """On rank 0: the surviving trajectory's checkpoints, newest first."""
        self.saved_step = 0
        self.saved_at = time.monotonic()
        self._buffers = HostBuffers()
        self._failures = 0

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0."""
        return self.engine.group.rank == 0

    def open(self) -> None:
        """Read what earlier processes left, and remove what they didn't finish."""
        if self.is_main:
            self.recovery = self.store.read_recovery()
            self.store.clean_up(self.recovery)
            self._refresh()
        self.recovery = RecoveryLog.model_validate(self.engine.group.from_rank_0(self.recovery.model_dump()))

    def due(self, step: int, clock_says_so: bool) -> bool:
        """Return whether a checkpoint is due after `step`; no collective."""
        if step == self.saved_step:
            return False
        return clock_says_so or bool(self.policy.every_steps and step % self.policy.every_steps == 0)

    def clock_due(self) -> bool:
        """Return whether everyMinutes have passed; no collective, asked on rank 0 only."""
        minutes = self.policy.every_minutes
        return self.is_main and minutes is not None and time.monotonic() - self.saved_at >= 60 * minutes

    def begin(self, state: TrainerState) -> None:
        """Copy the state to host memory and start to write it; waits for the one before."""
        self.finish()
        started = time.monotonic()
        self.writer.start(take_snapshot(self.engine, self._buffers), state)
        self.saved_step, self.saved_at = state.step, time.monotonic()
        logger.info("checkpoint at step %d: copied in %.3f s", state.step, self.saved_at - started)
        if not self.policy.async_:
            self.finish()

    def poll(self, parts_written: float, parts_failed: float) -> None:
        """Go on with the pending checkpoint, with what the ranks said at this step."""
        if self.writer.pending is None:
            return
        if self.writer.committing:  # rank 0 only: the others have let go of it and say nothing of it any more
            if self.writer.committed:
                self._complete()
        elif parts_failed:
            self._give_up(self.writer.wait_for_part())
        elif parts_written == self.engine.group.world_size:
            self._commit_in_background()

    def _commit_in_background(self) -> None:
        if self.is_main:
            self.writer.commit()
        else:
            self.writer.forget()

    def finish(self) -> None:
        """Wait until the pending checkpoint, if there is one on any rank, is complete or given up."""
        group = self.engine.group
        error: OSError | None = None
        if self.writer.pending is not None:
            error = self.writer.wait_for_part()
        failed, pending = group.sum([float(error is not None), float(self.writer.pending is not None)])
        if failed:
            self._give_up(error)
        elif self.is_main and self.writer.pending is not None:
            self.writer.commit()
            self._complete()
        elif pending:
            self.writer.forget()

    def _complete(self) -> None:
        """On rank 0: take note of a checkpoint that is on disk."""
        assert self.writer.pending is not None
        directory = self.writer.pending.directory
        result = self.writer.wait_for_commit()
        if isinstance(result, OSError):
            shutil.rmtree(directory, ignore_errors=True)
            self._count_failure(result)
            return
        self._failures = 0
        size = sum(entry.size for entry in result.manifest.outputs)
        message = f"checkpoint of {size / 1e6:.1f} MB at step {result.step}"
        self.log_event(LedgerEvent.CHECKPOINT, message, bytes=size, uri=self.storage.relative(result.directory))
        self.store.retain(self.policy, self.recovery)
        self._refresh()

    def _give_up(self, error: OSError | None) -> None:
        self.writer.forget()
        self._count_failure(error)

    def _count_failure(self, error: OSError | None) -> None:
        self._failures += 1
        cause = error or "another rank couldn't write its part; its log says why"
        logger.error("the checkpoint of step %d is not saved: %s; older ones are intact", self.saved_step, cause)
        if self._failures >= MAX_FAILURES_IN_A_ROW:
            self.fail(str(cause))

    def fail(self, cause: str) -> None:
        """Give up: state can't be saved. No collective.

        Raises:
            TemporaryFailure: Always.
        """
        raise TemporaryFailure(
            f"{self.storage.checkpoints}: {cause}; the newest checkpoints are intact: free space or enlarge the "
            "storage, then start again",
            reason=Reason.STORAGE_FULL,
        )

    def save_now(self, state: TrainerState) -> None:
        """Save and wait until the checkpoint is on disk.

        Raises:
            TemporaryFailure: It couldn't be written.
        """
        self.begin(state)
        self.finish()
        on_disk = self.engine.group.from_rank_0(any(c.step == state.step for c in self.stored))
        if not on_disk:
            self.fail(f"the checkpoint of step {state.step} could not be written")

    def promote(self, step: int, clean_streak: int, healthy_after_steps: int) -> None:
        """On rank 0, no collective: call those checkpoints healthy that enough clean steps have followed."""
        for checkpoint in self.stored:
            clean = min(step - checkpoint.step, clean_streak)
            if clean >= healthy_after_steps and not checkpoint.healthy:
                self.store.promote(checkpoint, step)
                message = f"checkpoint of step {checkpoint.step} is healthy: {clean} clean steps followed"
                self.log_event(LedgerEvent.CHECKPOINT_PROMOTED, message, checkpointStep=checkpoint.step)

    def status(self) -> Checkpoints:
        """On rank 0, no collective: return what status shows."""
        healthy = next((c for c in self.stored if c.healthy), None)
        return Checkpoints(
            latest=self.stored[0].status(self.storage.root) if self.stored else None,
            healthy=healthy.status(self.storage.root) if healthy else None,
        )

    def restore(self, before_step: int | None = None, healthy: bool = False) -> TrainerState | None:
        """Load the newest valid checkpoint.

        Args:
            before_step: Only those of this step or earlier count; None: all do.
            healthy: Only healthy ones count.

        Returns:
            What it says beside tensors; None if there is none: then the engine is as it was.

        Raises:
            InvalidConfiguration: It is a checkpoint of another job.
        """
        group = self.engine.group
        while True:
            early = [c for c in self.stored if before_step is None or c.step <= before_step]
            wanted = [c for c in early if c.healthy or not healthy]
            chosen: StoredCheckpoint | None = group.from_rank_0(wanted[0] if wanted else None)
            if chosen is None:
                self.saved_step = 0
                return None
            state = self._load(chosen)
            if state is not None:
                return state

    def _load(self, checkpoint: StoredCheckpoint) -> TrainerState | None:
        """Load a checkpoint; if it is damaged, set it aside and return None."""
        group = self.engine.group
        started = time.monotonic()
        mine = checkpoint.manifest.outputs[group.rank :: group.world_size]
        found = [damage for entry in mine if (damage := checkpoint.damage(entry))]
        damages = [damage for part in group.gather(found) for damage in part]
        self.beat()
        if damages:
            self._set_aside(checkpoint, damages)
            return None
        state = TrainerState.model_validate_json((checkpoint.directory / TRAINER_FILE).read_bytes())
        self.check(state, checkpoint.directory)
        world_size = checkpoint.manifest.world_size
        saved = SavedState([checkpoint.directory / state_file(rank, world_size) for rank in range(world_size)])
        load_state(self.engine, saved)
        if state.loss_scale is not None:
            self.engine.set_loss_scale(state.loss_scale)
        if world_size == group.world_size:
            random_state = saved.random_state(group.rank)
            torch.set_rng_state(random_state[RNG_CPU])
            if group.on_gpu and RNG_DEVICE in random_state:
                torch.cuda.set_rng_state(random_state[RNG_DEVICE])
        logger.info("%s: loaded in %.2f s", checkpoint.directory, time.monotonic() - started)
        self.saved_step = state.step
        return state

    def _set_aside(self, checkpoint: StoredCheckpoint, damages: list[str]) -> None:
        for damage in damages:
            logger.error("%s; going on with an older checkpoint", damage)
        if self.is_main:
            message = f"{'; '.join(damages)}; an older checkpoint is used"
            self.log_event(LedgerEvent.CHECKPOINT_CORRUPT, message, checkpointStep=checkpoint.step, files=damages)
            self.store.set_aside(checkpoint.directory)
            self._refresh()

    def decide(self, recovery: RecoveryLog) -> None:
        """Write down a rollback, which makes it happen, and drop the checkpoints it takes back."""
        self.finish()
        self.recovery = recovery
        if self.is_main:
            self.store.write_recovery(recovery)
            self.store.clean_up(recovery)
            self._refresh()

    def note(self, recovery: RecoveryLog) -> None:
        """Write down a verdict; no collective."""
        self.recovery = recovery
        if self.is_main:
            self.store.write_recovery(recovery)

    def close(self) -> None:
        """End the writer's thread; no collective."""
        self.writer.close()

    def _refresh(self) -> None:
        checkpoints, damaged = self.store.checkpoints()
        for directory, damage in damaged:
            logger.error("%s; it is set aside", damage)
            self.log_event(LedgerEvent.CHECKPOINT_CORRUPT, f"{damage}; it is set aside", files=[damage])
            self.store.set_aside(directory)
        self.stored = [c for c in checkpoints if self.recovery.survives(c.step, c.manifest.generation)]
