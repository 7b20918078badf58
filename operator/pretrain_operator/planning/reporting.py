"""The report: the last stage, whether the job completed or failed."""

from __future__ import annotations

from datetime import datetime

from pretrain_api.names import Component, Phase, Reason, StageState
from pretrain_api.resolve import content_hash
from pretrain_api.spec.job import PretrainJob
from pretrain_api.status import PreparationStage, PretrainJobStatus
from pretrain_operator.planning.children import STAGE_COMMANDS, RetryPolicy, StageRun
from pretrain_operator.planning.observed import Observed
from pretrain_operator.planning.preparation import show_stage
from pretrain_operator.planning.redoing import redone
from pretrain_operator.planning.stages import stage_configurations
from pretrain_operator.planning.step import Step

_FINISHED = (StageState.SUCCEEDED, StageState.FAILED)


def report(job: PretrainJob, observed: Observed, status: PretrainJobStatus, outcome: str, now: datetime) -> Step | None:
    """Write the report's state into `status`; return what is to be done for it, None when it is done.

    A report that fails doesn't change the job's outcome.

    Args:
        job: The job.
        observed: What is seen.
        status: Changed in place.
        outcome: Completed, or the reason of the failure: another outcome is worth another report.
        now: The time.
    """
    run = _run(job, observed, status, outcome)
    before = status.report if status.report is not None and status.report.configuration == run.configuration else None
    if before is not None and before.state in _FINISHED:
        return None
    seen = observed.stages.get(Component.REPORT)
    if seen is not None and seen.configuration == run.configuration:
        status.report = show_stage(run, seen, before, now)
        if status.report.state in _FINISHED:
            return None
    else:
        status.report = PreparationStage(name=run.component, total=1, configuration=run.configuration)
    waits_for_others = _others_active(observed)
    return Step(
        phase=status.phase if status.phase is not Phase.PENDING else Phase.PREPARING,
        reason=Reason.REPORTING,
        message="the report is being written",
        children=() if waits_for_others else (run,),
        running=waits_for_others or (seen is not None and seen.running),
    )


def _run(job: PretrainJob, observed: Observed, status: PretrainJobStatus, outcome: str) -> StageRun:
    stages = stage_configurations(job, observed.inputs, redone(status.data_preparation))
    basis = [*stages.values(), status.completed_configuration, outcome]
    return StageRun(
        component=Component.REPORT,
        command=STAGE_COMMANDS[Component.REPORT],
        completions=1,
        parallelism=1,
        configuration=content_hash(basis),
        retry=RetryPolicy(limit=1),
    )


def _others_active(observed: Observed) -> bool:
    stages = (seen for stage, seen in observed.stages.items() if stage is not Component.REPORT)
    return observed.trainer.active or any(seen.active for seen in stages)
