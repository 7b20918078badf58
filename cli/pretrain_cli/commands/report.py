"""`pretrain report NAME`: write the report of a job again, from what it has written up to now."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from pretrain_cli import options
from pretrain_cli.errors import UsageError
from pretrain_cli.local_runs import LocalRun
from pretrain_cli.places import ClusterJob, Where, errors_in_a_line, find
from pretrain_cli.records import EVERYTHING, need_report_package, records_of


def report(
    name: options.Name,
    file: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to; default: NAME-report.html, or the run's own."),
    ] = None,
    image: options.Image = "",
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    local: options.Local = None,
) -> None:
    """Write the report of a job, from what is in its storage now."""
    with errors_in_a_line("report"):
        need_report_package()
        found = find(name, Where(namespace, context, kubeconfig, local))
        written = _of_run(found) if isinstance(found, LocalRun) else None
        try:
            if isinstance(found, ClusterJob):
                written = _of_job(found, file or Path(f"{found.name}-report.html"), image)
            elif file is not None and written is not None:
                written = Path(shutil.copyfile(written, file))
        except OSError as error:
            raise UsageError(f"{error.filename or file}: {error.strerror or error}; give another -o FILE") from error
        typer.echo(str(written))


def _of_run(run: LocalRun) -> Path:
    """Write the report in a run's directory, as its last stage does."""
    from pretrain_api.wire import ENV_CONFIG, ENV_STORAGE, ENV_TERMINATION_LOG

    marker = run.workdir.marker()
    if marker is None or not marker.configuration:
        raise UsageError(f"{run.directory} has no job yet: nothing has run in it")
    environment = {
        **os.environ,
        ENV_CONFIG: str(run.workdir.current_config()),
        ENV_STORAGE: str(run.workdir.root),
        ENV_TERMINATION_LOG: os.devnull,
    }
    ended = subprocess.run([sys.executable, "-m", "pretrain_report"], env=environment, check=False)
    if ended.returncode != 0:
        raise typer.Exit(1)
    return run.workdir.layout.report / "index.html"


def _of_job(job: ClusterJob, file: Path, image: str) -> Path:
    """Write the report of a job of the cluster into a file of this machine."""
    from pretrain_report.main import write_report

    with records_of(job, EVERYTHING, image) as (document, layout):
        write_report(document, layout)
        return Path(shutil.copyfile(layout.report / "index.html", file))
