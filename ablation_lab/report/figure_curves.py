"""Curves: estimates along a numeric factor, and the training with its bands.

In: a Study. Out: Axes with one line per combination of the other factors, every estimate with its
interval; of the training the median over runs and the band that holds the middle 80 % of them. Runs
that did not converge are part of it: they are what a band must show.
"""

from __future__ import annotations

from itertools import pairwise
from math import isfinite

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ablation_lab.report.canvas import (
    COLOURS,
    PALE,
    legend_above,
    legend_height,
    line_look,
    logarithmic,
    new_axes,
    spanning,
    stretched,
    styled,
)
from ablation_lab.report.formatting import in_percent, metric_label
from ablation_lab.report.language import tr, tr_known
from ablation_lab.report.layout import ABSENT, agrees
from ablation_lab.report.marks import (
    MOST_LINES,
    WIDTH,
    draw_lines,
    ended_values,
    key_text,
    legend,
    named_at_ends,
    names_text,
    others,
    points_of,
    series,
)
from ablation_lab.report.study import TRAINING_LOSS, Study
from ablation_lab.report.text import is_number
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.factor import Factor

BAND = (0.1, 0.9)
HEIGHT = 2.0  # inches, without a legend
HALF = 50  # points; shares that span more stand on an axis of all shares
DECADE = 10  # levels that span more stand on a logarithmic axis


def along(declaration: Declaration) -> tuple[Factor, ...]:
    """The factors that a curve can be drawn along: numeric, several levels, few other lines."""
    return tuple(
        factor
        for factor in declaration.compared
        if factor.numeric
        and len(factor.levels) > 2
        and len(series(declaration, factor)) <= MOST_LINES
    )


@styled()
def numeric_curve(study: Study, *, factor: Factor, ax: Axes | None = None) -> Axes:
    """The estimate against a numeric factor, one line per combination of the other factors."""
    declaration = study.declaration
    combinations = series(declaration, factor)
    texts = [key_text(key) for key in combinations]
    ax = new_axes(ax, height=HEIGHT + legend_height(texts))
    found = points_of(study)
    xs = sorted(float(level) for level in factor.levels)
    spread = xs[0] > 0 and xs[-1] > DECADE * xs[0]
    apart = 0.08 * min(b - a for a, b in pairwise(xs))
    lines = []
    for position, other in enumerate(combinations):
        # Side by side, so that intervals of equal estimates do not hide one another.
        shift = 0.0 if spread else apart * (position - (len(combinations) - 1) / 2)
        line = [
            (float(point.factors[factor.name]) + shift, point)
            for point in found
            if factor.name in point.factors
            and agrees(point.factors, others(declaration, factor), other)
        ]
        lines.append(sorted(line, key=lambda pair: pair[0]))
    draw_lines(ax, lines)
    for position, other in enumerate(combinations):
        # A cell to which the factor does not apply is the same at each of its levels.
        for point in found:
            alike = agrees(point.factors, others(declaration, factor), other)
            if alike and factor.name not in point.factors and isfinite(point.middle):
                look = {**line_look(position), "marker": ""}
                ax.plot([xs[0], xs[-1]], [point.middle] * 2, lw=WIDTH, **look)
    if spread:
        logarithmic(ax)
    ax.set_xticks(xs, [f"{x:g}" for x in xs])
    ax.set_xlabel(factor.label)
    ax.set_ylabel(metric_label(declaration))
    middles = [point.middle for point in found]
    if declaration.is_success and np.nanmax(middles) - np.nanmin(middles) > HALF:
        ax.set_ylim(-3, 103)
    elif not declaration.is_success:
        (stretched if in_percent(declaration.primary) else spanning)(ax, middles, "y")
    if len(combinations) > 1:
        title = names_text(declaration, others(declaration, factor))
        named = tuple(f"{title} {text}" if is_number(text) else text for text in texts)
        if not named_at_ends(ax, lines, named):
            legend(ax, texts, title, dashed=True)
    return ax


def ensemble_size(declaration: Declaration) -> Factor | None:
    """The factor that is the size of an ensemble, with single members among its levels."""
    combined = any(cell.config.get("ensemble") for cell in declaration.cells)
    sizes = [factor for factor in along(declaration) if "1" in factor.levels]
    return sizes[0] if combined and sizes else None


@styled()
def member_curve(study: Study, *, factor: Factor, ax: Axes | None = None) -> Axes:
    """The estimate by ensemble size, over the band that holds 80 % of the single members."""
    declaration = study.declaration
    texts = [*map(key_text, series(declaration, factor)), "members"]
    ax = new_axes(ax, height=HEIGHT + legend_height(texts))
    ax = numeric_curve(study, factor=factor, ax=ax)
    single = [c.cell for c in declaration.cells if c.factors.get(factor.name) == "1"]
    values = np.concatenate([ended_values(study, cell) for cell in single])
    if len(values):
        low, high = np.quantile(values, BAND)
        text = tr("80 % of {n} single members", n=len(values))
        band = ax.axhspan(low, high, color=PALE, alpha=0.45, lw=0, zorder=0, label=text)
        old = ax.get_legend()
        handles = [*(old.legend_handles if old else ()), band]
        texts = [*map(key_text, series(declaration, factor)), text] if old else [text]
        title = names_text(declaration, others(declaration, factor)) if old else ""
        legend_above(ax, [h for h in handles if h is not None], texts, title=title)
    return ax


@styled()
def training_curves(study: Study, *, ax: Axes | None = None) -> Axes:
    """Median and 10-90 % band by step, one line per cell, or per level where cells are many."""
    curves, title = grouped(study)
    curves = curves[_recorded_by_all(curves)]
    metric = str(study.curves["metric"].iloc[0])
    percent = metric != TRAINING_LOSS and in_percent(study.declaration.primary)
    scale = 100 if percent else 1
    values = curves.groupby(["group", "step"], observed=True)["value"]
    middles, low, high = values.median(), *(values.quantile(share) for share in BAND)
    names = list(middles.index.unique("group"))
    ax = new_axes(ax, height=HEIGHT + legend_height(names))
    looks = [{**line_look(i), "marker": "", "lw": 1.0} for i, _ in enumerate(names)]
    for name, look in zip(names, looks, strict=True):
        ax.plot(middles[name].index, scale * middles[name], **look)
        band = scale * low[name], scale * high[name]
        ax.fill_between(low[name].index, *band, color=look["color"], alpha=0.15, lw=0)
    logarithmic(ax)
    ax.set_xlabel(tr("step (log scale)"))
    words = tr_known(metric.replace("_", " ").replace("val ", "validation "))
    ax.set_ylabel(f"{words}{' (%)' if scale == 100 else ''}")
    if scale == 100:
        stretched(ax, (scale * middles).tolist(), "y")
    else:
        spanning(ax, (scale * middles).tolist(), "y")
    if len(names) > 1:
        # Not the lines of the axes: where every loss is infinite there is none.
        legend_above(ax, [Line2D([], [], **look) for look in looks], names, title=title)
    return ax


def grouped(study: Study) -> tuple[pd.DataFrame, str]:
    """The curves with a column `group` (the line a run belongs to), and the title of the legend."""
    declaration = study.declaration
    names = _lines(study)
    groups = {
        cell.cell: " · ".join(cell.factors.get(name, "—") for name in names) or cell.cell
        for cell in declaration.cells
    }
    order = list(dict.fromkeys(groups.values()))
    kind = pd.CategoricalDtype(order, ordered=True)
    curves = study.curves.assign(group=study.curves["cell"].map(groups).astype(kind))
    title = " · ".join(declaration.factor(name).label for name in names)
    return curves.sort_values(["group", "step"], kind="stable"), title


def _recorded_by_all(curves: pd.DataFrame) -> pd.Series[bool]:
    """Which rows stand at a step that every cell of their line recorded, as far as it trained.

    A median over some cells here and over others there would jump from step to step.
    """
    kept = pd.Series(data=True, index=curves.index)
    for _, line in curves.groupby("group", observed=True):
        for _, steps in line.groupby("cell")["step"]:
            common = line["step"].isin(steps.unique()) | (line["step"] > steps.max())
            kept.loc[line.index] &= common
    return kept


def _lines(study: Study) -> tuple[str, ...]:
    """All compared factors if their cells fit the palette; else the first one with few levels.

    Of those the first whose levels each have one data set and one sequence of steps, if there is.
    """
    declaration = study.declaration
    compared = declaration.compared
    if len(declaration.cells) <= len(COLOURS) or not compared:
        return tuple(factor.name for factor in compared)
    few = [factor for factor in compared if len(factor.levels) <= len(COLOURS)]
    alike = [factor for factor in few if _is_of_one_kind(study, factor.name)]
    return ((alike or few or list(compared))[0].name,)


def _is_of_one_kind(study: Study, name: str) -> bool:
    """Whether the cells with any one level of a factor share data and, as far as they go, steps."""
    steps = {str(cell): set(each) for cell, each in study.curves.groupby("cell")["step"]}
    kinds: dict[str, list[tuple[str, set[int]]]] = {}
    for cell in study.declaration.cells:
        if cell.cell in steps:
            level = cell.factors.get(name, ABSENT)
            kinds.setdefault(level, []).append((cell.data, steps[cell.cell]))
    return all(
        data == kind[0][0] and _agree(each, kind[0][1])
        for kind in kinds.values()
        for data, each in kind
    )


def _agree(one: set[int], other: set[int]) -> bool:
    """Whether two sequences of steps are the same up to the end of the shorter one."""
    end = min(max(one), max(other))
    return {step for step in one if step <= end} == {step for step in other if step <= end}
