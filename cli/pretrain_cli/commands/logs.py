"""`pretrain logs NAME`: what a job's processes wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pretrain_api.names import Component
from pretrain_api.status import PretrainJobStatus, TrainingStatus
from pretrain_cli import options
from pretrain_cli.errors import UsageError
from pretrain_cli.local_logs import follow_lines, last_lines
from pretrain_cli.local_runs import LocalRun
from pretrain_cli.places import ClusterJob, Where, errors_in_a_line, find


def logs(  # noqa: PLR0913, PLR0917 (each is an option)
    name: options.Name,
    stage: Annotated[
        Component | None, typer.Option(help="Whose log; default: the trainer's, or that of the stage that ran last.")
    ] = None,
    rank: Annotated[int | None, typer.Option(min=0, help="Only this rank of the trainer.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as it grows.")] = False,
    previous: Annotated[bool, typer.Option("--previous", help="Of the container before the last restart.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, metavar="LINES", help="Only the last lines of each.")] = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    local: options.Local = None,
) -> None:
    """Show what a job's processes wrote; with several of them, each line says whose it is."""
    with errors_in_a_line("logs"):
        if rank is not None and stage not in (None, Component.TRAINER):
            raise UsageError(f"--rank is about the trainer, --stage {stage} isn't; leave either out")
        found = find(name, Where(namespace, context, kubeconfig, local))
        if isinstance(found, LocalRun):
            if previous:
                raise UsageError("--previous is for the cluster: a local run's files hold all lives of a process")
            lines = _local_lines(found, stage, rank, tail, follow)
        else:
            lines = _cluster_lines(found, stage, rank, tail, follow, previous)
        for line in lines:
            typer.echo(line)


def of_rank(lines: Iterator[str], rank: int | None) -> Iterator[str]:
    """Yield the lines that one rank wrote, in either format of the trainer's log; all where `rank` is None."""
    for line in lines:
        if rank is None or line.startswith(f"[rank {rank}] ") or f'"rank": {rank},' in line:
            yield line


def node_of_rank(status: PretrainJobStatus, rank: int) -> int:
    """Return the node that a rank runs on.

    Raises:
        UsageError: There is no such rank.
    """
    training = status.training or TrainingStatus()
    world, nodes = training.world_size or 0, training.num_nodes or 0
    if not world or not nodes:
        raise UsageError("training hasn't begun, so no rank writes yet; without --rank the log is there")
    if rank >= world:
        raise UsageError(f"there is no rank {rank}; ranks are 0 to {world - 1}")
    return rank // (world // nodes)


def _local_lines(
    run: LocalRun, stage: Component | None, rank: int | None, tail: int | None, follow: bool
) -> Iterator[str]:
    paths = _local_files(run, stage, rank)
    if follow and len(paths) == 1:
        lines = last_lines(paths[0], tail)
        size = paths[0].stat().st_size
        yield from of_rank(iter(lines), rank)
        yield from of_rank(follow_lines(paths[0], run, size), rank)
        return
    if follow:
        raise UsageError(
            f"-f follows one file, there are: {', '.join(path.stem for path in paths)}; choose with --rank"
        )
    for path in paths:
        prefix = f"{path.stem} | " if len(paths) > 1 else ""
        kept = list(of_rank(iter(last_lines(path, None)), rank))
        for line in kept if tail is None else kept[max(0, len(kept) - tail) :]:
            yield prefix + line


def _local_files(run: LocalRun, stage: Component | None, rank: int | None) -> list[Path]:
    folder = run.workdir.layout.logs
    there = [path for path in folder.glob("*-*.log") if path.stem.rpartition("-")[2].isdecimal()]
    if not there:
        raise UsageError(f"{folder} has no logs yet; nothing has run in {run.directory}")
    components = {path: path.stem.rpartition("-")[0] for path in there}
    if rank is not None:
        node = node_of_rank(run.status(), rank)
        stage, there = Component.TRAINER, [path for path in there if path.stem == f"{Component.TRAINER}-{node}"]
    elif stage is None:
        newest = max(there, key=lambda path: path.stat().st_mtime)
        stage = Component.TRAINER if Component.TRAINER in components.values() else Component(components[newest])
    chosen = [path for path in there if components[path] == stage]
    if not chosen:
        names = ", ".join(sorted(set(components.values())))
        raise UsageError(f"{folder} has no log of {stage}; there are: {names}")
    return sorted(chosen, key=lambda path: int(path.stem.rpartition("-")[2]))


def _cluster_lines(
    job: ClusterJob, stage: Component | None, rank: int | None, tail: int | None, follow: bool, previous: bool
) -> Iterator[str]:
    # Imported here: local runs need no Kubernetes.
    from pretrain_cli.cluster.pod_logs import LogRequest, log_lines

    node = None
    if rank is not None:
        stage = Component.TRAINER
        node = node_of_rank(PretrainJobStatus.model_validate(job.document.get("status") or {}), rank)
    request = LogRequest(stage, node, tail, follow, previous)
    return of_rank(log_lines(job.connection, job.name, request), rank)
