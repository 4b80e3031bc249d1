"""The look of every figure, and how one becomes a file.

In: an Axes. Out: SVG and PNG files with equal bytes for equal figures. The look is seaborn's, in
the size of print; seaborn is imported when the first figure is drawn. Colours are safe for
colour-blind readers, and markers and dashes differ as well, so that a figure reads in black and
white.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import ceil, isfinite
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import blended_transform_factory

from ablation_lab.report.letters import FAMILY, fit, korean_font

# Seaborn's "colorblind", but for two: its light brown and grey are hard to see as lines.
COLOURS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#7a4f24", "#5b5b5b", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# As seaborn takes them: lengths of strokes and gaps in line widths, "" for a line without gaps.
DASHES: tuple[tuple[float, ...] | Literal[""], ...] = (
    "", (3.7, 1.6), (6.4, 1.6, 1, 1.6), (1, 1.65), (5, 1, 1, 1, 1, 1), (1, 1), (8, 2), (3, 5),
)  # fmt: skip
PALE = "#b4b4b4"
LOW_PERCENT, HIGH_PERCENT = 80, 95  # an axis is stretched that reaches from below to above
PERCENTS = (1, 5, 10, 30, 50, 70, 80, 90, 95, 97, 98, 99, 99.5, 99.8, 100)
WHOLE_PERCENT = 99.95  # what is above is drawn as 100
TICKS_APART = 0.08  # of the length of an axis, for two numbers that do not touch
Axis = Literal["x", "y"]
THOUSANDFOLD = 1e3  # values that span more stand on a logarithmic axis
PNG_DPI = 200
COLUMN = 3.45  # inches: a figure fits one column of the paper, with its letters at printed size
LETTERS = 62  # of a legend that fit side by side into a column


def _families() -> list[str]:
    """The font of every figure, and the one for Korean letters where it is installed."""
    font = korean_font()
    if font is None:
        return ["DejaVu Sans"]
    fontManager.addfont(font)
    return ["DejaVu Sans", FAMILY]


# Where print differs from seaborn's theme for white paper with a grid.
PRINT = {
    "font.family": _families(),
    "font.size": 7,
    "text.parse_math": False,  # a dollar sign is one
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.bottom": True,
    "ytick.left": True,
    "grid.color": "#e8e8e8",
    "grid.linewidth": 0.6,
    "axes.edgecolor": "#606060",
    "legend.frameon": False,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.25,
    "legend.borderaxespad": 0.2,
    "svg.hashsalt": "ablation",
    "svg.fonttype": "path",
    "figure.dpi": 100,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the look of the report; as a decorator or in a `with`."""
    with mpl.rc_context(_style()):
        yield


@cache
def _style() -> Any:
    """The settings. Any: stubs want literal keys, which a dict of settings cannot promise."""
    import seaborn

    theme = {**seaborn.plotting_context("paper"), **seaborn.axes_style("whitegrid")}
    return {**theme, **PRINT}


@dataclass(frozen=True)
class Drawn:
    """A figure that lies in the report folder, and how many inches it is across."""

    name: str
    width: float
    height: float


def new_axes(ax: Axes | None, *, width: float = COLUMN, height: float = 2.1) -> Axes:
    """The Axes given, or those of a fresh figure (inches) that no global state knows of."""
    if ax is not None:
        return ax
    return Figure(figsize=(width, height), layout="constrained").subplots()


def logarithmic(ax: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers, once everything is drawn."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    if high < 30 * low:  # else a short axis may hold no power of ten
        few = (1, 1.5, 2, 3, 4, 5, 6, 8) if high < 10 * low else (1, 2, 5)
        ax.xaxis.set_major_locator(LogLocator(subs=few))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def spanning(ax: Axes, values: Sequence[float], axis: Axis = "x") -> None:
    """Make an axis logarithmic where all values are positive and span many orders of magnitude."""
    shown = [value for value in values if isfinite(value)]
    if shown and min(shown) > 0 and max(shown) > THOUSANDFOLD * min(shown):
        getattr(ax, f"set_{axis}scale")("log")
        ticks = getattr(ax, f"{axis}axis")
        ticks.set_minor_locator(NullLocator())
        ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ticks.set_label_text(f"{ticks.get_label_text()}, log scale")


def stretched(ax: Axes, values: Sequence[float], axis: Axis = "x") -> None:
    """Make an axis of percentages logit where values reach from low to nearly 100, and say so.

    On a plain axis one run at 30 % would press 97, 98 and 99 % onto one another. A value p lies at
    ln((p + c) / (100 - p + c)). Where a value is 100, which a logit has no place for, c is the
    distance from the largest value below it, so that 100 lies within the axis; else c is 0.
    """
    shown = [value for value in values if isfinite(value)]
    if not shown or min(shown) > LOW_PERCENT or max(shown) < HIGH_PERCENT:
        return
    low, high, beyond = max(1.0, 0.9 * min(shown)), min(99.95, (100 + max(shown)) / 2), 0.0
    if max(shown) > WHOLE_PERCENT:
        below = max((value for value in shown if value <= WHOLE_PERCENT), default=0.0)
        beyond = min(1.0, 100 - below)
        high = 100 + 0.2 * beyond

    def forward(percent: Any) -> Any:
        ends = 0.01 - beyond, 99.99 + beyond
        place = np.clip(np.asarray(percent, dtype=float), *ends)
        return np.log((place + beyond) / (100 + beyond - place))

    def back(value: Any) -> Any:
        share = 1 / (1 + np.exp(-np.asarray(value, dtype=float)))
        return (100 + 2 * beyond) * share - beyond

    set_scale, set_limits = getattr(ax, f"set_{axis}scale"), getattr(ax, f"set_{axis}lim")
    set_scale("function", functions=(forward, back))
    set_limits(low, high)
    ticks = getattr(ax, f"{axis}axis")
    inside = [percent for percent in PERCENTS if low <= percent <= high]
    places = (forward(inside) - forward(low)) / (forward(high) - forward(low))
    ticks.set_major_locator(FixedLocator(_apart(inside, places)))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ticks.set_minor_locator(NullLocator())
    if words := ticks.get_label_text():
        ticks.set_label_text(f"{words}{', ' if axis == 'x' else chr(10)}stretched towards 100")


def _apart(ticks: Sequence[float], places: Sequence[float]) -> list[float]:
    """The ticks, ascending, whose numbers do not touch; of two that do, the upper one."""
    kept: list[tuple[float, float]] = []
    for tick, place in zip(reversed(ticks), reversed(places), strict=True):
        if not kept or kept[-1][1] - place >= TICKS_APART:
            kept.append((tick, place))
    return [tick for tick, _ in reversed(kept)]


def legend_above(ax: Axes, handles: Sequence[Artist], texts: Sequence[str], *, title: str) -> None:
    """A legend over the axes, in as many columns as its words allow."""
    figure = figure_of(ax)
    # In the middle of the figure, since long labels may push the axes far to the right.
    alone = len(figure.axes) == 1
    middle = figure.transFigure if alone else ax.transAxes
    ax.legend(
        handles,
        texts,
        title=title,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        bbox_transform=blended_transform_factory(middle, ax.transAxes),
        ncols=_legend_columns(texts),
    )


def legend_height(texts: Sequence[str]) -> float:
    """Inches that a legend of these texts takes above the axes; none for a single text."""
    return 0.12 * (1 + ceil(len(texts) / _legend_columns(texts))) if len(texts) > 1 else 0.0


def _legend_columns(texts: Sequence[str]) -> int:
    across = LETTERS // (max(map(len, texts), default=0) + 7)
    return max(1, min(len(texts), across))


def line_look(position: int) -> dict[str, Any]:
    """Colour, marker and dashes of the line at a position: all three differ."""
    i = position % len(COLOURS)
    marker = MARKERS[_second(position)]
    return {"color": COLOURS[i], "marker": marker, "linestyle": linestyle(position)}


def line_looks(count: int) -> dict[str, Any]:
    """The looks of as many lines, as seaborn takes them."""
    return {
        "palette": [COLOURS[i % len(COLOURS)] for i in range(count)],
        "markers": [MARKERS[_second(i)] for i in range(count)],
        "dashes": [DASHES[_second(i)] for i in range(count)],
    }


def _second(position: int) -> int:
    """The place of a line's dashes and marker: a colour that comes again has others."""
    return (position + position // len(COLOURS)) % len(COLOURS)


def linestyle(position: int) -> Any:
    """The dashes of the line at a position, as matplotlib takes them."""
    dashes = DASHES[_second(position)]
    return (0, dashes) if dashes else "-"


def figure_of(ax: Axes) -> Figure:
    """The figure that holds the Axes."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("these Axes belong to no figure; draw on Axes of a figure")
    return figure


def save(ax: Axes, folder: Path, name: str) -> Drawn:
    """Write figure_<name>.svg and .png without dates or version marks."""
    figure = figure_of(ax)
    with styled(), warnings.catch_warnings():
        # A letter without a font is said once in the report, not at every figure.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        fit(figure)
        # The canvases' own writers: Figure.savefig draws every figure twice.
        svg = folder / f"figure_{name}.svg"
        vector: Any = FigureCanvasSVG(figure)  # Any: these writers carry no types
        vector.print_svg(svg, metadata={"Date": None, "Creator": None})
        figure.dpi = PNG_DPI
        pixels: Any = FigureCanvasAgg(figure)
        pixels.print_png(folder / f"figure_{name}.png", metadata={"Software": None})
    return Drawn(name, float(figure.get_figwidth()), float(figure.get_figheight()))
