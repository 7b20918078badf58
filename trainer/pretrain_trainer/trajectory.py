"""What a checkpoint depends on: parts of the job that can't change in the middle of a run."""

from __future__ import annotations

from pathlib import Path

from pretrain_api.resolve import content_hash
from pretrain_api.schedule import BatchSchedule
from pretrain_api.spec.job import PretrainJobSpec
from pretrain_api.spec.training import Training
from pretrain_api.wire import Blend
from pretrain_trainer.checkpoint.layout import TrainerState
from pretrain_trainer.errors import InvalidConfiguration


def trajectory_hashes(spec: PretrainJobSpec, training: Training, blend: Blend) -> dict[str, str]:
    """Return a hash of each part, by its path in the job."""
    return {
        "spec.data": blend.fingerprint,
        "spec.model": content_hash(spec.model),
        "spec.objective": content_hash(spec.objective),
        "spec.training.sequenceLength": str(training.sequence_length),
        "spec.training.seed": str(training.seed),
        "spec.training.optimizer.type": training.optimizer.type,
    }


def check_trajectory(state: TrainerState, wanted: dict[str, str], schedule: BatchSchedule, where: Path) -> None:
    """Refuse to go on from a checkpoint of another job, or of this one before a change that it can't follow.

    Args:
        state: What the checkpoint says of itself.
        wanted: The hashes of today's job.
        schedule: The steps of today's job.
        where: The checkpoint, for the message.

    Raises:
        InvalidConfiguration: A part differs.
    """
    changed = sorted(path for path in wanted if state.configuration.get(path) != wanted[path])
    if schedule.sequences_after(state.step) != state.sequences:
        changed.append("spec.training.batch.stages")
    if changed:
        raise InvalidConfiguration(
            f"{where}: this checkpoint was made with another {', '.join(changed)}; undo the change, name another "
            "storage (spec.storage.uri), or start anew (--fresh, or remove the checkpoints)"
        )
