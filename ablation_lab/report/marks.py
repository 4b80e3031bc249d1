"""The marks that figures are made of: a cell as a point with its interval, a legend, a cross.

In: a Study or its declaration. Out: points in the unit of the axis, and marks on Axes. A cell
without a result is a pale cross, never nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, nan

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ablation_lab.report.canvas import (
    COLOURS,
    MARKERS,
    PALE,
    POINTS,
    figure_of,
    legend_above,
    line_look,
)
from ablation_lab.report.formatting import in_percent, number
from ablation_lab.report.layout import ABSENT, Key, label
from ablation_lab.report.study import Study
from ablation_lab.statistics.intervals import FEW, two_kinds
from ablation_lab.statistics.outcomes import bounds_of
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.factor import Factor

MOST_LINES = len(COLOURS)
SIZE = 3.5
WIDTH = 1.0
CAP = 1.8
LINE = 9  # points of a line of text
SHORT = 18  # letters of a name that fits behind the end of its line


@dataclass(frozen=True)
class Point:
    """A cell as drawn: estimate and bounds in the unit of the axis, NaN where there are none."""

    cell: str
    factors: Mapping[str, str]
    middle: float
    low: float
    high: float

    @property
    def reach(self) -> list[list[float]]:
        """Distances to both bounds, zero where there is no interval."""
        below, above = self.middle - self.low, self.high - self.middle
        return [[max(b, 0.0) if isfinite(b) else 0.0] for b in (below, above)]


def scale(declaration: Declaration) -> int:
    """What a value is multiplied with on an axis: shares are drawn in percent."""
    return 100 if in_percent(declaration.primary) else 1


def points_of(study: Study) -> list[Point]:
    """Every cell of a study, the excluded ones first and without a value."""
    rows = {str(row["cell"]): row for row in study.cells.to_dict("records")}
    lost = [Point(e.cell, e.factors, nan, nan, nan) for e in study.declaration.excluded]
    return lost + [
        Point(
            cell.cell,
            cell.factors,
            *(
                scale(study.declaration) * number(rows[cell.cell][name])
                for name in ("estimate", "low", "high")
            ),
        )
        for cell in study.declaration.cells
        if not cell.trains_members
    ]


def ended_values(study: Study, cell: str) -> list[float]:
    """The finite values of the finished runs of a cell as they ended, in the unit of the axis."""
    found = study.outcomes.get(cell)  # an excluded cell has none
    values = found.values.values() if found else ()
    return [scale(study.declaration) * value for value in values if isfinite(value)]


def printed_values(declaration: Declaration, cell: str) -> list[float]:
    """What sources print of the study's metric for a cell, in the unit of the axis."""
    return [
        scale(declaration) * reference.printed
        for reference in declaration.references.get(cell, ())
        if reference.printed is not None and reference.metric in ("", declaration.metric)
    ]


def draw_point(ax: Axes, point: Point, y: float, *, column: int) -> None:
    """One cell at a height: its estimate with its interval."""
    if not isfinite(point.middle):
        place = ax.get_yaxis_transform()
        ax.plot(0.01, y, "x", color=PALE, ms=SIZE, transform=place, clip_on=False)
        return
    ax.errorbar(
        point.middle,
        y,
        xerr=point.reach,
        fmt=MARKERS[column % MOST_LINES],
        color=COLOURS[column % MOST_LINES],
        ms=SIZE,
        capsize=CAP,
        lw=WIDTH,
    )


def few_values(study: Study, cell: str) -> list[float]:
    """The values of a cell's runs where they are fewer than ten, or of two kinds; no successes."""
    values, declaration = ended_values(study, cell), study.declaration
    if declaration.is_success or not values:
        return []
    found = list(study.outcomes[cell].values.values())
    mixed = two_kinds(found, bounds_of(declaration.primary)) is not None
    return values if mixed or len(values) < FEW else []


def draw_runs(ax: Axes, runs: Sequence[tuple[float, float]]) -> None:
    """Runs as small dots at (value, height); without jitter, so that heights name their cells."""
    import seaborn

    frame = pd.DataFrame(runs, columns=["value", "height"], dtype="float64")
    seaborn.stripplot(
        frame, x="value", y="height", orient="h", native_scale=True, jitter=False, color=PALE,
        size=1.4, zorder=1, legend=False, ax=ax,
    )  # fmt: skip


def draw_lines(ax: Axes, lines: Sequence[Sequence[tuple[float, Point]]]) -> None:
    """Cells along an axis, one line each; crosses at the axis for those without a value."""
    for position, line in enumerate(lines):
        reached = [(x, point) for x, point in line if isfinite(point.middle)]
        if reached:
            xs, ys = [x for x, _ in reached], [point.middle for _, point in reached]
            reach = np.hstack([point.reach for _, point in reached])
            look = line_look(position)
            ax.errorbar(xs, ys, yerr=reach, ms=SIZE, capsize=CAP, lw=WIDTH, **look)
    lost = [x for line in lines for x, point in line if not isfinite(point.middle)]
    if lost:  # a mark without a place would take room at the figure's corner
        place = ax.get_xaxis_transform()
        ax.plot(lost, [0.015] * len(lost), "x", color=PALE, ms=SIZE, transform=place, clip_on=False)


def legend(ax: Axes, texts: Sequence[str], title: str, *, dashed: bool = False) -> None:
    """A legend of texts, each with the look of its position."""
    handles = []
    for position, _ in enumerate(texts):
        look = line_look(position) if dashed else {**line_look(position), "linestyle": "none"}
        handles += ax.plot([], [], ms=SIZE, lw=WIDTH, **look)
    legend_above(ax, handles, texts, title=title)


def named_at_ends(ax: Axes, lines: Sequence[Sequence[tuple[float, Point]]], texts: Key) -> bool:
    """Write each line's name behind its end, where the names are short and do not touch."""
    ends = [max(line, key=lambda pair: pair[0]) for line in lines if line]
    heights = [ax.transData.transform((x, point.middle))[1] for x, point in ends]
    room = LINE * figure_of(ax).dpi / POINTS
    apart = all(b - a > room for a, b in pairwise(sorted(heights)))
    if len(ends) < len(texts) or not apart or max(map(len, texts)) > SHORT:
        return False
    for text, (x, point) in zip(texts, ends, strict=True):
        ax.annotate(
            text, (x, point.middle), (7, 0), textcoords="offset points", va="center", size=7
        )
    return True


def series(declaration: Declaration, factor: Factor) -> tuple[Key, ...]:
    """The combinations of the other factors, without those in which one does not apply."""
    names = others(declaration, factor)
    full = [cell.factors for cell in declaration.cells if set(names) <= set(cell.factors)]
    found = full or [cell.factors for cell in declaration.cells]
    return tuple(dict.fromkeys(tuple(f.get(name, ABSENT) for name in names) for f in found))


def others(declaration: Declaration, factor: Factor) -> Key:
    """The names of the compared factors but one."""
    return tuple(f.name for f in declaration.compared if f != factor)


def names_text(declaration: Declaration, names: Key) -> str:
    """The labels of factors in one line."""
    return " · ".join(label(declaration, name) for name in names)


def key_text(key: Key) -> str:
    """A combination of levels in one line."""
    return " · ".join(key)
