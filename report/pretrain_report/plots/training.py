"""Plots of the training: loss, learning rate, batch size, speed, gradient norm, by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from statistics import quantiles

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from pretrain_report.formats import scientific, tick, tokens
from pretrain_report.plots.style import Palette, count_axis, new_figure
from pretrain_report.series import Discarded, Metrics, Series
from pretrain_report.storage import Records

SMOOTHING_SHARE = 0.01
"""Half the width of the smoothing window, as a share of the curve."""


def draw_loss(records: Records, palette: Palette, width: int = 960, height: int = 340, legend: bool = False) -> Figure:
    """Draw training loss (every step and smoothed), validation loss, what was taken back, and batch stages.

    `legend` adds a heading and a key, which a page has beside the plot.

    Raises:
        ValueError: there are no metrics.
    """
    metrics = _metrics(records)
    figure, axes = new_figure(
        width, height, palette, heading=f"{records.name}: loss by step, nats a token" if legend else ""
    )
    loss = metrics.series["loss"]
    for trajectory in records.discarded:
        _line(axes, trajectory.loss.points(), palette.discarded, 1.2, f"discarded-{trajectory.rollback}")
    _line(axes, loss.points(), palette.train, 0.9, "train", opacity=0.4)
    half_width = round(SMOOTHING_SHARE * len(loss.buckets))
    _line(axes, loss.smoothed(half_width), palette.train, 1.8, "train-smoothed", label="train")
    evaluations = [(one["step"], one["validationLoss"]) for one in records.evaluations if _finite(one)]
    if evaluations:
        steps, losses = zip(*evaluations, strict=True)
        (line,) = axes.plot(steps, losses, "o-", color=palette.validation, linewidth=1.2, label="validation")
        line.set(gid="validation", markersize=5, markeredgewidth=0)
    _limit_loss(axes, [loss, *(one.loss for one in records.discarded)], [value for _, value in evaluations])
    _mark_not_finite(axes, [loss, *(one.loss for one in records.discarded)], palette)
    _step_axis(axes, metrics, records)
    _mark_rollbacks(axes, records, palette)
    _mark_stages(axes, metrics, palette, labelled=True)
    if legend:
        _legend(axes, records, palette)
    return figure


def _metrics(records: Records) -> Metrics:
    if records.metrics is None:
        raise ValueError("metrics.jsonl has no steps yet; there is nothing to plot")
    return records.metrics


def _finite(evaluation: dict[str, object]) -> bool:
    value = evaluation.get("validationLoss")
    return isinstance(value, (int, float)) and math.isfinite(value)


def _line(
    axes: Axes,
    points: tuple[list[float], list[float]],
    colour: str,
    linewidth: float,
    name: str,
    opacity: float | None = None,
    label: str | None = None,
) -> None:
    steps, values = points
    # A single point makes no line.
    style = "o" if len(steps) == 1 else "-"
    axes.plot(steps, values, style, color=colour, linewidth=linewidth, gid=name, alpha=opacity, label=label)


def _limit_loss(axes: Axes, curves: list[Series], validation: Iterable[float]) -> None:
    """Cut off what is so far out that the rest would be a flat line; a jump to three times the usual stays in view."""
    values = sorted([value for curve in curves for value in curve.points()[1]] + list(validation))
    if not values:
        return
    high = values[-1]
    if len(values) >= 20:
        high = min(high, 3 * quantiles(values, n=20)[-1] - 2 * values[0])
    margin = 0.06 * (high - values[0]) or 0.1
    axes.set_ylim(values[0] - margin, high + margin)


def _mark_not_finite(axes: Axes, curves: list[Series], palette: Palette) -> None:
    steps = [step for curve in curves for step in curve.not_finite_steps]
    if steps:
        top = axes.get_xaxis_transform()
        axes.plot(
            steps,
            [0.97] * len(steps),
            transform=top,
            linestyle="none",
            marker="x",
            markersize=7,
            markeredgewidth=1.6,
            color=palette.discarded,
            gid="not-finite",
            label="loss not finite",
        )


def _step_axis(axes: Axes, metrics: Metrics, records: Records) -> None:
    first = min([metrics.first["step"], *(one.first_step for one in records.discarded)])
    last = max([metrics.last["step"], *(one.last_step for one in records.discarded)])
    axes.set_xlim(first - 0.5, max(last, first + 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    count_axis(axes, "x")


def _mark_rollbacks(axes: Axes, records: Records, palette: Palette) -> None:
    """Shade from the step that training went back to, to the step where the spike was noticed."""
    close_by: list[list[Discarded]] = []
    for trajectory in records.discarded:
        start, end = trajectory.first_step - 0.5, trajectory.last_step + 0.5
        axes.axvspan(start, end, color=palette.discarded, alpha=0.1, linewidth=0, gid=f"span-{trajectory.rollback}")
        if close_by and _fraction(axes, start) - _fraction(axes, close_by[-1][0].first_step) < 0.12:
            close_by[-1].append(trajectory)
        else:
            close_by.append([trajectory])
    for group in close_by:
        first, last = group[0].rollback, group[-1].rollback
        text = f"rollback {first}" if first == last else f"rollbacks {first}–{last}"
        _top_label(axes, max(one.last_step for one in group) + 0.5, text, palette.discarded)


def _mark_stages(axes: Axes, metrics: Metrics, palette: Palette, labelled: bool) -> None:
    last_label = -math.inf
    for index, stage in enumerate(metrics.stages[:200]):
        if index:
            line = axes.axvline(stage.step - 0.5, color=palette.stage, linewidth=1, linestyle=(0, (2, 3)))
            line.set_gid(f"stage-{index}")
        place = _fraction(axes, stage.step)
        if labelled and len(metrics.stages) > 1 and place - last_label > 0.14 and place < 0.92:
            last_label = place
            text = f"{tokens(stage.batch_tokens)} batch" if index == 0 else tokens(stage.batch_tokens)
            _top_label(axes, stage.step - 0.5, text, palette.muted, above=True)


def _fraction(axes: Axes, step: float) -> float:
    low, high = axes.get_xlim()
    return (step - low) / (high - low)


def _top_label(axes: Axes, step: float, text: str, colour: str, above: bool = False) -> None:
    """Write beside a mark: above the plot, or inside it at the top, to the left where the right edge is near."""
    to_left = not above and _fraction(axes, step) > 0.8
    axes.annotate(
        text,
        (step, 1.0),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-4 if to_left else 4 if not above else 0, 7 if above else -12),
        textcoords="offset points",
        ha="right" if to_left else "left",
        color=colour,
        fontsize=11,
        annotation_clip=False,
    )


def _legend(axes: Axes, records: Records, palette: Palette) -> None:
    if records.discarded:
        axes.plot([], [], color=palette.discarded, label="taken back by a rollback")
    legend = axes.legend(loc="upper right", frameon=False, fontsize=11, borderaxespad=1.4)
    for text in legend.get_texts():
        text.set_color(palette.muted)


def _draw_field(name: str, unit: Callable[[float], str] | None, kind: str = "line") -> Callable[..., Figure]:
    def draw(records: Records, palette: Palette, width: int = 460, height: int = 210) -> Figure:
        metrics = _metrics(records)
        figure, axes = new_figure(width, height, palette)
        series = metrics.series[name]
        if kind == "steps":
            steps = [*(stage.step for stage in metrics.stages), metrics.last["step"]]
            sizes = [stage.batch_tokens or math.nan for stage in metrics.stages]
            axes.step(steps, [*sizes, sizes[-1]], where="post", color=palette.train, linewidth=1.8, gid=name)
        else:
            raw = kind == "noisy"
            _line(axes, series.points(), palette.train, 0.9 if raw else 1.8, name, opacity=0.4 if raw else None)
            if raw:
                half_width = round(SMOOTHING_SHARE * len(series.buckets))
                _line(axes, series.smoothed(half_width), palette.train, 1.8, f"{name}-smoothed")
        trajectories = [one.gradient_norm for one in records.discarded] if name == "gradientNorm" else []
        for number, trajectory in enumerate(trajectories, start=1):
            _line(axes, trajectory.points(), palette.discarded, 1.2, f"{name}-discarded-{number}")
        _limit_field(axes, [series, *trajectories], series.median())
        _step_axis(axes, metrics, records)
        _mark_stages(axes, metrics, palette, labelled=False)
        if unit:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: unit(value)))
        return figure

    return draw


def _limit_field(axes: Axes, curves: list[Series], middle: float | None) -> None:
    """From zero; on a logarithmic scale where the greatest value is more than ten times the median."""
    values = [value for curve in curves for value in curve.points()[1]]
    if values and middle and min(values) > 0 and max(values) > 10 * middle:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=7))
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.set_ylim(0, (max(values, default=0.0) or 1.0) * 1.1)


PLOTS: dict[str, tuple[str, Callable[..., Figure]]] = {
    "loss": ("Loss", draw_loss),
    "learning-rate": ("Learning rate", _draw_field("learningRate", scientific)),
    "batch-size": ("Batch size, tokens", _draw_field("batchTokens", tokens, "steps")),
    "throughput": ("Tokens a second", _draw_field("tokensPerSecond", tick, "noisy")),
    "gradient-norm": ("Gradient norm", _draw_field("gradientNorm", None, "noisy")),
}
"""Name (as in `pretrain plot NAME`) -> title and drawing function (records, palette, width, height)."""
