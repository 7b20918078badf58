"""`pretrain presets [NAME]`: the published models that estimates and jobs know, and their settings for a job."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer


def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Its documented settings, to copy into a job.")
    ] = None,
    output: Annotated[
        Literal["text", "yaml", "json"],
        typer.Option("-o", "--output", help="text: a table, of one preset YAML; json: one array, or object."),
    ] = "text",
) -> None:
    """List published models with their sizes, and which of them a job can train; or give one's documented settings."""
    if name is not None:
        _show_section(name, output)
        return
    if output == "yaml":
        raise typer.BadParameter("give the name of a preset, too", param_hint="--output yaml")
    # Imported here: the command line starts fast.
    from pretrain_api.estimates import preset_document, published_models

    documents = [preset_document(model) for model in published_models().values()]
    if output == "json":
        typer.echo(json.dumps(documents, ensure_ascii=False, indent=2))
        return
    _show(documents)


def _show_section(name: str, output: str) -> None:
    from pretrain_api.estimates.training_section import section_names, training_section
    from pretrain_api.validation.suggestions import closest

    try:
        section = training_section(name)
    except KeyError:
        match = closest(name, section_names())
        hint = f"did you mean '{match}'?" if match else f"there are: {', '.join(section_names())}"
        typer.echo(f"pretrain presets: '{name}' has no documented settings; {hint}", err=True)
        raise typer.Exit(1) from None
    parts = {"model": section.model, "objective": section.objective, "training": section.training}
    spec = {name: part for name, part in parts.items() if part is not None}
    if output == "json":
        document = {"name": name, "source": section.source, "notes": section.notes, "spec": spec}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    typer.echo(_as_yaml(name, section.source, section.notes, spec))


def _as_yaml(name: str, source: str, notes: dict[str, str], spec: dict[str, Any]) -> str:
    import yaml

    lines = [f"# {name}: {source}"]
    lines += [f"# {'' if field == 'source' else field + ': '}{note}" for field, note in notes.items()]
    if "model" not in spec:
        lines.append("# This version can't train the model itself; the settings fit others of its size.")
    text = yaml.safe_dump({"spec": spec}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    return "\n".join([*lines, text.rstrip()])


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
        "the others are for `pretrain estimate --preset`. `pretrain presets NAME`: settings to copy into a job.",
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
