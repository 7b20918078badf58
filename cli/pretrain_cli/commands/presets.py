"""`pretrain presets`: the published models that estimates and jobs know."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer


def presets(
    output: Annotated[
        Literal["text", "json"], typer.Option("-o", "--output", help="text: a table; json: one array.")
    ] = "text",
) -> None:
    """List published models with their sizes and documented settings, and which of them a job can train."""
    # Imported here: the command line starts fast.
    from pretrain_api.estimates import preset_document, published_models

    documents = [preset_document(model) for model in published_models().values()]
    if output == "json":
        typer.echo(json.dumps(documents, ensure_ascii=False, indent=2))
        return
    _show(documents)


def _show(documents: list[dict[str, object]]) -> None:
    from rich.table import Table

    from pretrain_cli.commands.estimate_tables import console

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("family", no_wrap=True)
    for name in ("parameters", "active", "context", "batch", "learning rate"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("trainable", no_wrap=True)
    for document in documents:
        table.add_row(*_row(document))
    out = console()
    out.print(table)
    out.print(
        "batch (tokens), learning rate: as documented. trainable: this version can train it (spec.model.preset); "
        "the others are for `pretrain estimate --preset`.",
        style="dim",
    )


def _row(document: dict[str, object]) -> tuple[str, ...]:
    settings = document["documentedSettings"]
    assert settings is None or isinstance(settings, dict)
    documented = settings or {}
    rate = documented.get("peakLearningRate")
    parameters, active = document["parameters"], document["activeParameters"]
    return (
        str(document["name"]),
        str(document["family"]),
        f"{parameters:,}",
        "" if active == parameters else f"{active:,}",
        f"{document['contextLength']:,}",
        str(documented.get("batchTokens") or ""),
        "" if rate is None else f"{rate:g}",
        "yes" if document["trainable"] else "no",
    )
