"""`pretrain events NAME`: what happened to a job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer
import yaml

from pretrain_cli import options
from pretrain_cli.local_runs import LocalRun
from pretrain_cli.places import ClusterJob, Where, errors_in_a_line, find


def events(
    name: options.Name,
    namespace: options.Namespace = None,
    output: Annotated[
        Literal["text", "json", "yaml"], typer.Option("-o", "--output", help="json, yaml: as they are kept.")
    ] = "text",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Go on with new ones.")] = False,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    local: options.Local = None,
) -> None:
    """Show what happened to a job, oldest first: events of the cluster, or the ledger of a local run."""
    with errors_in_a_line("events"):
        found = find(name, Where(namespace, context, kubeconfig, local))
        known = found.ledger() if isinstance(found, LocalRun) else _cluster_events(found)
        for event in known:
            _echo(event, output)
        if watch:
            for event in _coming(found, known):
                _echo(event, output)
        elif not known:
            typer.echo(_nothing(found), err=True)


def event_line(event: dict[str, Any]) -> str:
    """Return an event of the cluster, or a line of the ledger, as a line."""
    if "event" in event:
        step = f"step {event['step']}" if event.get("step") is not None else ""
        return (
            f"{event.get('time', ''):<20}  {event['event']:<20}  {step:<12}  {_one_line(event.get('message'))}".rstrip()
        )
    # Imported here: a ledger needs no Kubernetes.
    from pretrain_cli.cluster.jobs import event_time

    times = f" (x{event['count']})" if event.get("count", 1) > 1 else ""
    warning = "!" if event.get("type") == "Warning" else " "
    kind = f"{warning} {event.get('reason', ''):<24}"
    return f"{event_time(event)[:19] + 'Z':<20} {kind}  {_one_line(event.get('message'))}{times}"


def _echo(event: dict[str, Any], output: str) -> None:
    if output == "json":
        typer.echo(json.dumps(event, ensure_ascii=False))
    elif output == "yaml":
        typer.echo("---\n" + yaml.safe_dump(event, sort_keys=False, allow_unicode=True).rstrip("\n"))
    else:
        typer.echo(event_line(event))


def _one_line(text: Any) -> str:
    return " ".join(str(text or "").split())


def _cluster_events(job: ClusterJob) -> list[dict[str, Any]]:
    from pretrain_cli.cluster.jobs import events_of

    return events_of(job.connection, job.name)


def _coming(found: LocalRun | ClusterJob, known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if isinstance(found, ClusterJob):
        from pretrain_cli.cluster.jobs import watch_events

        yield from watch_events(found.connection, found.name, known)
        return
    from pretrain_cli.local_logs import follow_lines

    for line in follow_lines(found.workdir.layout.ledger, found):
        event = json.loads(line)
        if event not in known:
            yield event


def _nothing(found: LocalRun | ClusterJob) -> str:
    if isinstance(found, LocalRun):
        return f"{found.directory}: no events yet; the ledger begins when the data is prepared"
    return f"{found.name}: no events; the cluster keeps them for about an hour, the ledger in the job's report for good"
