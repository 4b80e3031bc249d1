"""Figures of a study: each function draws on Axes and returns them; none saves.

In: a Study. Out: Axes. An estimate is never drawn without its interval, and a cell without a result
stays as a pale cross. A new figure is one function and one line in `FURTHER`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ablation_lab.report.canvas import (
    COLOURS,
    COLUMN,
    PALE,
    legend_above,
    new_axes,
    spanning,
    stretched,
    styled,
)
from ablation_lab.report.figure_curves import (
    along,
    ensemble_size,
    member_curve,
    numeric_curve,
    training_curves,
)
from ablation_lab.report.figure_effects import credit, importance, main_effects
from ablation_lab.report.figure_layers import layer_figures
from ablation_lab.report.figure_runs import MOST_COMPARED, forest
from ablation_lab.report.figure_tasks import mean_ranks, profiles
from ablation_lab.report.formatting import in_percent, metric_label, unsigned
from ablation_lab.report.language import tr, trs
from ablation_lab.report.layout import ABSENT, Grid, Key, Place, change_texts, narrow
from ablation_lab.report.marks import (
    MOST_LINES,
    SIZE,
    Point,
    draw_point,
    draw_runs,
    few_values,
    key_text,
    legend,
    names_text,
    points_of,
    printed_values,
)
from ablation_lab.report.panels import sample_grids
from ablation_lab.report.reference_tables import verdicts
from ablation_lab.report.study import Study
from ablation_lab.report.text import file_name
from ablation_lab.study.declaration import Declaration

Drawing = Callable[..., Axes]
Values = np.ndarray[Any, np.dtype[np.float64]]
MOST_POINTS = 24
LETTER = 0.055  # inches of a letter at printed size
HEAT_BESIDE = 0.95  # inches of a heat map's colour bar and of the label of its rows
WIDEST = 7.1  # inches between the margins of a page
FAR = 3.0  # interquartile ranges below the lower quartile, where a heat map's colours end


def figures_for(study: Study) -> dict[str, Drawing]:
    """The figures that suit a study, by name."""
    declaration, made = study.declaration, narrow(study.declaration)
    if declaration.computes:
        return {"verdicts": verdicts}  # numbers of different things have no common axis
    if study.cells["estimate"].isna().all():
        return {"points": points}  # nothing but crosses: one figure says so
    chosen: dict[str, Drawing] = {}
    size = ensemble_size(declaration)
    for factor in along(declaration):
        if factor == size:
            chosen["members"] = partial(member_curve, factor=factor)
        else:
            chosen[f"by_{file_name(factor.name)}"] = partial(numeric_curve, factor=factor)
    if len(made.down) > 1 and len(made.across) > 1:
        chosen["heat"] = heat_map
    if len(made.places) <= MOST_POINTS or not chosen:
        chosen["points"] = points
    further = {name: draw for name, (applies, draw) in FURTHER.items() if applies(study)}
    return chosen | further | layer_figures(study)


def has_printed(study: Study) -> bool:
    """Whether a source prints a value of the study's metric for any cell."""
    declaration = study.declaration
    return any(printed_values(declaration, cell) for cell in declaration.references)


@styled()
def points(study: Study, *, ax: Axes | None = None) -> Axes:
    """Estimate and interval of every cell; below ten runs every run is drawn as a small dot."""
    declaration, made = study.declaration, _few_columns(narrow(study.declaration))
    offsets = np.linspace(-0.3, 0.3, len(made.across)) if len(made.across) > 1 else [0.0]
    thickness = 0.16 + 0.075 * len(made.across)
    ax = new_axes(ax, height=0.8 + thickness * len(made.down))
    places = {place.cell: key for key, place in made.places.items()}
    found = points_of(study)
    runs: list[tuple[float, float]] = []
    for point in found:
        down, across = places[point.cell]
        column = made.across.index(across)
        y = made.down.index(down) + float(offsets[column])
        draw_point(ax, point, y, column=column)
        runs += [(value, y) for value in few_values(study, point.cell)]
    draw_runs(ax, runs)
    changes = change_texts(declaration, made)
    ax.set_yticks(range(len(made.down)), changes or [key_text(key) for key in made.down])
    ax.set_ylim(len(made.down) - 0.5, -0.5)
    ax.set_ylabel(tr("the one change") if changes else names_text(declaration, made.rows))
    ax.set_xlabel(tr("{metric}, 95 % interval", metric=metric_label(declaration)))
    ax.grid(visible=False, axis="y")
    if in_percent(declaration.primary) and not declaration.is_success:
        stretched(ax, [value for p in found for value in (p.low, p.middle, p.high)])
    elif not in_percent(declaration.primary) and not declaration.computes:
        spanning(ax, [p.middle for p in found])
    if len(made.across) > 1:
        legend(ax, [key_text(key) for key in made.across], names_text(declaration, made.columns))
    return ax


@styled()
def heat_map(study: Study, *, ax: Axes | None = None) -> Axes:
    """The estimate at every place of the layout; crossed out where there is none."""
    import seaborn

    declaration, made = study.declaration, narrow(study.declaration)
    names = [key_text(key).replace(" · ", "\n") for key in made.across]
    rows, beside = [key_text(key) for key in made.down], names_text(declaration, made.rows)
    left = HEAT_BESIDE + LETTER * _longest(rows)
    needed = left + len(names) * _heat_column(names)
    turned = len(made.columns) == 1 and COLUMN - left < len(names) * LETTER * (1 + _longest(names))
    height = max(0.95 + 0.24 * len(rows), 0.75 + LETTER * _longest([beside]))
    ax = new_axes(
        ax,
        width=max(COLUMN, min(needed, WIDEST)) if len(made.columns) > 1 else COLUMN,
        height=height,
    )
    middles = {point.cell: point.middle for point in points_of(study)}
    values = np.full((len(made.down), len(made.across)), np.nan)
    for (down, across), place in made.places.items():
        values[made.down.index(down), made.across.index(across)] = middles.get(place.cell, np.nan)
    seaborn.heatmap(
        values,
        ax=ax,
        annot=_numbers(values, declaration),
        fmt="",
        cmap="cividis" if declaration.higher_is_better else "cividis_r",
        vmin=_lowest(values),
        linewidths=0.5,
        annot_kws={"size": 7},
        cbar_kws={"label": metric_label(declaration), "extend": _end(values)},
        xticklabels=names,
        yticklabels=rows,
    )
    _darken(ax, values[np.isfinite(values)])
    for row, column in np.argwhere(np.isnan(values)):
        ax.plot(column + 0.5, row + 0.5, marker="x", color=PALE, markersize=6)
    _hatch(ax, made, study)
    ax.tick_params(length=0)
    ax.tick_params(axis="y", rotation=0)
    ax.set_xlabel(names_text(declaration, made.columns))
    ax.set_ylabel(beside)
    ax.tick_params(axis="x", rotation=35 if turned else 0)
    if turned:
        for tick in ax.get_xticklabels():
            tick.set(horizontalalignment="right", rotation_mode="anchor")
    ax.grid(visible=False)
    return ax


@styled()
def ladder(study: Study, *, ax: Axes | None = None) -> Axes:
    """Our estimates with intervals (dots) beside the reference values (diamonds), by cell."""
    declaration = study.declaration
    printed = {cell: printed_values(declaration, cell) for cell in declaration.references}
    found = [point for point in points_of(study) if printed.get(point.cell)]
    ax = new_axes(ax, height=0.85 + 0.2 * len(found))
    shown = [value for point in found for value in (point.low, point.middle, point.high)]
    for y, point in enumerate(found):
        draw_point(ax, point, y, column=0)
        values = printed[point.cell]
        shown += values
        ax.plot(
            values, [y] * len(values), "D", mfc="none", mec=COLOURS[3], ms=SIZE + 1.5, ls="none"
        )
    names = tuple(f.name for f in declaration.compared)
    ax.set_yticks(range(len(found)), [_cell_text(point, names) for point in found])
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.set_xlabel(metric_label(declaration))
    ax.grid(visible=False, axis="y")
    if in_percent(declaration.primary) and not declaration.is_success:
        stretched(ax, shown)
    handles = [
        *ax.plot([], [], "o", color=COLOURS[0], ms=SIZE),
        *ax.plot([], [], "D", mfc="none", mec=COLOURS[3], ms=SIZE + 1.5),
    ]
    legend_above(ax, handles, trs("ours, 95 % interval", "reference value"), title="")
    return ax


def _numbers(values: Values, declaration: Declaration) -> np.ndarray[Any, np.dtype[np.str_]]:
    """The numbers in a heat map as they are printed."""
    form = declaration.primary.format or (".1f" if declaration.is_share else ".3g")
    return np.array([[unsigned(format(value, form)) for value in row] for row in values])


def _heat_column(names: list[str]) -> float:
    """Inches of one column: its widest line, or the number in it."""
    return max(0.36, LETTER * (2 + _longest([line for name in names for line in name.split("\n")])))


def _longest(texts: list[str]) -> int:
    return max(map(len, texts), default=0)


def _hatch(ax: Axes, made: Grid, study: Study) -> None:
    """Hatch the places of which runs did not converge: their number does not speak for all."""
    lost = set(study.cells.loc[study.cells["not_converged"] > 0, "cell"])
    for (down, across), place in made.places.items():
        if place.cell in lost:
            corner = (made.across.index(across), made.down.index(down))
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="////", ec=PALE, lw=0, zorder=2))


def _darken(ax: Axes, known: Values) -> None:
    """Black numbers where they stand out more than white ones: seaborn turns them white too soon.

    Relative luminance and contrast (L + 0.05) / (l + 0.05) as in WCAG 2.
    """
    from seaborn.utils import relative_luminance

    painted: Any = ax.collections[0]
    for text, value in zip(ax.texts, known, strict=True):
        light = relative_luminance(painted.to_rgba(value))
        text.set_color("black" if (light + 0.05) ** 2 > 1.05 * 0.05 else "white")


def _lowest(values: Values) -> float | None:
    """Where the colours begin: one cell far below the others must not make them all equal."""
    known = values[np.isfinite(values)]
    lower, upper = np.quantile(known, (0.25, 0.75))
    within = known[known >= lower - FAR * (upper - lower)]
    return float(within.min()) if upper > lower else None


def _end(values: Values) -> str:
    """An arrow at the colour bar's lower end where cells lie below it."""
    lowest = _lowest(values)
    below = lowest is not None and bool((values[np.isfinite(values)] < lowest).any())
    return "min" if below else "neither"


def _few_columns(made: Grid) -> Grid:
    """The grid as it is, or as a list where it has more columns than there are markers."""
    if len(made.across) <= MOST_LINES:
        return made
    joined: dict[tuple[Key, Key], Place] = {
        ((*down, *across), ()): place for (down, across), place in made.places.items()
    }
    rows = (*made.rows, *made.columns)
    return Grid(rows, (), tuple(key for key, _ in joined), ((),), joined)


def _cell_text(point: Point, names: Key) -> str:
    return key_text(tuple(point.factors.get(name, ABSENT) for name in names)) or point.cell


FURTHER: dict[str, tuple[Callable[[Study], bool], Drawing]] = {
    "ladder": (has_printed, ladder),
    "forest": (lambda study: 0 < len(study.contrasts) <= MOST_COMPARED, forest),
    "effects": (lambda study: study.factorial is not None, main_effects),
    "credits": (lambda study: bool(study.credits), credit),
    "importance": (lambda study: bool(study.shares), importance),
    "profiles": (lambda study: study.tasks is not None, profiles),
    "ranks": (lambda study: study.tasks is not None, mean_ranks),
    "training": (lambda study: not study.curves.empty, training_curves),
    "samples": (lambda study: bool(study.samples.images), sample_grids),
}
