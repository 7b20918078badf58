"""Which job is meant: a directory of this machine, or a job of the cluster.

A path (anything with a slash, or a directory with a run.json) is a local run. A name is the cluster's job; where there
is no cluster, or no such job in it, it is the run in runs/NAME. --local and --cluster, or an option about the
cluster, decide otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pretrain_cli.errors import UsageError
from pretrain_cli.local_runs import RUNS, LocalRun, is_run

if TYPE_CHECKING:
    from pretrain_cli.cluster.connection import Connection


@dataclass(frozen=True)
class Where:
    """What the options say about the place."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    local: bool | None = None
    """--local, --cluster, or neither."""

    @property
    def about_cluster(self) -> bool:
        """Does an option ask for a cluster?"""
        return self.local is False or any((self.namespace, self.context, self.kubeconfig))


@dataclass(frozen=True)
class ClusterJob:
    """A job of the cluster."""

    connection: Connection
    name: str
    document: dict[str, Any]


def find(name: str, where: Where) -> LocalRun | ClusterJob:
    """Return the job that is meant.

    Raises:
        UsageError: There is none.
    """
    path = Path(name)
    if where.local:
        if where.about_cluster:
            raise UsageError("--local doesn't go with --namespace, --context or --kubeconfig; leave either out")
        return LocalRun(path if is_run(path) or not is_run(RUNS / name) else RUNS / name)
    if not where.about_cluster and ("/" in name or is_run(path)):
        return LocalRun(path)
    return _in_cluster_or_runs(name, where)


def connect_to(where: Where) -> Connection:
    """Return a connection to the cluster that is meant. Raises UsageError."""
    # Imported here: local runs need no Kubernetes.
    from pretrain_cli.cluster.connection import ClusterOptions, connect

    return connect(ClusterOptions(where.namespace, where.context, where.kubeconfig))


def _in_cluster_or_runs(name: str, where: Where) -> LocalRun | ClusterJob:
    from pretrain_cli.cluster.connection import NoOperatorError, UnreachableError
    from pretrain_cli.cluster.jobs import NoSuchJobError, get_job

    try:
        connection = connect_to(where)
        return ClusterJob(connection, name, get_job(connection, name))
    except (UnreachableError, NoOperatorError, NoSuchJobError):
        if where.about_cluster or not is_run(RUNS / name):
            raise
        return LocalRun(RUNS / name)


@contextmanager
def errors_in_a_line(command: str) -> Iterator[None]:
    """Say what went wrong in a line and end with 1; Ctrl-C ends with 130."""
    try:
        yield
    except UsageError as problem:
        for line in problem.lines:
            typer.echo(f"pretrain {command}: {line}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
