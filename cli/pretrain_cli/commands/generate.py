"""`pretrain generate MODEL PROMPT`: let a model continue a text, for a look."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Literal

import typer

from pretrain_cli.inference import Model, ask, model_place
from pretrain_cli.places import errors_in_a_line


def generate(
    model: Model,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The text to continue; - reads the standard input.")],
    tokens: Annotated[int, typer.Option(min=1, max=100_000, help="Most tokens to write.")] = 100,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token each time.")] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="Draw from so many of the likeliest tokens; 0: from all.")] = 0,
    top_p: Annotated[
        float, typer.Option(min=0, max=1, help="Draw from the likeliest tokens that have this probability together.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed writes the same text.")] = 0,
    output: Annotated[
        Literal["text", "json"], typer.Option("-o", "--output", help="text: as it is written; json: one object.")
    ] = "text",
) -> None:
    """Let a model continue a text: a finished run's, an export's, or the newest checkpoint of a run that goes on."""
    with errors_in_a_line("generate"):
        text = sys.stdin.read() if prompt == "-" else prompt
        settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "max_tokens": tokens, "seed": seed}
        place = model_place(model)
        source = ""
        for answer in ask({"command": "generate", **place, "prompt": text, "settings": settings}):
            if "model" in answer:
                source = answer["model"]
                if output == "text":
                    sys.stdout.write(text)
            elif "text" in answer and output == "text":
                sys.stdout.write(answer["text"])
                sys.stdout.flush()
            elif "result" in answer and output == "json":
                typer.echo(json.dumps({"model": source, "prompt": text, **answer["result"]}, ensure_ascii=False))
        if output == "text":
            typer.echo()
