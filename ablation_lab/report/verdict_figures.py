"""The figure of a study that computes: how its printed values fared.

In: a Study whose runs are checks. Out: Axes. The numbers themselves have no common axis.
"""

from __future__ import annotations

from collections import Counter

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ablation_lab.report.canvas import COLOURS, new_axes, styled
from ablation_lab.report.claims.answers import answers
from ablation_lab.report.study import Study

NOTHING = "nothing printed"


@styled()
def verdicts(study: Study, *, ax: Axes | None = None) -> Axes:
    """One bar for each verdict on the printed values, and one for checks without such a value."""
    counts = Counter(answer.verdict.word for answer in answers([study]))
    claims = study.declaration.claims
    counts[NOTHING] = sum(not claims.get(cell.cell) for cell in study.declaration.cells)
    ordered = [(word, count) for word, count in counts.most_common() if count]
    ax = new_axes(ax, height=0.7 + 0.22 * len(ordered))
    bars = ax.barh([word for word, _ in ordered], [count for _, count in ordered], color=COLOURS[0])
    ax.bar_label(bars, padding=2, fontsize=6.5)
    ax.invert_yaxis()
    ax.margins(x=0.1)
    ax.set_xlabel("printed values, or checks without one")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(visible=False, axis="y")
    return ax
