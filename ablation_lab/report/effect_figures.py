"""Figures of a factorial study: level means, and the shares of variance beside the importances.

In: a Study with a factorial. Out: Axes, every estimate with its interval.
"""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes

from ablation_lab.report.canvas import PALE, new_axes, styled
from ablation_lab.report.marks import Point, draw_point, legend, scale
from ablation_lab.report.study import Study
from ablation_lab.report.wording import metric_label
from ablation_lab.statistics.effects import level_means
from ablation_lab.statistics.stats import Interval

APART = 0.16


@styled()
def main_effects(study: Study, *, ax: Axes | None = None) -> Axes:
    """The mean of each level over all cells of the factorial, one group of levels per factor.

    Raises ValueError for a study that is no factorial.
    """
    declaration, data = study.declaration, study.factorial
    if data is None:
        raise ValueError(f"study {study.name}: expected a factorial, found {declaration.design}")
    means = level_means(data)
    ax = new_axes(ax, height=0.75 + 0.17 * len(means))
    names = [name for name, _ in means]
    order = list(dict.fromkeys(names))
    for y, ((name, level), mean) in enumerate(means.items()):
        draw_point(ax, _point(level, mean, scale(declaration)), y, column=order.index(name))
    ax.set_yticks(range(len(means)), [level for _, level in means])
    ax.set_ylim(len(means) - 0.5, -0.5)
    for y, (above, below) in enumerate(pairwise(names)):
        if above != below:
            ax.axhline(y + 0.5, color=PALE, lw=0.6)
    legend(ax, [declaration.factor(name).label for name in order], "")
    ax.set_xlabel(f"mean {metric_label(declaration)} over all cells with that level")
    ax.grid(visible=False, axis="y")
    return ax


@styled()
def importance(study: Study, *, ax: Axes | None = None) -> Axes:
    """Per source its share of the variance, and per factor its importance in a forest of trees."""
    weighed = study.importances
    ax = new_axes(ax, height=0.8 + 0.2 * len(study.shares))
    for y, share in enumerate(study.shares):
        draw_point(ax, _point("", share.share, 100), y - APART, column=0)
        if len(share.term) == 1 and share.term[0] in weighed:
            draw_point(ax, _point("", weighed[share.term[0]], 100), y + APART, column=1)
    texts = [" × ".join(_label(study, name) for name in share.term) for share in study.shares]
    ax.set_yticks(range(len(texts)), texts)
    ax.set_ylim(len(texts) - 0.5, -0.5)
    ax.set_xlabel("share (%)")
    ax.grid(visible=False, axis="y")
    legend(ax, ["share of variance", "importance"], "")
    return ax


def _label(study: Study, name: str) -> str:
    known = {factor.name: factor.label for factor in study.declaration.factors}
    return known.get(name, name)


def _point(cell: str, interval: Interval, unit: int) -> Point:
    middle, low, high = (unit * value for value in (interval.estimate, interval.low, interval.high))
    return Point(cell, {}, middle, low, high)
