"""Stages whose output is gone from the storage, as later ones say that look for it: they are done again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pretrain_api.names import Component
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import DataPreparation
from pretrain_operator.planning.observed import Observed, RunState
from pretrain_operator.planning.stages import preparation_stages, stage_configurations

MOST_REDONE = 3
"""Of a stage; what is gone again after that, something takes away each time: then the later stage fails."""


def redone(preparation: DataPreparation | None) -> dict[str, int]:
    """Return how often each stage was done again because its output was gone, where it was."""
    stages = preparation.stages if preparation is not None else []
    return {stage.name: stage.redone for stage in stages if stage.redone}


def with_missing_outputs(job: PretrainJob, observed: Observed, before: Mapping[str, int]) -> dict[str, int]:
    """Return `redone` with the first stage counted once more whose output a later stage didn't find.

    A count is part of what a stage and all after it depend on, so they run again, and what was said before that
    doesn't count any more.
    """
    for stage in _missing(job, observed, before):
        if before.get(stage, 0) < MOST_REDONE:
            return {**before, stage: before.get(stage, 0) + 1}
    return dict(before)


def _missing(job: PretrainJob, observed: Observed, before: Mapping[str, int]) -> Iterator[Component]:
    """Yield the stages whose output is said to be gone."""
    stages = preparation_stages(job)
    configurations = stage_configurations(job, observed.inputs, before)
    for place, stage in enumerate(stages):
        seen = observed.stages.get(stage)
        if seen is None or seen.configuration != configurations[stage]:
            continue
        for item in seen.items:
            failed = item.state in (RunState.WAITING, RunState.FAILED)
            message = item.ending.message if failed and item.ending is not None else None
            if message is not None and message.missing_stage in stages[:place]:
                yield Component(message.missing_stage)
