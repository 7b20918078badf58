"""Training: one set of trainers, restarts and their budget, what the trainer says about itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import ValidationError

from pretrain_api.names import ANNOTATION_ROLLBACK, Component, ConditionType, Phase, Reason
from pretrain_api.schedule import batch_schedule
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import LastRestart, PodEnding, PretrainJobStatus
from pretrain_api.wire import (
    ENV_NUM_NODES,
    ENV_NUM_PROC_PER_NODE,
    ENV_ROLLBACK,
    ENV_WAIT_WHEN_COMPLETED,
    RollbackRequest,
    TrainerProgress,
)
from pretrain_operator.planning.children import TRAINER_COMMAND, TrainerSet
from pretrain_operator.planning.conditions import get_condition, parse_timestamp, timestamp
from pretrain_operator.planning.failures import Failure, explain, is_final, is_free
from pretrain_operator.planning.observed import Ending, Observed, PodObservation, RunState, TrainerObservation
from pretrain_operator.planning.redoing import redone
from pretrain_operator.planning.stages import stage_configurations, training_configuration
from pretrain_operator.planning.step import Step

_PHASES = {
    "Starting": Phase.STARTING,
    "Training": Phase.TRAINING,
    "RollingBack": Phase.ROLLING_BACK,
    "Restarting": Phase.RESTARTING,
    "Failed": Phase.RESTARTING,
}
_REASONS = {
    Phase.STARTING: Reason.STARTING,
    Phase.TRAINING: Reason.TRAINING,
    Phase.ROLLING_BACK: Reason.ROLLING_BACK,
    Phase.RESCALING: Reason.RESCALING,
    Phase.RESTARTING: Reason.RESTARTING,
}


def train(job: PretrainJob, observed: Observed, status: PretrainJobStatus, now: datetime) -> Step | None:
    """Write training into `status`; return what is to be done for it, None when it is complete."""
    configuration = _configuration(job, observed, status)
    trainer = observed.trainer
    if trainer.progress is not None:
        _show_progress(trainer.progress, status)
    if _completed(observed, status, configuration):
        status.completed_configuration = configuration
        return None
    status.completed_configuration = None
    _count_endings(job, trainer, status, now)
    if failure := _failure(job, trainer, status, now):
        return Step(Phase.TRAINING, failure.reason, failure.message, failure=failure)
    if paused := _paused(trainer.progress, status):
        return Step(Phase.SUSPENDED, paused.reason, paused.message, running=trainer.active, paused=paused)
    wanted = trainer_set(job, configuration, _num_nodes(job, observed, status))
    phase = _phase(trainer, wanted, status)
    trouble = _trouble(trainer)
    reason, message = trouble or (_REASONS[phase], trainer.progress.message if trainer.progress else "")
    # All pods train together: one that can't start keeps the others waiting.
    return Step(phase, reason, message, children=(wanted,), running=trainer.running and trouble is None)


def trainer_set(job: PretrainJob, configuration: str, num_nodes: int) -> TrainerSet:
    """Return the trainer that a job wants at a width."""
    processes = job.spec.trainer.num_proc_per_node
    environment = {ENV_NUM_NODES: str(num_nodes), ENV_WAIT_WHEN_COMPLETED: "true"}
    if processes != "auto":
        environment[ENV_NUM_PROC_PER_NODE] = str(processes)
    request = rollback_request(job)
    if isinstance(request, RollbackRequest):
        environment[ENV_ROLLBACK] = request.model_dump_json(by_alias=True)
    return TrainerSet(
        num_nodes=num_nodes,
        num_proc_per_node=None if processes == "auto" else processes,
        command=TRAINER_COMMAND,
        configuration=configuration,
        environment=environment,
    )


def rollback_request(job: PretrainJob) -> RollbackRequest | str | None:
    """Return the rollback that a person asks for, None where nobody does, or what is wrong with the request."""
    text = job.metadata.annotations.get(ANNOTATION_ROLLBACK)
    if not text:
        return None
    try:
        return RollbackRequest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join((f"metadata.annotations[{ANNOTATION_ROLLBACK}]", *(str(part) for part in first["loc"])))
        return (
            f"{path}: {first['msg']}; it is ignored "
            'until it is like {"id": "a", "toStep": 1000, "skipSequences": null}, as `pretrain rollback` writes it'
        )


def _configuration(job: PretrainJob, observed: Observed, status: PretrainJobStatus) -> str:
    stages = stage_configurations(job, observed.inputs, redone(status.data_preparation))
    return training_configuration(job, stages[Component.BLEND])


def _completed(observed: Observed, status: PretrainJobStatus, configuration: str) -> bool:
    """Has this training, and not an earlier one of the same job, completed?"""
    if observed.completion_marker is False:
        return False
    if status.completed_configuration == configuration:
        return True
    if observed.trainer.configuration not in (None, configuration):
        return False
    progress = observed.trainer.progress
    left = any(pod.ending is not None and pod.ending.exit_code == 0 for pod in observed.trainer.pods)
    return (progress is not None and progress.state == "Completed") or (left and observed.completion_marker is True)


def _show_progress(progress: TrainerProgress, status: PretrainJobStatus) -> None:
    """Copy what the trainer says. One that has just started says nothing yet: what is known stays."""
    if progress.training.step is not None:
        status.training = progress.training
    if progress.checkpoints.latest is not None:
        status.checkpoints = progress.checkpoints
    if progress.rollbacks:
        status.rollbacks = progress.rollbacks
    if progress.refused_rollback is not None:
        status.refused_rollback = progress.refused_rollback
    if progress.goodput is not None:
        status.goodput = progress.goodput
    restarts = status.restarts
    if progress.restarts.total > restarts.total:
        restarts.total = progress.restarts.total
        restarts.last = progress.restarts.last or restarts.last
    restarts.counted = max(restarts.counted, progress.restarts.counted)


def _count_endings(job: PretrainJob, trainer: TrainerObservation, status: PretrainJobStatus, now: datetime) -> None:
    """Count each pod that ended unasked once, and forget those that the budget no longer looks at."""
    restarts = status.restarts
    known = {ending.id for ending in restarts.recent}
    for pod in trainer.pods:
        if pod.ending is None or pod.id in known:
            continue
        counted = not is_free(pod.ending)
        why = _why(pod, pod.ending)
        restarts.recent.append(PodEnding(id=pod.id, time=timestamp(now), counted=counted))
        restarts.total += 1
        restarts.counted += counted
        restarts.last = LastRestart(
            time=timestamp(now), reason=why.reason, node=pod.node or str(pod.node_rank), message=why.message
        )
    window_start = now - timedelta(seconds=job.spec.failure_policy.restart_window_seconds)
    there = {pod.id for pod in trainer.pods}
    restarts.recent = [
        each for each in restarts.recent if each.id in there or parse_timestamp(each.time) >= window_start
    ]


def _failure(job: PretrainJob, trainer: TrainerObservation, status: PretrainJobStatus, now: datetime) -> Failure | None:
    """Return why training can't go on, if so."""
    for pod in trainer.pods:
        if pod.ending is not None and is_final(pod.ending):
            return _why(pod, pod.ending)
    policy = job.spec.failure_policy
    window_start = now - timedelta(seconds=policy.restart_window_seconds)
    counted = [each for each in status.restarts.recent if each.counted and parse_timestamp(each.time) >= window_start]
    if len(counted) <= policy.max_restarts:
        return None
    last = status.restarts.last
    text = (
        f"trainer: {len(counted)} restarts within {policy.restart_window_seconds:g} s are more than "
        f"failurePolicy.maxRestarts={policy.max_restarts}; last: {last.message if last is not None else 'not known'}"
    )
    return Failure(Reason.RESTART_BUDGET_EXHAUSTED, text)


def _why(pod: PodObservation, ending: Ending) -> Failure:
    name = f"trainer {pod.node_rank}"
    if ending.exit_code == 0:
        log = f"; its log is {ending.log}" if ending.log else ""
        return Failure(Reason.INTERNAL_ERROR, f"{name} ended before training was complete{log}")
    return explain(name, ending)


def _paused(progress: TrainerProgress | None, status: PretrainJobStatus) -> Failure | None:
    """Return why the trainer waits for a person; it stays so until the job is changed."""
    before = get_condition(status, ConditionType.SUSPENDED)
    paused_before = before is not None and before.status == "True" and before.reason == Reason.PAUSED_ON_SPIKE
    if before is not None and paused_before and before.observed_generation == status.observed_generation:
        return Failure(Reason.PAUSED_ON_SPIKE, before.message)
    if progress is not None and progress.state == "Paused":
        return Failure(Reason.PAUSED_ON_SPIKE, progress.message or "training paused after a loss spike")
    return None


def _num_nodes(job: PretrainJob, observed: Observed, status: PretrainJobStatus) -> int:
    """Return how many pods the batch stage wants that training is in."""
    training = job.spec.training
    if training is None or all(stage.num_nodes is None for stage in training.batch.stages):
        return job.spec.trainer.num_nodes
    progress = observed.trainer.progress
    step = progress.training.step if progress is not None and progress.state == "Training" else None
    if step is None:
        latest = status.checkpoints.latest if status.checkpoints is not None else None
        step = latest.step if latest is not None else 0
    return batch_schedule(training).span_of_step(step).num_nodes or job.spec.trainer.num_nodes


def _phase(trainer: TrainerObservation, wanted: TrainerSet, status: PretrainJobStatus) -> Phase:
    if trainer.num_nodes not in (0, wanted.num_nodes):
        return Phase.RESCALING
    began = status.training is not None and status.training.step is not None
    broken = any(pod.state is not RunState.RUNNING for pod in trainer.pods)
    if broken and began:
        return status.phase if status.phase in (Phase.STARTING, Phase.RESCALING) else Phase.RESTARTING
    if not trainer.running:
        return Phase.RESCALING if status.phase is Phase.RESCALING else Phase.STARTING
    if trainer.progress is None:
        # Not asked yet, by an operator that has just started perhaps: no reason to tell something new.
        return status.phase if status.phase in _REASONS and not broken else Phase.STARTING
    return _PHASES.get(trainer.progress.state, Phase.TRAINING)


def _trouble(trainer: TrainerObservation) -> tuple[str, str] | None:
    return next(((pod.trouble.reason, pod.trouble.message) for pod in trainer.pods if pod.trouble is not None), None)
