"""Figures of single runs and of differences: rain clouds, runs against the baseline, a forest.

In: a Study. Out: Axes. The forest stands in every report that compares; a notebook asks for the
others by kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
from matplotlib.axes import Axes

from ablation_lab.report.canvas import COLOURS, new_axes, styled
from ablation_lab.report.formatting import in_percent, metric_label
from ablation_lab.report.language import msgid, tr, tr_known
from ablation_lab.report.layout import levels_of
from ablation_lab.report.marks import (
    SIZE,
    draw_point,
    ended_values,
    key_text,
    names_text,
    points_of,
    scale,
)
from ablation_lab.report.study import Study
from ablation_lab.statistics.comparisons import Comparison, Standing

CLOUD, RAIN = 0.75, 0.18  # heights of a cell's density, and of the band of its runs
THIN = 200  # runs of a cell that are drawn as lines or dots; more would hide one another
MARGIN = 0.05  # of an axis, on both sides of what it shows
MOST_COMPARED = 100  # rows of a forest; more stand in their table alone
STANDINGS = {Standing.BETTER: ("^", 2), Standing.WORSE: ("v", 3), Standing.EQUIVALENT: ("s", 0)}
RIGHT = msgid("difference in {metric}{points} (better: right)")
LEFT = msgid("difference in {metric}{points} (better: left)")
OPEN = ("o", 6)  # marker and place of the colour of what is not decided


@styled()
def rain_clouds(study: Study, *, ax: Axes | None = None) -> Axes:
    """Every cell's runs: their density, each run as a drop, the estimate with its interval."""
    found = points_of(study)
    ax = new_axes(ax, height=0.8 + 0.42 * len(found))
    for y, point in enumerate(found):
        values = ended_values(study, point.cell)
        if len(set(values)) > 1:
            cloud = ax.violinplot(
                values, [y - 0.1], orientation="horizontal", side="low", widths=CLOUD,
                showextrema=False,
            )  # fmt: skip
            for body in cloud["bodies"]:  # type: ignore[attr-defined]
                body.set(facecolor=COLOURS[y % len(COLOURS)], alpha=0.5)
        drops = values[:THIN]
        fall = y + 0.12 + RAIN * np.random.default_rng(0).random(len(drops))
        ax.plot(drops, fall, ".", color=COLOURS[y % len(COLOURS)], ms=2, alpha=0.7, ls="none")
        draw_point(ax, point, y, column=0)
    return _by_cell(ax, [point.cell for point in found], metric_label(study.declaration))


@styled()
def paired_lines(study: Study, *, ax: Axes | None = None) -> Axes:
    """Each replicate as a line from the baseline to every other cell, which rise or fall with it.

    Raises ValueError where the study has no baseline, or its cells have no common replicates.
    """
    declaration = study.declaration
    if declaration.baseline is None or not declaration.paired:
        lacks = "common replicates" if declaration.baseline else "a baseline"
        raise ValueError(f"paired lines need {lacks}, which study {study.name!r} does not have")
    base = study.outcomes[declaration.baseline].values
    others = [made.first for made in study.comparisons]
    ax = new_axes(ax, width=max(3.45, 0.9 * len(others)), height=2.4)
    for x, other in enumerate(others):
        common = [r for r in base if r in other.values][:THIN]
        ends = np.array([[base[r], other.values[r]] for r in common]).reshape(-1, 2).T
        rises = ends[1] > ends[0]
        for rising, colour in ((True, COLOURS[0]), (False, COLOURS[3])):
            lines = scale(declaration) * ends[:, rises == rising]
            if lines.size:
                ax.plot([x - 0.25, x + 0.25], lines, "o-", color=colour, lw=0.6, ms=2, alpha=0.6)
    ax.set_xticks(range(len(others)), [other.cell.replace(",", "\n") for other in others])
    ax.set_xlabel(
        tr(
            "each replicate: {baseline} (left) and the cell (right)",
            baseline=declaration.baseline,
        )
    )
    ax.set_ylabel(metric_label(declaration))
    ax.grid(visible=False, axis="x")
    return ax


@styled()
def forest(study: Study, *, ax: Axes | None = None) -> Axes:
    """Every difference with its simultaneous interval and verdict, the band of equivalence in grey.

    Raises ValueError where the study compares nothing.
    """
    made, declaration = study.contrasts, study.declaration
    if not made:
        raise ValueError(f"a forest plot needs comparisons; study {study.name!r} has no baseline")
    ax = new_axes(ax, height=0.8 + 0.17 * len(made))
    unit = scale(declaration)
    if declaration.equivalence is not None:
        ax.axvspan(-unit * declaration.equivalence, unit * declaration.equivalence, color="0.92")
    ax.axvline(0, color="0.3", lw=0.8)
    for y, each in enumerate(made):
        found, (marker, place) = each.difference, STANDINGS.get(each.standing, OPEN)
        colour = COLOURS[place]
        inside = "white" if marker == OPEN[0] else colour
        ax.plot([unit * found.low, unit * found.high], [y, y], color=colour, lw=1.2)
        ax.plot([unit * found.estimate], [y], marker, ms=SIZE, color=colour, mfc=inside)
        ax.text(
            1.02, y, tr_known(each.verdict), va="center", size=7, transform=ax.get_yaxis_transform()
        )
    _zoom(ax, made, unit)
    points = tr(", points") if in_percent(declaration.primary) else ""
    better = RIGHT if declaration.higher_is_better else LEFT
    label = tr(better, metric=tr_known(declaration.primary.words), points=points)
    ax.set_ylabel(names_text(declaration, tuple(each.name for each in declaration.compared)))
    return _by_cell(ax, _compared(study), label)


def _zoom(ax: Axes, made: Sequence[Comparison], unit: int) -> None:
    """An axis for what is decided: the interval of too few runs may hold every difference."""
    told = [each.difference for each in made if each.standing is not Standing.NEEDS]
    shown = [x for found in told for x in (found.low, found.high)]
    shown = [
        unit * x for x in (0.0, *shown, *(each.difference.estimate for each in made)) if isfinite(x)
    ]
    low, high = min(shown), max(shown)
    if told and low < high:
        ax.set_xlim(low - MARGIN * (high - low), high + MARGIN * (high - low))


def _compared(study: Study) -> list[str]:
    """What each difference is of: the levels of a cell, or the change that makes it."""
    if study.comparisons:
        cells = {cell.cell: cell for cell in study.declaration.cells}
        return [
            key_text(levels_of(study.declaration, cells[each.first.cell]))
            for each in study.comparisons
        ]
    return [f"{each.change.before} → {each.change.after}" for each in study.attributions]


def _by_cell(ax: Axes, names: list[str], label: str) -> Axes:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.9)
    ax.set_xlabel(label)
    ax.grid(visible=False, axis="y")
    return ax
