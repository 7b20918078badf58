"""`pretrain rollback NAME --to-step N`: go back to a checkpoint, leaving out what was trained on since."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from pretrain_api.names import ANNOTATION_ROLLBACK, ConditionType, Phase
from pretrain_api.status import PretrainJobStatus
from pretrain_api.wire import RollbackRequest
from pretrain_cli import options
from pretrain_cli.display.words import plural
from pretrain_cli.errors import UsageError
from pretrain_cli.local_runs import LocalRun
from pretrain_cli.places import ClusterJob, Where, errors_in_a_line, find
from pretrain_operator.planning.conditions import is_true


def rollback(
    name: options.Name,
    to_step: Annotated[
        int, typer.Option("--to-step", min=0, metavar="N", help="Go back to the newest checkpoint at or before it.")
    ],
    skip_sequences: Annotated[
        int | None,
        typer.Option(min=0, metavar="M", help="Leave out the next M sequences; default: all since that checkpoint."),
    ] = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    local: options.Local = None,
) -> None:
    """Go back to a checkpoint and leave out sequences from there on, as after a spike."""
    with errors_in_a_line("rollback"):
        found = find(name, Where(namespace, context, kubeconfig, local))
        request = RollbackRequest(id=secrets.token_hex(8), to_step=to_step, skip_sequences=skip_sequences)
        status = _status(found)
        check(found.name, status, request)
        if isinstance(found, LocalRun):
            typer.echo(_ask_run(found, name, request))
        else:
            typer.echo(_ask_operator(found, status, request))


def check(name: str, status: PretrainJobStatus, request: RollbackRequest) -> None:
    """Refuse what can't be done. Raises UsageError."""
    if is_true(status, ConditionType.COMPLETE):
        raise UsageError(f"{name} is complete: its training has ended; train anew from its data with another job")
    step = status.training.step if status.training is not None else None
    if step is None:
        raise UsageError(f"{name} ({status.phase}) hasn't trained a step yet: there is nothing to go back from")
    if request.to_step > step:
        raise UsageError(
            f"--to-step {request.to_step} is ahead of training, which is at step {step}; give a step before"
        )
    if request.to_step == step and not request.skip_sequences:
        raise UsageError(f"training is at step {step} itself: give a step before, or --skip-sequences")


def what_happens(request: RollbackRequest) -> str:
    """Say what a rollback does."""
    place = (
        f"goes back to its newest whole checkpoint at or before step {request.to_step:,}"
        if request.to_step
        else "begins again at step 0"
    )
    if request.skip_sequences is None:
        return f"{place}, and leaves out the sequences that it consumed since"
    if request.skip_sequences == 0:
        return f"{place}, and trains on the same sequences again"
    return f"{place}, and leaves out the next {plural(request.skip_sequences, 'sequence')}"


def _ask_run(run: LocalRun, called: str, request: RollbackRequest) -> str:
    run.workdir.request_rollback(request.model_dump_json(by_alias=True))
    what = f"{run.directory}: training {what_happens(request)}"
    if run.process() is not None:
        return f"{what}, when it starts next: pretrain suspend {called}, then pretrain resume {called} FILE"
    return f"{what}; start it with: pretrain resume {called} FILE"


def _ask_operator(job: ClusterJob, status: PretrainJobStatus, request: RollbackRequest) -> str:
    from pretrain_cli.cluster.jobs import patch_job

    annotation = {ANNOTATION_ROLLBACK: request.model_dump_json(by_alias=True)}
    patch_job(job.connection, job.name, {"metadata": {"annotations": annotation}})
    what = f"{job.name}: training stops, {what_happens(request)}"
    stopped = status.phase in (Phase.SUSPENDED, Phase.SUSPENDING, Phase.FAILED)
    when = f"once it goes on: pretrain resume {job.name}" if stopped else f"see: pretrain status {job.name} --watch"
    return f"{what}; {when}"


def _status(found: LocalRun | ClusterJob) -> PretrainJobStatus:
    if isinstance(found, LocalRun):
        return found.status()
    return PretrainJobStatus.model_validate(found.document.get("status") or {})
