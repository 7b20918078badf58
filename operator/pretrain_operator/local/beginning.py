"""How a run begins: what the directory holds from runs before, what has changed since, and whether it fits."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pretrain_api.names import Component, ConditionType, Reason
from pretrain_api.resolve import resolved_json
from pretrain_api.schedule import batch_schedule
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import StorageLayout
from pretrain_operator.local.changes import changed_paths, incompatible_paths
from pretrain_operator.local.errors import LocalRunError
from pretrain_operator.local.inputs import inputs_fingerprint
from pretrain_operator.local.workdir import Workdir, unwritable
from pretrain_operator.planning.conditions import get_condition, is_true
from pretrain_operator.planning.redoing import redone
from pretrain_operator.planning.stages import stage_configurations, training_configuration, trains


@dataclass(frozen=True)
class Beginning:
    """A run about to begin."""

    job: PretrainJob
    """With the generation that the plan compares."""
    status: PretrainJobStatus
    """As the run before left it."""
    inputs: str
    """Fingerprint of the listing of the input files."""
    changes: tuple[str, ...] = ()
    """Fields that differ from the run before."""
    continued: bool = False
    """There was a run before."""


def begin(job: PretrainJob, workdir: Workdir) -> Beginning:
    """Prepare an open directory for a run of `job`: the resolved job is written.

    Raises:
        LocalRunError: The directory belongs to another job, or holds checkpoints that the changed job can't go on from.
    """
    document = json.loads(resolved_json(job))
    before = _as_of_today(workdir.previous_job())
    marker = workdir.marker()
    if marker is not None and marker.job not in ("", job.metadata.name):
        raise LocalRunError(
            f"{workdir.root} belongs to the job {marker.job}, not to {job.metadata.name}",
            "choose another directory with --workdir, or start over in this one with --fresh",
        )
    changes = tuple(changed_paths(before, document)) if before is not None else ()
    if before is not None and changes:
        _refuse_incompatible(before, document, workdir)
    inputs = inputs_fingerprint(job.spec.data)
    status = workdir.read_status()
    try:
        workdir.write_job(job, hashlib.sha256(resolved_json(job).encode()).hexdigest())
        unattended = _unattended_seconds(status, workdir.layout)
        generation = _generation(job, status, inputs, bool(changes), workdir.layout)
    except OSError as error:
        raise unwritable(workdir.root, error) from error
    if not (is_true(status, ConditionType.COMPLETE) and generation == status.observed_generation):
        status.suspended_seconds += unattended
    asked = marker.annotations if marker is not None else {}
    annotations = {**job.metadata.annotations, **asked}
    metadata = job.metadata.model_copy(update={"generation": generation, "annotations": annotations})
    return Beginning(job.model_copy(update={"metadata": metadata}), status, inputs, changes, before is not None)


def _as_of_today(before: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the resolved job of the run before with the fields that its release didn't know, at their defaults."""
    if before is None:
        return None
    try:
        document: dict[str, Any] = json.loads(resolved_json(PretrainJob.model_validate(before)))
    except ValidationError:
        return before  # what isn't valid any more is a change
    return document


def _refuse_incompatible(before: dict[str, Any], after: dict[str, Any], workdir: Workdir) -> None:
    step = newest_checkpoint_step(workdir.layout)
    if step is None:
        return
    paths = incompatible_paths(before, after, _consumed_tokens(before, step))
    if paths:
        raise LocalRunError(
            f"{workdir.root} has checkpoints (newest: step {step}) that don't fit any more: "
            f"changed since they were made: {', '.join(paths)}",
            "undo the change, start over with --fresh, or choose another directory with --workdir",
        )


def newest_checkpoint_step(layout: StorageLayout) -> int | None:
    """Return the step of the newest whole checkpoint; None: there is none."""
    steps = (path.parent.name.removeprefix("step-") for path in layout.checkpoints.glob("step-*/MANIFEST.json"))
    return max((int(step) for step in steps if step.isdecimal()), default=None)


def _consumed_tokens(document: dict[str, Any], step: int) -> int:
    """Return the tokens that `step` steps of a resolved job consume."""
    try:
        training = PretrainJob.model_validate(document).spec.training
    except ValidationError as error:
        raise LocalRunError(
            f"the resolved job of the run before isn't valid any more: {error.errors()[0]['msg']}",
            "start over with --fresh, or choose another directory with --workdir",
        ) from error
    if training is None:
        return 0
    return batch_schedule(training).sequences_after(step) * training.sequence_length


def _unattended_seconds(status: PretrainJobStatus, layout: StorageLayout) -> float:
    """Return the time since the run before ended, where the condition Suspended doesn't say it."""
    if status.start_time is None or is_true(status, ConditionType.SUSPENDED):
        return 0.0
    return max(0.0, time.time() - layout.status.stat().st_mtime)


def _generation(job: PretrainJob, status: PretrainJobStatus, inputs: str, changed: bool, layout: StorageLayout) -> int:
    """Return a new generation where the run before must not have the last word, else its own."""
    before = status.observed_generation
    if before == 0:
        return 1
    failed = is_true(status, ConditionType.FAILED)
    suspended = get_condition(status, ConditionType.SUSPENDED)
    paused = suspended is not None and suspended.reason == Reason.PAUSED_ON_SPIKE
    outdated = is_true(status, ConditionType.COMPLETE) and not _still_complete(job, status, inputs, layout)
    return before + 1 if changed or failed or paused or outdated else before


def _still_complete(job: PretrainJob, status: PretrainJobStatus, inputs: str, layout: StorageLayout) -> bool:
    """Is what completed what is wanted now?"""
    wanted = stage_configurations(job, inputs, redone(status.data_preparation))
    stages = status.data_preparation.stages if status.data_preparation is not None else []
    if {stage.name: stage.configuration for stage in stages} != dict(wanted):
        return False
    if not trains(job):
        return layout.blend.is_file()
    return layout.completed.is_file() and status.completed_configuration == training_configuration(
        job, wanted[Component.BLEND]
    )
