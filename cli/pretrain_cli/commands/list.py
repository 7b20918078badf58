"""`pretrain list`: the jobs there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from pretrain_cli import options
from pretrain_cli.display.table import align, as_text, column_widths, head, job_row
from pretrain_cli.errors import UsageError
from pretrain_cli.local_runs import RUNS, local_runs
from pretrain_cli.places import Where, connect_to, errors_in_a_line

Output = Literal["text", "wide", "name", "json", "yaml"]


def list_jobs(
    namespace: options.Namespace = None,
    all_namespaces: Annotated[bool, typer.Option("-A", "--all-namespaces", help="Jobs of all namespaces.")] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="How to show them.")] = "text",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Go on with what changes.")] = False,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    local: options.Local = None,
) -> None:
    """List the cluster's jobs; with --local, or where no cluster is to be had, the runs in runs/."""
    with errors_in_a_line("list"):
        where = Where(namespace, context, kubeconfig, local)
        if local:
            _show([run.document() for run in local_runs()], output, False)
            return
        if watch and output not in ("text", "wide"):
            raise UsageError(f"--watch doesn't go with -o {output}; leave either out")
        _list_cluster(where, all_namespaces, output, watch)


def _list_cluster(where: Where, all_namespaces: bool, output: Output, watch: bool) -> None:
    # Imported here: local runs need no Kubernetes.
    from pretrain_cli.cluster import jobs
    from pretrain_cli.cluster.connection import UnreachableError

    try:
        connection = connect_to(where)
        path = jobs.collection_path(connection, all_namespaces)
        answer = connection.get(path)
    except UnreachableError as error:
        runs = local_runs()
        if where.about_cluster or all_namespaces or not runs:
            raise
        typer.echo(f"pretrain list: {error.lines[0]}\nthe runs in {RUNS}/ are:", err=True)
        _show([run.document() for run in runs], output, False)
        return
    found = jobs.in_order(answer.get("items", []))
    widths = _show(found, output, all_namespaces, connection.namespace)
    if watch:
        for job in jobs.watch_jobs(connection, path, answer["metadata"]["resourceVersion"]):
            row = job_row(job, datetime.now(UTC), output == "wide", all_namespaces)
            typer.echo(align([row], widths)[0])


def _show(found: list[dict[str, Any]], output: Output, namespaced: bool, namespace: str = "") -> list[int]:
    """Show jobs; return the widths of the columns."""
    if output in ("json", "yaml"):
        typer.echo(as_text({"apiVersion": "v1", "kind": "List", "items": found}, output))
        return []
    if output == "name":
        for job in found:
            typer.echo(f"pretrainjob.pretrain.dev/{job['metadata']['name']}")
        return []
    wide = output == "wide"
    rows = [job_row(job, datetime.now(UTC), wide, namespaced) for job in found]
    lines = [head(wide, namespaced), *rows]
    widths = column_widths(lines)
    if found:
        typer.echo("\n".join(align(lines, widths)))
    else:
        where = "any namespace" if namespaced else f"namespace {namespace}" if namespace else f"{RUNS}/"
        typer.echo(f"no jobs in {where}", err=True)
    return widths
