"""`pretrain plot NAME`: the loss, in the terminal or as a picture."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pretrain_cli import options
from pretrain_cli.display.words import loss
from pretrain_cli.errors import UsageError
from pretrain_cli.places import Where, errors_in_a_line, find
from pretrain_cli.records import CURVES, need_report_package, records_of

if TYPE_CHECKING:
    from pretrain_report.storage import Records

HEIGHT_LINES = 16
WIDTH_WITHOUT_TERMINAL = 100
PNG_PIXELS = (960, 400)


def plot(
    name: options.Name,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a picture instead.")] = None,
    image: options.Image = "",
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    local: options.Local = None,
) -> None:
    """Plot the loss by step, validation loss beside it."""
    with errors_in_a_line("plot"):
        need_report_package()
        found = find(name, Where(namespace, context, kubeconfig, local))
        with records_of(found, CURVES, image) as (job, layout):
            # Imported here: `pretrain --help` needs none of it.
            from pretrain_report.storage import read_records

            records = read_records(job, layout)
        if records.metrics is None:
            raise UsageError(f"{found.name} has no metrics yet: no step is trained; see: pretrain status {name}")
        if png is None:
            typer.echo("\n".join(chart_lines(records, shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns)))
        else:
            _write_png(records, png)


def chart_lines(records: Records, width: int) -> list[str]:
    """Return the loss as lines of text. Raises UsageError where no loss is finite."""
    from pretrain_cli.display.chart import MARK, chart

    assert records.metrics is not None
    series = records.metrics.series["loss"]
    if not series:
        raise UsageError(f"{records.name}: no loss is finite; the ledger says what was done: pretrain events")
    marks = [
        (float(one["step"]), float(one["validationLoss"]))
        for one in records.evaluations
        if isinstance(one.get("validationLoss"), int | float)
    ]
    steps, values = series.smoothed(round(len(series.buckets) * 0.01))
    head = f"{records.name}: loss {loss(values[-1])} at step {steps[-1]:,.0f}, nats a token"
    if marks:
        head += f"; {MARK} validation {loss(marks[-1][1])}"
    return [head, *chart(list(zip(steps, values, strict=True)), marks, max(40, width), HEIGHT_LINES)]


def _write_png(records: Records, path: Path) -> None:
    from pretrain_report.plots import LIGHT, draw_loss, save_png

    figure = draw_loss(records, LIGHT, *PNG_PIXELS, legend=True)
    try:
        with path.open("wb") as file:
            save_png(figure, file)
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror or error}; give another --png FILE") from error
    typer.echo(str(path))
