"""Training curves with bands.

In: a Study whose runs stored curves. Out: Axes with the median over runs and the band that holds
the middle 80 % of them. Runs that did not converge are part of it: they are what a band must
show.
"""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from analysis.canvas import COLOURS, DASHES, STYLE, legend_above, logarithmic, new_axes, stretched
from analysis.declaration import Declaration
from analysis.study import Study

BAND = (0.1, 0.9)


@mpl.rc_context(STYLE)
def training_curves(study: Study, *, ax: Axes | None = None) -> Axes:
    """Median and 10-90 % band by step, one line per cell, or per level where cells are many."""
    ax = new_axes(ax)
    curves, title = grouped(study)
    metric = str(study.curves["metric"].iloc[0])
    middles: list[float] = []
    scale = 100 if metric.endswith("accuracy") else 1
    for position, (name, part) in enumerate(curves.groupby("group", sort=False, observed=True)):
        values = part.groupby("step")["value"]
        low, high = (scale * values.quantile(share) for share in BAND)
        colour = COLOURS[position % len(COLOURS)]
        middle = scale * values.median()
        middles += middle.tolist()
        ax.plot(
            middle.index,
            middle,
            ls=DASHES[position % len(DASHES)],
            label=str(name),
            color=colour,
            lw=1.0,
        )
        ax.fill_between(low.index, low, high, color=colour, alpha=0.15, lw=0)
    logarithmic(ax)
    ax.set_xlabel("step (log scale)")
    words = metric.replace("_", " ").replace("val ", "validation ")
    ax.set_ylabel(f"{words}{' (%)' if scale == 100 else ''}")
    if scale == 100:
        stretched(ax, middles, "y")
    lines, texts = ax.get_legend_handles_labels()
    if len(lines) > 1:
        legend_above(ax, lines, texts, title=title)
    return ax


def grouped(study: Study) -> tuple[pd.DataFrame, str]:
    """The curves with a column `group` (the line a run belongs to), and the title of the legend."""
    declaration = study.declaration
    names = _lines(declaration)
    groups = {
        cell.cell: " · ".join(cell.factors.get(name, "—") for name in names) or cell.cell
        for cell in declaration.cells
    }
    order = list(dict.fromkeys(groups.values()))
    kind = pd.CategoricalDtype(order, ordered=True)
    curves = study.curves.assign(group=study.curves["cell"].map(groups).astype(kind))
    title = " · ".join(declaration.factor(name).label for name in names)
    return curves.sort_values(["group", "step"], kind="stable"), title


def _lines(declaration: Declaration) -> tuple[str, ...]:
    """All compared factors if their cells fit the palette; else the first one with few levels."""
    compared = declaration.compared
    if len(declaration.cells) <= len(COLOURS) or not compared:
        return tuple(factor.name for factor in compared)
    few = [factor for factor in compared if len(factor.levels) <= len(COLOURS)]
    return ((few or list(compared))[0].name,)
