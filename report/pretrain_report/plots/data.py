"""Plots of the data: lengths of documents, sizes of duplicate clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pretrain_api.wire import DataReport
from pretrain_report.facts.data import clusters_by_kind
from pretrain_report.formats import tokens
from pretrain_report.plots.style import Palette, count_axis, new_figure

_LARGE_CLUSTER = 4
"""Sizes above are gathered in ranges that double."""


def draw_lengths(report: DataReport, palette: Palette, width: int = 460, height: int = 210) -> Figure:
    """Draw how many of the cleaned documents are how long. Raises ValueError without a histogram."""
    counts: Counter[int] = Counter()
    for source in report.sources:
        counts.update({int(least): count for least, count in source.length_histogram.items()})
    if not counts:
        raise ValueError("data/report.json has no lengths of documents")
    figure, axes = new_figure(width, height, palette)
    buckets = sorted(counts)
    _bars(axes, {tokens(least): counts[least] for least in buckets}, palette.train, "lengths")
    return figure


def draw_clusters(report: DataReport, palette: Palette, width: int = 460, height: int = 210) -> Figure:
    """Draw how many clusters of duplicates there are by their size. Raises ValueError without clusters."""
    kinds = {kind: _by_range(clusters) for kind, clusters in clusters_by_kind(report).items()}
    if not kinds:
        raise ValueError("data/report.json has no clusters of duplicates")
    starts = sorted({start for clusters in kinds.values() for start in clusters})
    figure, axes = new_figure(width, height, palette)
    colours = dict(zip(kinds, (palette.train, palette.validation, palette.stage), strict=False))
    share = 0.8 / len(kinds)
    for index, (kind, clusters) in enumerate(kinds.items()):
        places = [place + (index - (len(kinds) - 1) / 2) * share for place in range(len(starts))]
        heights = [clusters.get(start, 0) for start in starts]
        bars = axes.bar(places, heights, width=share, color=colours.get(kind, palette.stage))
        _name_bars(bars, f"clusters-{kind.replace(' ', '-')}")
    axes.set_xticks(range(len(starts)), [tokens(start) for start in starts])
    _count_scale(axes, [count for clusters in kinds.values() for count in clusters.values()])
    return figure


def _by_range(clusters: Mapping[int, int]) -> Counter[int]:
    ranges: Counter[int] = Counter()
    for size, count in clusters.items():
        ranges[size if size <= _LARGE_CLUSTER else (1 << ((size - 1).bit_length() - 1)) + 1] += count
    return ranges


def _bars(axes: Axes, counts: Mapping[str, int], colour: str, name: str) -> None:
    _name_bars(axes.bar(range(len(counts)), list(counts.values()), width=0.86, color=colour), name)
    stride = -(-len(counts) // 10)
    axes.set_xticks(range(0, len(counts), stride), list(counts)[::stride])
    _count_scale(axes, list(counts.values()))


def _name_bars(bars: BarContainer, name: str) -> None:
    for index, bar in enumerate(bars):
        bar.set_gid(f"{name}-{index}")


def _count_scale(axes: Axes, counts: list[int]) -> None:
    if max(counts) > 500 * min(count for count in counts if count):
        axes.set_yscale("symlog", linthresh=1)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(bottom=0)
    # A few bars shall not become blocks.
    axes.set_xlim(-0.6, max(axes.get_xlim()[1], 4.4))
    count_axis(axes)
