"""Figures of a study: each function draws on Axes and returns them; none saves.

In: a Study. Out: Axes. An estimate is never drawn without its interval, and a cell without a result
stays as a pale cross at the axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import isfinite, nan

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from analysis.canvas import COLOURS, MARKERS, PALE, STYLE, line_look, logarithmic, new_axes
from analysis.declaration import Declaration, Factor
from analysis.layout import ABSENT, Grid, Key, Place, agrees, grid, label
from analysis.selection import selection
from analysis.stats import FEW
from analysis.study import Study
from analysis.training import training_curves
from analysis.wording import metric_label, number

Drawing = Callable[[Study], Axes]
MOST_LINES = len(COLOURS)
MOST_POINTS = 24


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


def figures_for(study: Study) -> dict[str, Drawing]:
    """The figures that suit a study, by name."""
    declaration, made = study.declaration, grid(study.declaration)
    if study.cells["estimate"].isna().all():
        return {"points": points}  # nothing but crosses: one figure says so
    chosen: dict[str, Drawing] = {}
    for factor in declaration.compared:
        others = _series(declaration, factor)
        if factor.numeric and len(factor.levels) > 2 and len(others) <= MOST_LINES:
            chosen[f"by_{factor.name}"] = partial(numeric_curve, factor=factor)
    if len(made.down) > 1 and len(made.across) > 1:
        chosen["heat"] = heat_map
    if len(made.places) <= MOST_POINTS or not chosen:
        chosen["points"] = points
    if any(c.printed is not None for claims in declaration.claims.values() for c in claims):
        chosen["ladder"] = ladder
    if not study.curves.empty:
        chosen["training"] = training_curves
    return chosen


@mpl.rc_context(STYLE)
def points(study: Study, *, ax: Axes | None = None) -> Axes:
    """Estimate and interval of every cell; below ten runs every run is drawn as a small dot."""
    declaration, made = study.declaration, _few_columns(grid(study.declaration))
    offsets = np.linspace(-0.3, 0.3, len(made.across)) if len(made.across) > 1 else [0.0]
    thickness = 0.24 + 0.11 * len(made.across)
    ax = new_axes(ax, height=1.0 + thickness * len(made.down))
    places = {place.cell: key for key, place in made.places.items()}
    for point in _points(study):
        down, across = places[point.cell]
        column = made.across.index(across)
        y = made.down.index(down) + float(offsets[column])
        _draw_point(ax, point, y, column=column)
        _draw_runs(ax, study, point.cell, y)
    ax.set_yticks(range(len(made.down)), [_key_text(key) for key in made.down])
    ax.set_ylim(len(made.down) - 0.5, -0.5)
    ax.set_ylabel(_names(declaration, made.rows))
    ax.set_xlabel(f"{metric_label(declaration)}, 95 % interval")
    ax.grid(visible=False, axis="y")
    if len(made.across) > 1:
        _legend(ax, made.across, _names(declaration, made.columns))
    return ax


@mpl.rc_context(STYLE)
def heat_map(study: Study, *, ax: Axes | None = None) -> Axes:
    """The estimate at every place of the layout; crossed out where there is none."""
    import seaborn

    declaration, made = study.declaration, grid(study.declaration)
    ax = new_axes(ax, width=1.9 + 0.62 * len(made.across), height=1.5 + 0.34 * len(made.down))
    middles = {point.cell: point.middle for point in _points(study)}
    values = np.full((len(made.down), len(made.across)), np.nan)
    for (down, across), place in made.places.items():
        values[made.down.index(down), made.across.index(across)] = middles.get(place.cell, np.nan)
    colours = "cividis" if declaration.higher_is_better else "cividis_r"
    seaborn.heatmap(
        values,
        ax=ax,
        annot=True,
        fmt=".1f" if declaration.is_share else ".3g",
        cmap=colours,
        linewidths=0.5,
        annot_kws={"size": 8},
        cbar_kws={"label": metric_label(declaration)},
        xticklabels=[_key_text(key) for key in made.across],
        yticklabels=[_key_text(key) for key in made.down],
    )
    for row, column in np.argwhere(np.isnan(values)):
        ax.plot(column + 0.5, row + 0.5, marker="x", color=PALE, markersize=9)
    ax.set_xlabel(_names(declaration, made.columns))
    ax.set_ylabel(_names(declaration, made.rows))
    ax.tick_params(axis="y", rotation=0)
    ax.grid(visible=False)
    return ax


@mpl.rc_context(STYLE)
def numeric_curve(study: Study, *, factor: Factor, ax: Axes | None = None) -> Axes:
    """The estimate against a numeric factor, one line per combination of the other factors."""
    declaration, ax = study.declaration, new_axes(ax)
    series = _series(declaration, factor)
    found = _points(study)
    xs = sorted(float(level) for level in factor.levels)
    apart = 0.08 * min(b - a for a, b in pairwise(xs))
    for position, other in enumerate(series):
        # Side by side, so that intervals of equal estimates do not hide one another.
        shift = apart * (position - (len(series) - 1) / 2)
        line = [
            (float(point.factors[factor.name]) + shift, point)
            for point in found
            if factor.name in point.factors
            and agrees(point.factors, _others(declaration, factor), other)
        ]
        _draw_line(ax, sorted(line, key=lambda pair: pair[0]), position)
    if xs[0] > 0 and xs[-1] / xs[0] > 30:
        logarithmic(ax)
    else:
        ax.set_xticks(xs, [f"{x:g}" for x in xs])
    ax.set_xlabel(factor.label)
    ax.set_ylabel(f"{metric_label(declaration)}, 95 % interval")
    if declaration.is_success:
        ax.set_ylim(-3, 103)
    if len(series) > 1:
        _legend(ax, series, _names(declaration, _others(declaration, factor)), dashed=True)
    return ax


@mpl.rc_context(STYLE)
def ladder(study: Study, *, ax: Axes | None = None) -> Axes:
    """Our estimates with intervals (dots) beside the printed values (diamonds), by cell."""
    declaration = study.declaration
    claims = {cell: claims for cell, claims in declaration.claims.items() if claims}
    found = [point for point in _points(study) if point.cell in claims]
    ax = new_axes(ax, height=1.1 + 0.3 * len(found))
    scale = 100 if declaration.is_share else 1
    for y, point in enumerate(found):
        _draw_point(ax, point, y, column=0)
        printed = [
            scale * claim.printed
            for claim in claims[point.cell]
            if claim.printed is not None and claim.metric in ("", declaration.metric)
        ]
        ax.plot(printed, [y] * len(printed), "D", mfc="none", mec=COLOURS[3], ms=7, ls="none")
    names = tuple(f.name for f in declaration.compared)
    ax.set_yticks(range(len(found)), [_cell_text(point, names) for point in found])
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.set_xlabel(f"{metric_label(declaration)}: ours with 95 % interval (dot), printed (diamond)")
    ax.grid(visible=False, axis="y")
    return ax


def _points(study: Study) -> list[Point]:
    scale = 100 if study.declaration.is_share else 1
    rows = {str(row["cell"]): row for row in study.cells.to_dict("records")}
    lost = [Point(e.cell, e.factors, nan, nan, nan) for e in study.declaration.excluded]
    return lost + [
        Point(
            cell.cell,
            cell.factors,
            *(scale * number(rows[cell.cell][name]) for name in ("estimate", "low", "high")),
        )
        for cell in study.declaration.cells
        if not cell.trains_members
    ]


def _draw_point(ax: Axes, point: Point, y: float, *, column: int) -> None:
    if not isfinite(point.middle):
        ax.plot(0.01, y, "x", color=PALE, ms=6, transform=ax.get_yaxis_transform(), clip_on=False)
        return
    colour, marker = COLOURS[column % MOST_LINES], MARKERS[column % MOST_LINES]
    ax.errorbar(
        point.middle, y, xerr=point.reach, fmt=marker, color=colour, ms=5, capsize=2.5, lw=1.3
    )


def _draw_runs(ax: Axes, study: Study, cell: str, y: float) -> None:
    """Every converged run as a dot where there are fewer than ten."""
    declaration, frame = study.declaration, study.frame
    part = frame[(frame["cell"] == cell) & (frame["nc_rule"] == "")]
    values = selection(declaration.selection).values(part, declaration.metric).dropna()
    if declaration.is_success or len(values) >= FEW:
        return
    scale = 100 if declaration.is_share else 1
    ax.plot(scale * values, [y] * len(values), ".", color=PALE, ms=4, zorder=1)


def _draw_line(ax: Axes, line: Sequence[tuple[float, Point]], position: int) -> None:
    reached = [(x, point) for x, point in line if isfinite(point.middle)]
    if reached:
        reach = np.hstack([point.reach for _, point in reached])
        xs, ys = [x for x, _ in reached], [point.middle for _, point in reached]
        ax.errorbar(xs, ys, yerr=reach, capsize=2.5, lw=1.3, ms=5, **line_look(position))
    lost = [x for x, point in line if not isfinite(point.middle)]
    place = ax.get_xaxis_transform()
    ax.plot(lost, [0.015] * len(lost), "x", color=PALE, ms=6, transform=place, clip_on=False)


def _legend(ax: Axes, keys: Iterable[Key], title: str, *, dashed: bool = False) -> None:
    handles = []
    for position, _ in enumerate(keys):
        look = line_look(position) if dashed else {**line_look(position), "linestyle": "none"}
        handles += ax.plot([], [], ms=5, **look)
    texts = [_key_text(key) for key in keys]
    ax.legend(handles, texts, title=title, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _few_columns(made: Grid) -> Grid:
    """The grid as it is, or as a list where it has more columns than there are markers."""
    if len(made.across) <= MOST_LINES:
        return made
    joined: dict[tuple[Key, Key], Place] = {
        ((*down, *across), ()): place for (down, across), place in made.places.items()
    }
    rows = (*made.rows, *made.columns)
    return Grid(rows, (), tuple(key for key, _ in joined), ((),), joined)


def _series(declaration: Declaration, factor: Factor) -> tuple[Key, ...]:
    """The combinations of the other factors, without those in which one does not apply."""
    names = _others(declaration, factor)
    full = [cell.factors for cell in declaration.cells if set(names) <= set(cell.factors)]
    found = full or [cell.factors for cell in declaration.cells]
    return tuple(dict.fromkeys(tuple(f.get(name, ABSENT) for name in names) for f in found))


def _others(declaration: Declaration, factor: Factor) -> Key:
    return tuple(f.name for f in declaration.compared if f != factor)


def _names(declaration: Declaration, names: Key) -> str:
    return " · ".join(label(declaration, name) for name in names)


def _key_text(key: Key) -> str:
    return " · ".join(key)


def _cell_text(point: Point, names: Key) -> str:
    return _key_text(tuple(point.factors.get(name, ABSENT) for name in names)) or point.cell
