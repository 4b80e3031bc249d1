"""Figures of panels, which stand as in a study's layout: their axes, their labels, their gaps.

In: a Study and its grid. Out: Axes (down, across) of one figure, labelled; what stands in them is
the business of the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ablation_lab.report.canvas import COLOURS, MARKERS, PALE
from ablation_lab.report.layout import Grid, Key, Place
from ablation_lab.report.marks import names_text
from ablation_lab.report.study import Study

WIDE = 7.1  # inches
SIDE = 1.75  # inches that a panel is across where there is room
HEIGHT = 1.3


def new_panels(
    *, down: int, across: int, share: bool = False, side: float = SIDE, height: float = HEIGHT
) -> tuple[Figure, NDArray[Any]]:
    """Axes (down, across) of a figure that spans at most both columns of the paper.

    With `share` they have one y axis, and the panels of a column one x axis.
    """
    width = min(WIDE, 0.6 + side * across)
    tall = min(height, (width - 0.6) / across)
    figure = Figure(figsize=(width, 0.55 + down * tall), layout="constrained")
    panels = figure.subplots(
        down, across, squeeze=False, sharex="col" if share else False, sharey=share
    )
    return figure, panels


def pairs(
    down: Sequence[Key], across: Sequence[Key]
) -> list[tuple[tuple[int, Key], tuple[int, Key]]]:
    """Every row with every column, both with their positions."""
    return list(product(enumerate(down), enumerate(across)))


def split(keys: Sequence[Key]) -> tuple[list[Key], list[Key]]:
    """Column keys as (all but the last factor, the last factor), each in order of occurrence."""
    return list(dict.fromkeys(k[:-1] for k in keys)), list(dict.fromkeys(k[-1:] for k in keys))


def say(ax: Axes, words: str) -> None:
    """A panel that has nothing to draw says why."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.text(
        0.5, 0.5, words, color=PALE, ha="center", va="center", fontsize=7, transform=ax.transAxes
    )


def lacking(place: Place | None) -> str:
    """Why a place of the layout has nothing to show: a word, or 'x' where there is no cell."""
    if place is None:
        return "x"
    return "excluded" if place.excluded else "not observed"


def label_panels(
    study: Study,
    panels: NDArray[Any],
    made: Grid,
    down: Sequence[Key],
    *,
    across: Sequence[Key] | None = None,
) -> None:
    """Levels over the upper panels and at the right of the last ones."""
    above = made.down if across is None else across
    for ax, key in zip(panels[0], above, strict=True):
        ax.set_title("\n".join(titled(study, made, key, above)), fontsize=6.5)
    for ax, key in zip(panels[:, -1], down, strict=True):
        if key:
            words = "\n".join(titled(study, made, key, down))
            ax.annotate(
                words,
                (1.04, 0.5),
                xycoords="axes fraction",
                rotation=270,
                va="center",
                fontsize=6.5,
            )


def titled(study: Study, made: Grid, key: Key, among: Sequence[Key]) -> Key:
    """The levels of a key; numbers say of what."""
    names = made.rows if among == made.down else made.columns[: len(key)]
    return tuple(
        f"{names_text(study.declaration, (name,))} {level}" if level.isdigit() else level
        for level, name in zip(key, names, strict=False)
    )


def legend_over(figure: Figure, texts: Sequence[str], title: str) -> None:
    """A legend of lines over all panels."""
    handles = [
        Line2D(
            [], [], lw=0.9, ms=3, color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)]
        )
        for i, _ in enumerate(texts)
    ]
    figure.legend(handles, texts, title=title, loc="outside upper center", ncols=len(texts))
