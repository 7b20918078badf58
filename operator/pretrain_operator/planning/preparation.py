"""The data preparation: one stage after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from pretrain_api.names import Component, Phase, Reason, StageState
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import DataPreparation, PreparationStage, PretrainJobStatus
from pretrain_api.wire import REMOVED_COUNT_PREFIX
from pretrain_operator.planning.children import STAGE_COMMANDS, StageRun
from pretrain_operator.planning.conditions import timestamp
from pretrain_operator.planning.events import TRIED_AGAIN
from pretrain_operator.planning.failures import Failure, explain
from pretrain_operator.planning.observed import ItemObservation, Observed, RunState, StageObservation
from pretrain_operator.planning.redoing import redone, with_missing_outputs
from pretrain_operator.planning.stages import completions, preparation_stages, stage_configurations
from pretrain_operator.planning.step import Step


def prepare(job: PretrainJob, observed: Observed, status: PretrainJobStatus, now: datetime) -> Step | None:
    """Write the preparation into `status`; return what is to be done for it, None when all of it is done."""
    again = with_missing_outputs(job, observed, redone(status.data_preparation))
    configurations = stage_configurations(job, observed.inputs, again)
    before = {stage.name: stage for stage in (status.data_preparation or DataPreparation()).stages}
    shown: list[PreparationStage] = []
    step: Step | None = None
    for stage in preparation_stages(job):
        run = _stage_run(job, stage, configurations[stage])
        if step is None:
            shown.append(_look(run, before.get(stage), observed, now))
            step = _step(run, shown[-1], observed.stages.get(stage))
        else:
            shown.append(PreparationStage(name=stage, total=run.completions))
    shown = [stage.model_copy(update={"redone": again.get(stage.name, 0)}) for stage in shown]
    status.data_preparation = _summary(shown, status.data_preparation, observed)
    return step


def _stage_run(job: PretrainJob, stage: Component, configuration: str) -> StageRun:
    total = completions(job.spec.data, stage)
    return StageRun(
        component=stage,
        command=STAGE_COMMANDS[stage],
        completions=total,
        parallelism=min(job.spec.data.workers, total),
        configuration=configuration,
    )


def _look(run: StageRun, before: PreparationStage | None, observed: Observed, now: datetime) -> PreparationStage:
    """Return the stage as it is: seen, remembered, or not begun."""
    same = before is not None and before.configuration == run.configuration
    seen = observed.stages.get(run.component)
    if seen is not None and seen.configuration == run.configuration:
        return show_stage(run, seen, before if same else None, now)
    if before is not None and same and run.component not in observed.missing_outputs:
        if before.state is StageState.SUCCEEDED:
            return before
        # Its Job is gone. What its work items have done is in the storage; they will find it there.
        return before.model_copy(update={"state": StageState.PENDING, "finished_at": None, "message": None})
    return PreparationStage(name=run.component, total=run.completions, configuration=run.configuration)


def _step(run: StageRun, shown: PreparationStage, seen: StageObservation | None) -> Step | None:
    if shown.state is StageState.SUCCEEDED:
        return None
    if shown.state is StageState.FAILED and seen is not None:
        failure = _first_failure(run, seen.items)
        return Step(Phase.PREPARING, Reason.PREPARATION_FAILED, shown.message or "", failure=failure)
    running = seen is not None and seen.running
    reason, message = _trouble(run, seen) or (Reason.PREPARING, f"stage {run.component}")
    # Some of its pods may work while others can't: that is running, and worth the message.
    return Step(Phase.PREPARING, reason, message, children=(run,), running=running)


def show_stage(
    run: StageRun, seen: StageObservation, before: PreparationStage | None, now: datetime
) -> PreparationStage:
    """Return a stage's part of the status from what is seen of its run."""
    states = Counter(item.state for item in seen.items)
    succeeded = states[RunState.SUCCEEDED]
    state = _state(states, run.completions)
    finished = state in (StageState.SUCCEEDED, StageState.FAILED)
    counts = _counts(seen.items)
    shown = before or PreparationStage(name=run.component)
    return PreparationStage(
        name=run.component,
        state=state,
        completed=max(succeeded, shown.completed),
        total=run.completions,
        documents_in=_most(counts.get("documentsIn"), shown.documents_in),
        documents_out=_most(counts.get("documentsOut"), shown.documents_out),
        bytes_in=_most(counts.get("bytesIn"), shown.bytes_in),
        removed=_removed(counts, shown.removed or {}),
        started_at=(before.started_at if before is not None else None) or timestamp(now),
        finished_at=((before.finished_at if before is not None else None) or timestamp(now)) if finished else None,
        message=_message(run, seen.items, state),
        configuration=run.configuration,
    )


def _state(states: Counter[RunState], total: int) -> StageState:
    """A stage has failed when an item has, and all others have ended."""
    if states[RunState.SUCCEEDED] == total:
        return StageState.SUCCEEDED
    if states[RunState.FAILED] and states[RunState.FAILED] + states[RunState.SUCCEEDED] == total:
        return StageState.FAILED
    return StageState.RUNNING


def _counts(items: tuple[ItemObservation, ...]) -> dict[str, int]:
    """Return the sums over finished items (their own words) and running ones (their progress)."""
    total: Counter[str] = Counter()
    for item in items:
        if item.state is RunState.SUCCEEDED and item.ending is not None and item.ending.message is not None:
            total.update({key: int(value) for key, value in item.ending.message.counts.items()})
        elif item.state is RunState.RUNNING and item.progress is not None:
            progress = item.progress
            total.update(
                documentsIn=progress.documents_in, documentsOut=progress.documents_out, bytesIn=progress.bytes_in
            )
    return dict(total)


def _most(count: int | None, shown: int | None) -> int | None:
    """What was shown once stays: pods that have succeeded may be gone, and their counts with them."""
    known = [each for each in (count, shown) if each is not None]
    return max(known, default=None)


def _removed(counts: Mapping[str, int], shown: Mapping[str, int]) -> dict[str, int] | None:
    seen = {
        key.removeprefix(REMOVED_COUNT_PREFIX): count
        for key, count in counts.items()
        if key.startswith(REMOVED_COUNT_PREFIX)
    }
    removed = {key: max(seen.get(key, 0), shown.get(key, 0)) for key in sorted({*seen, *shown})}
    return removed or None


def _message(run: StageRun, items: tuple[ItemObservation, ...], state: StageState) -> str | None:
    if state is StageState.SUCCEEDED:
        return None
    if any(item.state is RunState.FAILED for item in items):
        return _first_failure(run, items).message
    for index, item in enumerate(items):
        if item.state is RunState.WAITING and item.ending is not None:
            return f"{explain(_item_name(run, index), item.ending).message} {TRIED_AGAIN}"
    messages = [item.progress.message for item in items if item.state is RunState.RUNNING and item.progress is not None]
    return next((message for message in messages if message), None)


def _first_failure(run: StageRun, items: tuple[ItemObservation, ...]) -> Failure:
    for index, item in enumerate(items):
        if item.state is RunState.FAILED and item.ending is not None:
            return explain(_item_name(run, index), item.ending)
    return Failure(Reason.PREPARATION_FAILED, f"{run.component} failed and left no message")


def _item_name(run: StageRun, index: int) -> str:
    return run.component if run.completions == 1 else f"{run.component} {index}"


def _trouble(run: StageRun, seen: StageObservation | None) -> tuple[str, str] | None:
    """Return reason and message of what keeps the stage from going on, if anything does."""
    for index, item in enumerate(seen.items if seen is not None else ()):
        if item.trouble is not None:
            return item.trouble.reason, item.trouble.message
        if item.state is RunState.WAITING and item.ending is not None:
            failure = explain(_item_name(run, index), item.ending)
            return failure.reason, failure.message
    return None


def _summary(shown: list[PreparationStage], before: DataPreparation | None, observed: Observed) -> DataPreparation:
    """Return the preparation as a whole; what the blend stage counted is kept once it is known."""
    summary = DataPreparation(stages=shown)
    done = shown[-1].state is StageState.SUCCEEDED
    if not done:
        return summary
    seen = observed.stages.get(Component.BLEND)
    counts = _counts(seen.items) if seen is not None else {}
    kept = before or DataPreparation()
    summary.documents = counts.get("documentsOut", kept.documents)
    summary.tokens = counts.get("trainTokens", kept.tokens)
    summary.validation_tokens = counts.get("validationTokens", kept.validation_tokens)
    summary.augmented_documents = counts.get("augmentedDocuments", kept.augmented_documents)
    summary.augmented_tokens = counts.get("augmentedTokens", kept.augmented_tokens)
    return summary
