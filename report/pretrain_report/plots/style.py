"""How plots look, and how a figure becomes an SVG that follows the page's theme or a PNG.

Sizes are in CSS pixels: a figure of 960 x 320 is 960 units wide in its SVG, and text of 12 is as large as the page's.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, fields
from typing import IO, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pretrain_report.formats import tick

_DOTS_PER_INCH = 72
_FONT_SIZE = 12
# Colours and resolution of the figure itself, not matplotlib's defaults for files.
_AS_DRAWN: dict[str, Any] = {"dpi": "figure", "facecolor": "auto", "edgecolor": "auto"}


@dataclass(frozen=True)
class Palette:
    """Colours by what they stand for."""

    text: str
    muted: str
    grid: str
    train: str
    validation: str
    discarded: str
    stage: str
    background: str


LIGHT = Palette(
    text="#1d2329",
    muted="#59636e",
    grid="#e3e7eb",
    train="#2563b8",
    validation="#b45309",
    discarded="#c0267e",
    stage="#8a949e",
    background="#ffffff",
)
# Colours that stand for CSS variables of the same name: `to_svg` puts `var(--train)` where it finds one.
THEMED = Palette(*(f"#0{index}0{index}0{index}" for index in range(1, 9)))
_VARIABLES = {getattr(THEMED, one.name): f"var(--{one.name})" for one in fields(Palette)}


def new_figure(width: int, height: int, palette: Palette, heading: str = "") -> tuple[Figure, Axes]:
    """Return an empty figure of the given size in pixels with one plot in the house style, and a heading if given."""
    with mpl.rc_context({"font.size": _FONT_SIZE, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(width / _DOTS_PER_INCH, height / _DOTS_PER_INCH), dpi=_DOTS_PER_INCH)
        left, right, top, bottom = 52, 12, 52 if heading else 22, 26
        box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
        axes = figure.add_axes(box)
        # A heading is text, never mathematics between dollar signs.
        figure.text(14 / width, 1 - 22 / height, heading, color=palette.text, fontsize=14, parse_math=False)
    figure.patch.set_facecolor(palette.background if palette is LIGHT else "none")
    axes.patch.set_facecolor("none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(palette.stage)
    axes.tick_params(colors=palette.muted, length=0, pad=6, labelcolor=palette.muted, labelsize=_FONT_SIZE)
    axes.grid(axis="y", color=palette.grid, linewidth=1)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
    return figure, axes


def count_axis(axes: Axes, which: str = "y") -> None:
    """Label an axis with whole numbers in short: 10 K, 1.2 M."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))


def to_svg(figure: Figure, name: str) -> str:
    """Return an `<svg>` element to put into a page.

    It has no fixed size, its identifiers start with `name`, its colours are CSS variables; equal figures give equal
    text.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_figure(buffer, format="svg", metadata={"Date": None}, **_AS_DRAWN)
    text = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    text = text[text.index("<svg") :]
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r'( id="|href="#|url\(#)', rf"\1{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text.strip()


def save_png(figure: Figure, file: IO[bytes]) -> None:
    """Write a figure as a PNG of twice its size in pixels; equal figures give equal bytes."""
    figure.set_dpi(2 * _DOTS_PER_INCH)
    FigureCanvasAgg(figure).print_figure(file, format="png", metadata={"Software": None}, **_AS_DRAWN)
