"""Figures of panels, which stand as in a study's layout: their axes, their labels, their gaps.

In: a Study and its grid. Out: Axes (down, across) of one figure, labelled; what stands in them is
the business of the figures, of which that of generated samples needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ablation_lab.report.canvas import PALE, line_look, styled
from ablation_lab.report.language import tr
from ablation_lab.report.layout import Grid, Key, Place, grid
from ablation_lab.report.marks import names_text
from ablation_lab.report.study import Study
from ablation_lab.store.pictures import Image
from ablation_lab.study.declaration import Declaration

WIDE = 7.1  # inches
SIDE = 1.75  # inches that a panel is across where there is room
HEIGHT = 1.3
SAMPLES_SIDE = 2.3  # inches: 8 x 8 digits of 28 pixels, twice as large as stored in a figure's PNG


@dataclass(frozen=True)
class Panels:
    """The panels of a figure, and the keys of a layout that its rows and columns stand for."""

    declaration: Declaration
    layout: Grid
    down: Sequence[Key]
    across: Sequence[Key]
    figure: Figure
    axes: NDArray[Any]

    @classmethod
    def of(
        cls,
        declaration: Declaration,
        layout: Grid,
        *,
        down: Sequence[Key],
        across: Sequence[Key],
        share: bool = False,
        side: float = SIDE,
        height: float = HEIGHT,
    ) -> Panels:
        """Axes (down, across) of a figure that spans at most both columns of the paper.

        With `share` they have one y axis, and the panels of a column one x axis.
        """
        width = min(WIDE, 0.6 + side * len(across))
        tall = min(height, (width - 0.6) / len(across))
        figure = Figure(figsize=(width, 0.55 + len(down) * tall), layout="constrained")
        axes = figure.subplots(
            len(down), len(across), squeeze=False, sharex="col" if share else False, sharey=share
        )
        return cls(declaration, layout, down, across, figure, axes)

    def __iter__(self) -> Iterator[tuple[Axes, Key, Key]]:
        """Yield every panel with the key of its row and of its column."""
        places = product(self.down, self.across)
        for ax, (down, across) in zip(self.axes.flat, places, strict=True):
            yield ax, down, across

    def labelled(self, x: str = "", y: str = "") -> Axes:
        """The first panel, with levels over the upper ones and at the right of the last ones."""
        for ax, key in zip(self.axes[0], self.across, strict=True):
            ax.set_title(self._levels(key, self.across), fontsize=7)
        for ax, key in zip(self.axes[:, -1], self.down, strict=True):
            if key:
                ax.annotate(
                    self._levels(key, self.down),
                    (1.04, 0.5),
                    xycoords="axes fraction",
                    rotation=270,
                    va="center",
                    fontsize=7,
                )
        if x or y:
            self.figure.supxlabel(x, fontsize=7)
            self.figure.supylabel(y, fontsize=7)
        corner: Axes = self.axes[0, 0]
        return corner

    def legend(self, texts: Sequence[str], title: str) -> None:
        """A legend of lines over all panels."""
        handles = [Line2D([], [], **look_of(place)) for place, _ in enumerate(texts)]
        self.figure.legend(
            handles, texts, title=title, loc="outside upper center", ncols=len(texts)
        )

    def _levels(self, key: Key, among: Sequence[Key]) -> str:
        """The levels of a key, one a line; numbers say of what."""
        made = self.layout
        names = made.rows if among == made.down else made.columns[: len(key)]
        return "\n".join(
            f"{names_text(self.declaration, (name,))} {level}" if level.isdigit() else level
            for level, name in zip(key, names, strict=False)
        )


def look_of(place: int) -> dict[str, Any]:
    """How a panel draws the line at a place."""
    return {**line_look(place), "linestyle": "-", "lw": 0.9, "ms": 3}


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
    return tr("excluded") if place.excluded else tr("not probed")


@styled()
def sample_grids(study: Study) -> Axes:
    """Generated images of one run of each cell, pixel by pixel; 'x' where there are none.

    A layout of one column stands side by side.
    """
    made = grid(study.declaration)
    alone = len(made.across) == 1
    panels = Panels.of(
        study.declaration,
        made,
        down=((),) if alone else made.down,
        across=made.down if alone else made.across,
        side=SAMPLES_SIDE,
        height=SAMPLES_SIDE,
    )
    for ax, first, second in panels:
        place = made.places.get((second, made.across[0]) if alone else (first, second))
        image = study.samples.images.get(place.cell) if place else None
        if image is None:
            say(ax, "x")
            ax.set_box_aspect(1)
        else:
            _draw_samples(ax, image)
    return panels.labelled()


def _draw_samples(ax: Axes, image: Image) -> None:
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
    ax.set_axis_off()
