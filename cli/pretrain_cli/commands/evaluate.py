"""`pretrain evaluate MODEL FILE`: how many multiple-choice questions a model answers rightly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pretrain_cli.inference import Model, ask, model_place
from pretrain_cli.places import errors_in_a_line


def evaluate(
    model: Model,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help='JSON lines: {"question": …, "choices": […], "answer": index}.')
    ],
    scores: Annotated[bool, typer.Option(help="With -o json: the log-probability of each answer, too.")] = False,
    output: Annotated[
        Literal["text", "json"], typer.Option("-o", "--output", help="text, or one JSON object.")
    ] = "text",
) -> None:
    """Score multiple-choice questions: the answer that the model finds likeliest, as a whole and a character."""
    with errors_in_a_line("evaluate"):
        place = model_place(model)
        shown: dict[str, Any] = {}
        for answer in ask({"command": "evaluate", **place, "file": str(file), "scores": scores and output == "json"}):
            shown |= answer.get("result", answer)
        if output == "json":
            typer.echo(json.dumps({**shown, "file": str(file)}, ensure_ascii=False))
            return
        typer.echo(f"model                {shown['model']}")
        typer.echo(f"questions            {shown['items']:,}")
        error = shown["accuracyStandardError"]
        typer.echo(f"accuracy             {shown['accuracy']:.2%} ± {error:.2%}   guessing: {shown['chance']:.2%}")
        typer.echo(f"normalized accuracy  {shown['normalizedAccuracy']:.2%}   (likeliest a character)")
