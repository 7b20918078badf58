"""`pretrain export MODEL TARGET --int8`: a finished model once more, smaller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pretrain_cli.errors import UsageError
from pretrain_cli.inference import Model, ask, model_place
from pretrain_cli.places import errors_in_a_line


def export(
    model: Model,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Directory to write; must not be there.")],
    int8: Annotated[bool, typer.Option("--int8", help="Weights in int8, a scale a channel.")] = False,
) -> None:
    """Write a finished model once more with int8 weights; `pretrain generate` and `evaluate` read it."""
    with errors_in_a_line("export"):
        if not int8:
            raise UsageError("say --int8: a run's model/ is its export in the format of training already")
        source = Path(str(model_place(model)["model"]))
        if not (source / "config.json").is_file():
            source /= "model"
        result: dict[str, Any] = {}
        for answer in ask({"command": "int8", "model": str(source), "target": str(target)}):
            result = answer.get("result", result)
        before, after = result["bytesBefore"] / 1e6, result["bytesAfter"] / 1e6
        typer.echo(f"{target}: {after:,.1f} MB of weights instead of {before:,.1f} MB")
