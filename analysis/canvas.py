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
from matplotlib.figure import Figure

COLOURS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#7a4f24", "#5b5b5b", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 5)))
PALE = "#b4b4b4"
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
    "savefig.dpi": 130,
}


def new_axes(ax: Axes | None, *, width: float = 5.6, height: float = 3.4) -> Axes:
    """The Axes given, or those of a fresh figure (inches) that no global state knows of."""
    if ax is not None:
        return ax
    return Figure(figsize=(width, height), layout="constrained").subplots()


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
        figure.savefig(folder / f"figure_{name}.svg", metadata={"Date": None, "Creator": None})
        figure.savefig(folder / f"figure_{name}.png", metadata={"Software": None})
