"""`pretrain status NAME`: where a job is, readable at a glance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from pretrain_api.names import Phase
from pretrain_api.status import PretrainJobStatus
from pretrain_cli import options
from pretrain_cli.display.glance import Glance, glance_lines
from pretrain_cli.display.table import align, as_text, head, job_row
from pretrain_cli.local_runs import LocalRun
from pretrain_cli.places import ClusterJob, Where, errors_in_a_line, find

LOCAL_LOOK_SECONDS = 1.0
_ENDED = (Phase.COMPLETED, Phase.FAILED, Phase.SUSPENDED)
Output = Literal["text", "wide", "name", "json", "yaml"]


def status(
    name: options.Name,
    namespace: options.Namespace = None,
    output: Annotated[
        Output, typer.Option("-o", "--output", help="text: at a glance; wide: a table; json, yaml: the whole object.")
    ] = "text",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Show it again whenever it changes.")] = False,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    local: options.Local = None,
) -> None:
    """Show where a job is, what is wrong and what to do."""
    with errors_in_a_line("status"):
        found = find(name, Where(namespace, context, kubeconfig, local))
        if watch:
            _watch(found, name, output)
        else:
            _echo(glance_of(found, name), output)


def glance_of(found: LocalRun | ClusterJob, called: str, document: dict[str, Any] | None = None) -> Glance:
    """Return a job as it is now, or as `document` has it."""
    now = datetime.now(UTC)
    if isinstance(found, ClusterJob):
        job = document or found.document
        parsed = PretrainJobStatus.model_validate(job.get("status") or {})
        return Glance(found.name, f"namespace {found.connection.namespace}", job, parsed, now)
    job = found.document()
    parsed = found.status()
    stopped = parsed.phase not in _ENDED and found.process() is None
    note = f"nothing runs in it; go on with: pretrain resume {called} FILE" if stopped else ""
    return Glance(found.name, f"local run {found.directory}", job, parsed, now, note)


def _echo(glance: Glance, output: Output) -> None:
    if output in ("json", "yaml"):
        typer.echo(as_text(glance.document, output))
    elif output == "name":
        typer.echo(f"pretrainjob.pretrain.dev/{glance.name}")
    elif output == "wide":
        typer.echo("\n".join(align([head(wide=True), job_row(glance.document, glance.now, wide=True)])))
    else:
        from rich.console import Console

        console = Console(highlight=False, soft_wrap=True)
        for line in glance_lines(glance):
            console.print(line)


def _watch(found: LocalRun | ClusterJob, called: str, output: Output) -> None:
    """Redraw on a terminal; elsewhere one after the other."""
    import sys

    if output != "text" or not sys.stdout.isatty():
        for glance in _changes(found, called):
            _echo(glance, output)
            if output == "text":
                typer.echo()
        return
    from rich.console import Console, Group
    from rich.live import Live

    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        for glance in _changes(found, called):
            live.update(Group(*glance_lines(glance)), refresh=True)


def _changes(found: LocalRun | ClusterJob, called: str) -> Iterator[Glance]:
    """Yield the job as it is and whenever it changes; a local run until it has ended."""
    if isinstance(found, ClusterJob):
        from pretrain_cli.cluster.jobs import watch_job

        for document in watch_job(found.connection, found.name):
            yield glance_of(found, called, document)
        return
    before: PretrainJobStatus | None = None
    while True:
        glance = glance_of(found, called)
        if glance.status != before or glance.note:
            yield glance
        before = glance.status
        if glance.note or (glance.status.phase in _ENDED and found.process() is None):
            return
        time.sleep(LOCAL_LOOK_SECONDS)
