"""Asking a model: the trainer's package does it in a process of its own, as the command line knows no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from pretrain_cli.errors import UsageError
from pretrain_cli.local_runs import RUNS, LocalRun, is_run

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Directory of a run (or its name in runs/), or of an exported model.")
]


def model_place(name: str) -> dict[str, str | None]:
    """Return where a model is, in terms of a request: its directory, and the resolved job where it is a run's.

    Raises:
        UsageError: There is nothing of that name.
    """
    path = Path(name)
    if not path.is_dir() and "/" not in name:
        path = RUNS / name
    if is_run(path):
        run = LocalRun(path)
        marker = run.workdir.marker()
        known = marker is not None and bool(marker.configuration)
        return {"model": str(path), "config": str(run.workdir.current_config()) if known else None}
    if not path.is_dir():
        raise UsageError(
            f"{name}: there is no such directory, and no run of that name in {RUNS}/; name a run or an exported "
            "model (of a job in a cluster: copy model/ from its storage)"
        )
    return {"model": str(path), "config": None}


def ask(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the lines of the answer; see `pretrain_trainer.inference.__main__`.

    Raises:
        UsageError: It can't be answered.
    """
    if find_spec("torch") is None or find_spec("pretrain_trainer") is None:
        raise UsageError("this needs the trainer's packages: pip install 'pretrain[local]'")
    command = [sys.executable, "-m", "pretrain_trainer.inference"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it ended early; its exit code says why
            process.stdin.write(json.dumps(request))
            process.stdin.close()
        for line in process.stdout:
            if not line.startswith("{"):
                continue  # what a library prints
            answer: dict[str, Any] = json.loads(line)
            if "error" in answer:
                raise UsageError(answer["error"])
            yield answer
        if process.wait():
            raise UsageError(f"the process that loads the model ended with {process.returncode}; its output is above")
    finally:
        process.terminate()
        process.wait()
