"""`pretrain sample-corpus DIR`: text to try things with, from what every Python brings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress


def sample_corpus(
    directory: Annotated[Path, typer.Argument(help="Where to; made if it isn't there.")],
    megabytes: Annotated[
        float | None, typer.Option(min=0.01, help="About how much text (1,000,000 bytes each); default: all there is.")
    ] = None,
    format: Annotated[  # noqa: A002 (the option's name)
        Literal["jsonl", "text"],
        typer.Option(help="jsonl: shards of records {id, text}; text: a file a document."),
    ] = "jsonl",
    force: Annotated[bool, typer.Option("--force", help="Replace a sample corpus that is there already.")] = False,
) -> None:
    """Write real text to try a job with: the documentation, docstrings and sources of this Python, and READMEs."""
    # Imported here: the command line starts fast without the data preparation's libraries.
    from pretrain_dataprep.errors import PreparationError
    from pretrain_dataprep.sources.sample import SampleParameters, list_files
    from pretrain_dataprep.sources.sample_corpus import write_sample_corpus

    parameters = SampleParameters(megabytes=megabytes)
    try:
        columns = ("[progress.description]{task.description}", BarColumn(), DownloadColumn())
        screen = Console(stderr=True)
        with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
            task = bar.add_task("Writing text", total=sum(file.size for file in list_files(parameters)))
            counts = write_sample_corpus(
                directory,
                parameters,
                format=format,
                force=force,
                progress=lambda size: bar.advance(task, size),
            )
    except (PreparationError, OSError) as error:
        typer.echo(f"pretrain sample-corpus: {error}", err=True)
        raise typer.Exit(1) from None
    Console(highlight=False, soft_wrap=True).print(
        f"{directory}: {counts['documents']:,} documents, {counts['bytes'] / 1e6:.1f} MB of text in "
        f"{counts['files']:,} {'files' if counts['files'] != 1 else 'file'}"
    )
