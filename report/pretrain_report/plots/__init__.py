"""Building blocks of plots: each draws a matplotlib figure from a job's records, for a page (SVG) or a file (PNG)."""

from pretrain_report.plots.data import draw_clusters, draw_lengths
from pretrain_report.plots.style import LIGHT, THEMED, Palette, save_png, to_svg
from pretrain_report.plots.training import PLOTS, draw_loss

__all__ = ["LIGHT", "PLOTS", "THEMED", "Palette", "draw_clusters", "draw_lengths", "draw_loss", "save_png", "to_svg"]
