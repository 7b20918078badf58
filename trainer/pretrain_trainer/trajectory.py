"""What a checkpoint depends on: parts of the job that can't change in the middle of a run."""

from __future__ import annotations

from pretrain_api.resolve import content_hash
from pretrain_api.spec.job import PretrainJobSpec
from pretrain_api.spec.training import Training
from pretrain_api.wire import Blend
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


def check_trajectory(saved: dict[str, str], wanted: dict[str, str], where: str) -> None:
    """Refuse to go on from a checkpoint of another job.

    Raises:
        InvalidConfiguration: A part differs.
    """
    changed = sorted(path for path in wanted if saved.get(path) != wanted[path])
    if changed:
        raise InvalidConfiguration(
            f"{where}: the checkpoints there were made with another {', '.join(changed)}; "
            "undo the change, or start anew (--fresh, or another storage)"
        )
