"""The book's figures: one size, one palette, one way to show an interval, and no figure without alt text.

Figures are shown as inline SVG whose ink is the page's own text colour, to be read in light and in dark.
"""
import hashlib
import html
import io
import re
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilsupport.estimate import Estimate

# Okabe and Ito (2008): told apart by readers of every colour vision, on white and on black.
COLOURS = {"blue": "#0072B2", "orange": "#E69F00", "green": "#009E73", "vermilion": "#D55E00",
           "purple": "#CC79A7", "sky": "#56B4E9", "yellow": "#F0E442"}
INK = "#0a0b0c"  # stands for the page's text colour until `show` puts `currentColor` in its place
GRID = "#0a0b0d"

STYLE = {
    "axes.axisbelow": True, "axes.edgecolor": INK, "axes.facecolor": "none", "axes.grid": True,
    "axes.labelcolor": INK, "axes.prop_cycle": cycler(color=list(COLOURS.values())),
    "axes.spines.right": False, "axes.spines.top": False, "axes.titlecolor": INK, "axes.titlesize": "medium",
    "figure.constrained_layout.use": True, "figure.facecolor": "none", "font.size": 10.5, "grid.color": GRID,
    "grid.linewidth": 0.5, "lines.linewidth": 1.8, "savefig.transparent": True, "svg.fonttype": "path",
    "text.color": INK, "xtick.color": INK, "ytick.color": INK}


def figure(width: float = 6.8, height: float = 3.6, **subplots) -> tuple[Figure, Axes | np.ndarray]:
    """A figure in the book's style and its axes, as `plt.subplots(**subplots)` gives them; size in inches."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height))
        return fig, fig.subplots(**subplots)


def band(ax: Axes, x: Sequence[float], estimates: Sequence[Estimate], *, label: str | None = None,
         colour: str = "blue", marker: str = "o") -> None:
    """Means joined by a line, with their 95 % intervals as a band."""
    low, mean, high = np.array([(e.low, e.mean, e.high) for e in estimates]).reshape(-1, 3).T
    ax.fill_between(x, low, high, color=COLOURS[colour], alpha=0.25, linewidth=0)
    ax.plot(x, mean, color=COLOURS[colour], marker=marker, markersize=4, label=label)


def points(ax: Axes, x: Sequence[float], estimates: Sequence[Estimate], *, label: str | None = None,
           colour: str = "blue", marker: str = "o") -> None:
    """Means as markers with their 95 % intervals as bars: measurements, to lie on or off a drawn curve."""
    low, mean, high = np.array([(e.low, e.mean, e.high) for e in estimates]).reshape(-1, 3).T
    ax.errorbar(x, mean, np.abs([mean - low, high - mean]), fmt=marker, color=COLOURS[colour], markersize=5,
                capsize=3, linewidth=1.4, label=label)


def horizon_axis(ax: Axes, horizons: Sequence[int]) -> None:
    """Log-log axes with the horizons `T` themselves as ticks."""
    ax.set(xscale="log", yscale="log", xlabel="horizon $T$ (steps)")
    ax.set_xticks(list(horizons), [str(T) for T in horizons])
    ax.minorticks_off()


class Drawing:
    """A finished figure as inline SVG with alt text, for notebooks and the built page alike."""

    def __init__(self, svg: str, alt: str) -> None:
        self.svg, self.alt = svg, alt

    def _repr_html_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"


def show(fig: Figure, *, alt: str) -> Drawing:
    """Close the figure and return it for display; `alt` says in a sentence what a reader is meant to see.

    Raises ValueError for an alt text too short to say anything.
    """
    if len(alt.split()) < 5:
        raise ValueError(f"alt is {alt!r}, expected a sentence for those who cannot see the figure.")
    for legend in filter(None, (ax.get_legend() for ax in fig.axes)):
        legend.set_frame_on(False)
        for text in legend.get_texts():
            text.set_color(INK)
    name, buffer = hashlib.sha256(alt.encode()).hexdigest(), io.StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue().partition("<svg ")[2]
    # matplotlib leaves black as SVG's default and marks glyphs by the same ids in every figure: both would go
    # wrong inline.
    svg = re.sub(r'(id="|xlink:href="#|url\(#)', rf"\g<1>f{name[:8]}", svg)
    svg = svg.replace(GRID, "currentColor; stroke-opacity: 0.18").replace(INK, "currentColor")
    return Drawing(f'<svg role="img" aria-label="{html.escape(alt, quote=True)}" style="max-width:100%;'
                   f'height:auto;color:inherit" fill="currentColor" {svg}', alt)
