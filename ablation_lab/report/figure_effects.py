"""Figures of a factorial study: effects, shares of variance, what each factor is credited with.

In: a Study with a factorial. Out: Axes, every estimate with its interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes

from ablation_lab.report.canvas import PALE, new_axes, styled
from ablation_lab.report.effects import CREDITS, factorial_of, term_text
from ablation_lab.report.formatting import in_percent, metric_label
from ablation_lab.report.language import tr, tr_known, trs
from ablation_lab.report.marks import Point, draw_point, legend, scale
from ablation_lab.report.study import Study
from ablation_lab.statistics.effects import level_means
from ablation_lab.statistics.intervals import Interval

APART = 0.16


@styled()
def main_effects(study: Study, *, ax: Axes | None = None) -> Axes:
    """The mean of each level over all cells of the factorial, one group of levels per factor.

    Raises ValueError for a study that is no factorial.
    """
    declaration, means = study.declaration, level_means(factorial_of(study))
    ax = new_axes(ax, height=0.75 + 0.17 * len(means))
    names = [name for name, _ in means]
    order = list(dict.fromkeys(names))
    for y, ((name, _), mean) in enumerate(means.items()):
        draw_point(ax, _point(mean, scale(declaration)), y, column=order.index(name))
    for y, (above, below) in enumerate(pairwise(names)):
        if above != below:
            ax.axhline(y + 0.5, color=PALE, lw=0.6)
    label = tr(
        "mean {metric} over all cells with that level",
        metric=metric_label(declaration),
    )
    labels = [declaration.factor(name).label for name in order]
    return _rows(ax, [level for _, level in means], label, labels)


@styled()
def credit(study: Study, *, ax: Axes | None = None) -> Axes:
    """What each change is worth alone, on average over all orders, and with all others made."""
    declaration = study.declaration
    ax = new_axes(ax, height=0.9 + 0.3 * len(study.credits))
    ax.axvline(0, color=PALE, lw=0.6)
    for y, made in enumerate(study.credits):
        for column, kind in enumerate(CREDITS):
            point = _point(made.by(kind)[0], scale(declaration))
            draw_point(ax, point, y + 1.5 * APART * (column - 1), column=column)
    changes = [made.alone.change for made in study.credits]
    texts = [f"{declaration.factor(c.factor).label}: {c.before} → {c.after}" for c in changes]
    unit = tr(" (points)") if in_percent(declaration.primary) else ""
    metric = tr_known(declaration.primary.words)
    label = tr("difference of {metric}{unit}", metric=metric, unit=unit)
    return _rows(ax, texts, label, [*map(tr_known, CREDITS)])


@styled()
def importance(study: Study, *, ax: Axes | None = None) -> Axes:
    """Per source its share of the variance, and per factor its importance in a forest of trees."""
    weighed = study.importances
    ax = new_axes(ax, height=0.8 + 0.2 * len(study.shares))
    for y, share in enumerate(study.shares):
        draw_point(ax, _point(share.share, 100), y - APART, column=0)
        if len(share.term) == 1 and share.term[0] in weighed:
            draw_point(ax, _point(weighed[share.term[0]], 100), y + APART, column=1)
    texts = [term_text(share.term, study.declaration) for share in study.shares]
    return _rows(ax, texts, tr("share (%)"), trs("share of variance", "importance"))


def _rows(ax: Axes, texts: Sequence[str], label: str, shown: Sequence[str]) -> Axes:
    """One text a row from the top, the label of the values, and a legend of what is shown."""
    ax.set_yticks(range(len(texts)), texts)
    ax.set_ylim(len(texts) - 0.5, -0.5)
    ax.set_xlabel(label)
    ax.grid(visible=False, axis="y")
    legend(ax, shown, "")
    return ax


def _point(interval: Interval, unit: int) -> Point:
    middle, low, high = (unit * value for value in (interval.estimate, interval.low, interval.high))
    return Point("", {}, middle, low, high)
