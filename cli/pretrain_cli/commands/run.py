"""`pretrain run FILE`: carry out a job on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def run(
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML file of a PretrainJob; - is the standard input.")],
    workdir: Annotated[
        Path | None, typer.Option(help="Directory of the run: its storage. Default: runs/<name of the job>.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over: remove what earlier runs made in the directory.")
    ] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change the job, as spec.training.tokens=1M; repeatable."),
    ] = None,
    job: Annotated[str | None, typer.Option("--job", metavar="NAME", help="Which of several jobs in FILE.")] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Stop after a stage of the preparation: clean, dedup, tokenize, blend, …"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but the end.")] = False,
    output: Annotated[
        Literal["text", "json"], typer.Option("-o", "--output", help="text, or json: a line of status an update.")
    ] = "text",
) -> None:
    """Run a job on this machine, or go on with it: prepare the data, train, report.

    Exit codes: 0 completed, 1 failed, 130 interrupted by Ctrl-C.
    """
    # Imported here: `pretrain --help` needs none of it.
    from pretrain_cli.local_run import RunOptions, run_job

    options = RunOptions(file, workdir, fresh, tuple(overrides or ()), job, until, quiet, output)
    raise typer.Exit(run_job(options))
