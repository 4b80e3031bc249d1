"""The look of every figure, and how one becomes a file.

In: an Axes. Out: SVG and PNG files with equal bytes for equal figures. Colours are safe for
colour-blind readers, and markers and dashes differ as well, so that a figure reads in black and
white.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

COLOURS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#7a4f24", "#5b5b5b", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 5)))
PALE = "#b4b4b4"
PNG_DPI = 130
# Any: the type stubs want each key as a literal, which a plain dict of settings cannot promise.
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e8e8e8",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.edgecolor": "#606060",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "ablation",
    "svg.fonttype": "path",
    "figure.dpi": 100,
}


def new_axes(ax: Axes | None, *, width: float = 5.6, height: float = 3.4) -> Axes:
    """The Axes given, or those of a fresh figure (inches) that no global state knows of."""
    if ax is not None:
        return ax
    return Figure(figsize=(width, height), layout="constrained").subplots()


def logarithmic(ax: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers, once everything is drawn."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    if high < 30 * low:  # else a short axis may hold no power of ten
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def line_look(position: int) -> dict[str, Any]:
    """Colour, marker and dashes of the line at a position: all three differ."""
    i = position % len(COLOURS)
    return {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": DASHES[i]}


def figure_of(ax: Axes) -> Figure:
    """The figure that holds the Axes."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("these Axes belong to no figure; draw on Axes of a figure")
    return figure


def save(ax: Axes, folder: Path, name: str) -> None:
    """Write figure_<name>.svg and .png without dates or version marks."""
    figure = figure_of(ax)
    with mpl.rc_context(STYLE):
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")  # laid out once, not once per file
        # The canvases' own writers: Figure.savefig draws every figure twice.
        svg = folder / f"figure_{name}.svg"
        vector: Any = FigureCanvasSVG(figure)  # Any: these writers carry no types
        vector.print_svg(svg, metadata={"Date": None, "Creator": None})
        figure.dpi = PNG_DPI
        pixels: Any = FigureCanvasAgg(figure)
        pixels.print_png(folder / f"figure_{name}.png", metadata={"Software": None})
