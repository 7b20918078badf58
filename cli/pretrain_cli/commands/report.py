"""`pretrain report DIR`: write the report of a run again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run.")],
) -> None:
    """Write the report of a run again, from what is in its directory now."""
    # Imported here: `pretrain --help` needs none of it.
    from pretrain_api.wire import ENV_CONFIG, ENV_STORAGE, ENV_TERMINATION_LOG
    from pretrain_operator.local.workdir import Workdir

    workdir = Workdir(directory)
    marker = workdir.marker()
    if marker is None or not marker.configuration:
        typer.echo(f"pretrain report: {directory} isn't the directory of a run; give the --workdir of one", err=True)
        raise typer.Exit(1)
    environment = {
        **os.environ,
        ENV_CONFIG: str(workdir.current_config()),
        ENV_STORAGE: str(workdir.root),
        ENV_TERMINATION_LOG: os.devnull,
    }
    ended = subprocess.run([sys.executable, "-m", "pretrain_report"], env=environment, check=False)
    if ended.returncode == 0:
        typer.echo(f"{workdir.layout.report / 'index.html'}")
    raise typer.Exit(0 if ended.returncode == 0 else 1)
