"""Figures over several tasks: performance profiles, and mean ranks with what joins them.

In: a Study with tasks. Out: Axes.
"""

from __future__ import annotations

from matplotlib.axes import Axes

from ablation_lab.report.canvas import COLOURS, line_look, new_axes, styled
from ablation_lab.report.formatting import metric_label
from ablation_lab.report.language import tr
from ablation_lab.report.marks import SIZE, legend
from ablation_lab.report.study import Study

BAR = 0.16  # rows between the bars that join methods


@styled()
def profiles(study: Study, *, ax: Axes | None = None) -> Axes:
    """Per method the share of runs above each score, mean over tasks.

    Raises ValueError where the study has no tasks.
    """
    if (made := study.tasks) is None:
        raise ValueError(f"performance profiles need tasks, which {study.name!r} has not enough of")
    ax = new_axes(ax, height=2.2)
    unit = 1 if made.scaled else 100
    for m in range(len(made.methods)):
        middle, low, high = made.profile(m)
        look = line_look(m)
        ax.plot(unit * made.thresholds, 100 * middle, markevery=(m % 10, 20), **look)
        ax.fill_between(
            unit * made.thresholds, 100 * low, 100 * high, color=look["color"], alpha=0.15, lw=0
        )
    ax.set_xlabel(tr("score") if made.scaled else metric_label(study.declaration))
    ax.set_ylabel(tr("runs above it, %"))
    legend(ax, made.methods, "", dashed=True)
    return ax


@styled()
def mean_ranks(study: Study, *, ax: Axes | None = None) -> Axes:
    """Mean rank of every method, best first; a bar joins those that are not told apart.

    Raises ValueError where the study has no tasks.
    """
    if (made := study.tasks) is None:
        raise ValueError(f"mean ranks need tasks, which {study.name!r} has not enough of")
    ranks = made.ranks
    order = sorted(range(len(made.methods)), key=ranks.mean.__getitem__)
    ax = new_axes(ax, height=0.8 + 0.24 * len(order))
    ax.plot([ranks.mean[m] for m in order], range(len(order)), "o", color=COLOURS[0], ms=SIZE)
    for place, group in enumerate(ranks.groups):
        ends = [ranks.mean[group[0]], ranks.mean[group[-1]]]
        y = order.index(group[0]) - 0.25 - BAR * (place % 2)
        ax.plot(ends, [y, y], color="0.2", lw=2, solid_capstyle="butt")
    ax.set_yticks(range(len(order)), [made.methods[m] for m in order])
    ax.set_ylim(len(order) - 0.5, -0.8)
    ax.set_xlabel(tr("mean rank over {n} tasks", n=len(made.tasks)))
    ax.grid(visible=False, axis="y")
    return ax
