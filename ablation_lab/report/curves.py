"""Estimates along a numeric factor: depth, keep_prob, learning rate, ensemble size.

In: a Study and the factor. Out: Axes with one line per combination of the other factors, every
estimate with its interval.
"""

from __future__ import annotations

from itertools import pairwise
from math import isfinite

import numpy as np
from matplotlib.axes import Axes

from ablation_lab.report.canvas import (
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
from ablation_lab.report.layout import agrees
from ablation_lab.report.marks import (
    MOST_LINES,
    WIDTH,
    converged_values,
    draw_lines,
    key_text,
    legend,
    names_text,
    others,
    points_of,
    series,
)
from ablation_lab.report.study import Study
from ablation_lab.report.wording import metric_label
from ablation_lab.study.declaration import Declaration, Factor

BAND = (0.1, 0.9)
HEIGHT = 2.0  # inches, without a legend
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
    if declaration.is_success:
        ax.set_ylim(-3, 103)
    else:
        middles = [point.middle for point in found]
        (stretched if declaration.is_share else spanning)(ax, middles, "y")
    if len(combinations) > 1:
        title = names_text(declaration, others(declaration, factor))
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
    values = np.concatenate([converged_values(study, cell) for cell in single])
    if len(values):
        low, high = np.quantile(values, BAND)
        text = f"80 % of {len(values)} single members"
        band = ax.axhspan(low, high, color=PALE, alpha=0.45, lw=0, zorder=0, label=text)
        old = ax.get_legend()
        handles = [*(old.legend_handles if old else ()), band]
        texts = [*map(key_text, series(declaration, factor)), text] if old else [text]
        title = names_text(declaration, others(declaration, factor)) if old else ""
        legend_above(ax, [h for h in handles if h is not None], texts, title=title)
    return ax
