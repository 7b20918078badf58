"""`pretrain suspend NAME` and `pretrain resume NAME`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from pretrain_api.names import ConditionType, Phase
from pretrain_api.status import PretrainJobStatus
from pretrain_cli import options
from pretrain_cli.errors import UsageError
from pretrain_cli.local_runs import LocalRun
from pretrain_cli.places import ClusterJob, Where, errors_in_a_line, find
from pretrain_operator.planning.conditions import is_true


def suspend(
    name: options.Name,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    local: options.Local = None,
) -> None:
    """Stop a job's pods after a checkpoint and keep everything; a local run is stopped as Ctrl-C does."""
    with errors_in_a_line("suspend"):
        found = find(name, Where(namespace, context, kubeconfig, local))
        if isinstance(found, LocalRun):
            typer.echo(_stop(found, name))
        else:
            typer.echo(_suspend(found))


def resume(
    name: options.Name,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Of a local run: its job, to go on with it here and now.")
    ] = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    local: options.Local = None,
) -> None:
    """Let a job go on that was suspended, paused after a spike, or failed (with a new restart budget)."""
    with errors_in_a_line("resume"):
        found = find(name, Where(namespace, context, kubeconfig, local))
        if isinstance(found, LocalRun):
            _go_on(found, file)
        elif file is not None:
            raise UsageError(f"FILE is for local runs; for a changed job: pretrain submit {shlex.quote(file)}")
        else:
            typer.echo(_resume(found))


def _stop(run: LocalRun, called: str) -> str:
    pid = run.stop()
    if pid is None:
        return f"nothing runs in {run.directory}: nothing to stop"
    return (
        f"{run.directory}: process {pid} was asked to stop; it saves a checkpoint first. "
        f"Go on with: pretrain resume {shlex.quote(called)} FILE"
    )


def _go_on(run: LocalRun, file: str | None) -> None:
    if (pid := run.process()) is not None:
        raise UsageError(f"{run.directory}: process {pid} works in it already; see: pretrain status {run.directory}")
    if file is None:
        place = shlex.quote(str(run.directory))
        typer.echo(f"go on with: pretrain run FILE --workdir {place}   (FILE: the job's YAML file)")
        return
    # Imported here: the cluster's jobs need none of it.
    from pretrain_cli.local_run import RunOptions, run_job

    raise typer.Exit(run_job(RunOptions(file, run.directory, job=run.name)))


def _suspend(job: ClusterJob) -> str:
    from pretrain_cli.cluster.jobs import patch_job

    status = _status(job)
    if is_true(status, ConditionType.COMPLETE) or is_true(status, ConditionType.FAILED):
        raise UsageError(f"{job.name} is {str(status.phase).lower()} already: nothing runs that could be suspended")
    if _wants_suspension(job):
        return f"{job.name} is suspended already ({status.phase}); go on with: pretrain resume {job.name}"
    patch_job(job.connection, job.name, {"spec": {"suspend": True}})
    what = "saves a checkpoint, then its pods stop" if status.training is not None else "its pods stop"
    return f"{job.name}: {what}; data and checkpoints stay. Go on with: pretrain resume {job.name}"


def _resume(job: ClusterJob) -> str:
    from pretrain_cli.cluster.jobs import patch_job

    status = _status(job)
    if is_true(status, ConditionType.COMPLETE):
        raise UsageError(f"{job.name} is complete: nothing to go on with; raise spec.training.tokens to train further")
    stopped = is_true(status, ConditionType.FAILED) or is_true(status, ConditionType.SUSPENDED)
    if not _wants_suspension(job):
        if not stopped:
            return f"{job.name} isn't suspended ({status.phase}): nothing to do"
        # It stopped by itself. A change of the spec, there and back, is a new try for it.
        patch_job(job.connection, job.name, {"spec": {"suspend": True}})
    patch_job(job.connection, job.name, {"spec": {"suspend": False}})
    return f"{job.name} goes on{_from(status)}; watch it with: pretrain status {job.name} --watch"


def _from(status: PretrainJobStatus) -> str:
    latest = status.checkpoints.latest if status.checkpoints is not None else None
    if latest is not None:
        return f" from the checkpoint of step {latest.step:,}"
    return " with what is prepared already" if status.phase is not Phase.PENDING else ""


def _wants_suspension(job: ClusterJob) -> bool:
    return bool(job.document["spec"].get("suspend"))


def _status(job: ClusterJob) -> PretrainJobStatus:
    return PretrainJobStatus.model_validate(job.document.get("status") or {})
