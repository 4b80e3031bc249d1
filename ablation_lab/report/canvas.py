"""The look of every figure, and how one becomes a file.

In: an Axes. Out: SVG and PNG files with equal bytes for equal figures, in which no label is cut and
no two numbers touch. The look is seaborn's, in the size of print; seaborn is imported when the
first figure is drawn. Colours are safe for colour-blind readers, and markers and dashes differ as
well, so that a figure reads in black and white.
"""

from __future__ import annotations

import textwrap
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
from matplotlib.ft2font import FT2Font
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import blended_transform_factory

from ablation_lab.report.language import tr
from ablation_lab.report.text import is_number, korean_font, plain

# Seaborn's "colorblind", but for two: its light brown and grey are hard to see as lines.
COLOURS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#7a4f24", "#5b5b5b", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = (
    "-", *((0, dashes) for dashes in (
        (3.7, 1.6), (6.4, 1.6, 1, 1.6), (1, 1.65), (5, 1, 1, 1, 1, 1), (1, 1), (8, 2), (3, 5),
    )),
)  # fmt: skip
PALE = "#b4b4b4"
LOW_PERCENT, HIGH_PERCENT = 80, 95  # an axis is stretched that reaches from below to above
PERCENTS = (1, 5, 10, 30, 50, 70, 80, 90, 95, 97, 98, 99, 99.5, 99.8, 100)
BEYOND = 0.1  # points from 100 to where a stretched axis would be infinite
Axis = Literal["x", "y"]
THOUSANDFOLD = 1e3  # values that span more stand on a logarithmic axis
STYLE = Path(__file__).parent / "templates" / "print.mplstyle"
PNG_DPI = 200
EDGE = 2.0  # points that a label keeps from the figure's edge
GAP = 2.0  # points between two numbers of an axis
POINTS = 72  # of an inch
LETTER = 0.055  # inches of a letter at printed size
NAME, LEGEND = 28, 55  # letters of a name on one line: beside an axis, and in a legend
COLUMN = 3.45  # inches: a figure fits one column of the paper, with its letters at printed size
LETTERS = 58  # of a legend that fit side by side into a column


def _families() -> list[str]:
    """The font of every figure, and the one for Korean letters where it is installed."""
    font = korean_font()
    if font is None:
        return ["DejaVu Sans"]
    fontManager.addfont(font)
    return ["DejaVu Sans", FT2Font(font).family_name]


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
    printed = mpl.rc_params_from_file(STYLE, use_default_template=False)
    return {**theme, **printed, "font.family": _families()}


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
        ticks.set_label_text(tr("{axis}, log scale", axis=ticks.get_label_text()))


def stretched(ax: Axes, values: Sequence[float], axis: Axis = "x") -> None:
    """Make an axis of percentages logit where values reach from low to nearly 100, and say so.

    On a plain axis one run at 30 % would press 97, 98 and 99 % onto one another. A value p lies at
    ln((p + c) / (100 - p + c)), with a small c so that 100 too has a place.
    """
    shown = [value for value in values if isfinite(value)]
    if not shown or min(shown) > LOW_PERCENT or max(shown) < HIGH_PERCENT:
        return

    def forward(percent: Any) -> Any:
        place = np.clip(np.asarray(percent, dtype=float), 0, 100) + BEYOND
        return np.log(place / (100 + 2 * BEYOND - place))

    def back(value: Any) -> Any:
        return (100 + 2 * BEYOND) / (1 + np.exp(-np.asarray(value, dtype=float))) - BEYOND

    low, high = max(1.0, 0.9 * min(shown)), (100 + max(shown)) / 2
    getattr(ax, f"set_{axis}scale")("function", functions=(forward, back))
    getattr(ax, f"set_{axis}lim")(low, high)
    ticks = getattr(ax, f"{axis}axis")
    ticks.set_major_locator(FixedLocator([each for each in PERCENTS if low <= each <= high]))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ticks.set_minor_locator(NullLocator())
    if words := ticks.get_label_text():
        apart = ", " if axis == "x" else "\n"
        ticks.set_label_text(f"{words}{apart}{tr('stretched towards 100')}")


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
    # A colour that comes again has other dashes and another marker.
    second = (position + position // len(COLOURS)) % len(COLOURS)
    colour = COLOURS[position % len(COLOURS)]
    return {"color": colour, "marker": MARKERS[second], "linestyle": DASHES[second]}


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


def fit(figure: Figure) -> None:
    """Lay the figure out so that no label is cut and no two numbers of an axis touch."""
    _make_plain(figure)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        engine.execute(figure)  # the ticks have their places after the first time
        figure.set_layout_engine("none")  # laid out once, not once per file
    for ax in figure.axes:
        for along in (0, 1):
            _thin(ax, figure, along)
            _bring_in(ax, figure, along)


def _make_plain(figure: Figure) -> None:
    """Short lines of plain text: no character breaks the file, no name leaves the axes no room."""
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        texts = [label.get_text() for label in axis.get_ticklabels()]
        if not all(map(is_number, texts)):
            places: Any = axis.get_majorticklocs()
            axis.set_ticks(places, [_lines(text) for text in texts])
    room = {
        label: int(figure.get_size_inches()[along] / LETTER) for label, along in _labels(figure)
    }
    named = [text for legend in figure.findobj(Legend) for text in legend.get_texts()]
    for text in figure.findobj(Text):
        across = room.get(text, LEGEND if text in named else NAME)
        text.set_text(_lines(text.get_text(), across, most=1 if text in named else 2))


def _lines(text: str, across: int = NAME, most: int = 2) -> str:
    """Each line in so many at most, of so many letters; a name stands whole in the tables."""
    wrapped = (
        textwrap.wrap(plain(line), across, max_lines=most, placeholder=" …")
        for line in text.split("\n")
    )
    return "\n".join("\n".join(lines) for lines in wrapped)


def _labels(figure: Figure) -> list[tuple[Text, int]]:
    """The labels of all axes, each with the direction in which it reads: 0 across, 1 up."""
    return [
        (axis.label, along)
        for ax in figure.axes
        for along, axis in enumerate((ax.xaxis, ax.yaxis))
        if axis.label.get_text()
    ]


def _thin(ax: Axes, figure: Figure, along: int) -> None:
    """Leave out numbers that touch the one before; words stay, since each names a row."""
    axis = (ax.xaxis, ax.yaxis)[along]
    low, high = sorted(axis.get_view_interval())
    near, gap = 1e-9 * (high - low), GAP * figure.dpi / POINTS
    drawn = sorted(
        (*_ends(tick.label1, along), tick.get_loc(), tick.label1.get_text())
        for tick in axis.get_major_ticks()
        if tick.label1.get_visible() and low - near <= tick.get_loc() <= high + near
    )
    drawn = [each for each in drawn if each[3]]
    kept = drawn[:1]
    for each in drawn[1:]:
        if each[0] - kept[-1][1] >= gap:
            kept.append(each)
    if len(kept) < len(drawn) and all(is_number(text) for *_, text in drawn):
        places: Any = [place for _, _, place, _ in kept]
        axis.set_ticks(places, [text for *_, text in kept])
        axis.set_minor_locator(NullLocator())


def _bring_in(ax: Axes, figure: Figure, along: int) -> None:
    """Move a label along its axis by as much as it would reach over the figure's edge."""
    label = (ax.xaxis, ax.yaxis)[along].label
    if not label.get_text():
        return
    low, high = _ends(label, along)
    margin = EDGE * figure.dpi / POINTS
    beyond = max(0.0, margin - low) or min(0.0, figure.bbox.size[along] - margin - high)
    if beyond:
        centre = label.get_position()[along] + beyond / ax.bbox.size[along]
        (label.set_y if along else label.set_x)(centre)


def _ends(text: Text, along: int) -> tuple[float, float]:
    box = text.get_window_extent()
    return (box.y0, box.y1) if along else (box.x0, box.x1)
