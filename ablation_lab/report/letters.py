"""Keeps the letters of a figure inside it, and finds a font for Korean ones.

In: a figure with everything drawn. Out: the same figure, laid out: of numbers that touch some are
left out, and a label that the figure's edge would cut is broken into lines or moved. DejaVu and
Libertinus, which come with the libraries, have no Hangul, and a font of several megabytes is not
carried along: the Python package koreanize-matplotlib and Debian's fonts-nanum hold the same Nanum
Gothic.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, NullLocator

from ablation_lab.report.text import is_number, plain

EDGE = 2.0  # points that a label keeps from the figure's edge
GAP = 2.0  # points between two numbers of an axis
POINTS = 72  # of an inch
NAME, LEGEND = 28, 55  # letters of a name on one line: beside an axis, and in a legend


def fit(figure: Figure) -> None:
    """Lay the figure out so that no label is cut and no two numbers of an axis touch."""
    _make_plain(figure)
    figure.draw_without_rendering()
    broken = [_break(label, figure, along) for label, along in _labels(figure)]
    if any(broken):
        figure.draw_without_rendering()
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
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
    named = [text for legend in figure.findobj(Legend) for text in legend.get_texts()]
    labels = [label for label, _ in _labels(figure)]
    for text in figure.findobj(Text):
        room = LEGEND if text in named else 0 if text in labels else NAME
        text.set_text(_lines(text.get_text(), room))


def _lines(text: str, room: int = NAME) -> str:
    """Lines of so many letters, of a name at most two; it stands whole in the tables."""
    lines = [plain(line) for line in text.split("\n")]
    if room:
        rows = 1 if room == LEGEND else 2
        cut = [textwrap.wrap(line, room, max_lines=rows, placeholder=" …") for line in lines]
        lines = ["\n".join(each) for each in cut]
    return "\n".join(lines)


def apart(ranges: Sequence[tuple[float, float]], gap: float) -> list[int]:
    """Which of the ranges, ascending, to keep so that each begins a gap behind the one before."""
    kept: list[int] = []
    for place, (low, _) in enumerate(ranges):
        if not kept or low - ranges[kept[-1]][1] >= gap:
            kept.append(place)
    return kept


def _labels(figure: Figure) -> list[tuple[Text, int]]:
    """The labels of all axes, each with the direction in which it reads: 0 across, 1 up."""
    return [
        (axis.label, along)
        for ax in figure.axes
        for along, axis in enumerate((ax.xaxis, ax.yaxis))
        if axis.label.get_text()
    ]


def _break(label: Text, figure: Figure, along: int) -> bool:
    """Break a label that is longer than the figure into lines; whether it was."""
    low, high = _ends(label, along)
    room = figure.bbox.size[along] - 2 * EDGE * figure.dpi / POINTS
    text = label.get_text()
    if high - low <= room or "\n" in text:
        return False
    letters = max(8, int(len(text) * room / (high - low)))
    label.set_text("\n".join(textwrap.wrap(text, letters, break_long_words=False)))
    return True


def _thin(ax: Axes, figure: Figure, along: int) -> None:
    """Leave out numbers that touch the one before; words stay, since each names a row."""
    axis = (ax.xaxis, ax.yaxis)[along]
    low, high = sorted(axis.get_view_interval())
    near = 1e-9 * (high - low)
    drawn = [
        (*_ends(text, along), tick.get_loc(), text.get_text())
        for tick in axis.get_major_ticks()
        for text in (tick.label1, tick.label2)
        if text.get_visible() and text.get_text() and low - near <= tick.get_loc() <= high + near
    ]
    if not all(is_number(text) for *_, text in drawn):
        return
    ranges = sorted(drawn)
    kept = apart([(low, high) for low, high, *_ in ranges], GAP * figure.dpi / POINTS)
    if len(kept) < len(ranges):
        places: Any = [ranges[i][2] for i in kept]
        axis.set_major_locator(FixedLocator(places))
        axis.set_ticklabels([ranges[i][3] for i in kept])
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


FAMILY = "NanumGothic"
PACKAGE = "koreanize_matplotlib"
FOLDERS = (
    Path("/usr/share/fonts/truetype/nanum"),
    Path.home() / ".local/share/fonts",
    Path.home() / "Library/Fonts",
    Path("/Library/Fonts"),
)
HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")


def needs_korean(texts: Iterable[str]) -> bool:
    """Whether any text has a Korean letter."""
    return any(HANGUL.search(text) for text in texts)


@cache
def korean_font() -> Path | None:
    """The file of Nanum Gothic, None where it is not installed."""
    found = [folder / f"{FAMILY}.ttf" for folder in (*_packaged(), *FOLDERS)]
    return next((path for path in found if path.is_file()), None)


def _packaged() -> tuple[Path, ...]:
    """The folder of the package's fonts; the package itself is not imported."""
    spec = find_spec(PACKAGE)
    return (Path(spec.origin).parent / "fonts",) if spec and spec.origin else ()
