"""Training curves with bands.

In: a Study whose runs stored curves. Out: Axes with the median over runs and the band that holds
the middle 80 % of them. Runs that did not converge are part of it: they are what a band must
show.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.canvas import (
    COLOURS,
    legend_above,
    line_looks,
    linestyle,
    logarithmic,
    new_axes,
    stretched,
    styled,
)
from analysis.declaration import Declaration
from analysis.study import Study

BAND = (0.1, 0.9)


@styled()
def training_curves(study: Study, *, ax: Axes | None = None) -> Axes:
    """Median and 10-90 % band by step, one line per cell, or per level where cells are many."""
    import seaborn

    ax = new_axes(ax)
    curves, title = grouped(study)
    metric = str(study.curves["metric"].iloc[0])
    scale = 100 if metric.endswith("accuracy") else 1
    values = curves.groupby(["group", "step"], observed=True)["value"]
    # Seaborn's own estimator leaves out infinite losses, which here are part of the median.
    middles = (scale * values.median()).reset_index()
    looks = line_looks(middles["group"].nunique()) | {"markers": False}
    names = list(middles["group"].cat.remove_unused_categories().cat.categories)
    seaborn.lineplot(
        middles, x="step", y="value", hue="group", style="group", hue_order=names,
        style_order=names, estimator=None, lw=1.0, legend=False, ax=ax, **looks,
    )  # fmt: skip
    low, high = (scale * values.quantile(share) for share in BAND)
    for name, colour in zip(names, looks["palette"], strict=True):
        ax.fill_between(low[name].index, low[name], high[name], color=colour, alpha=0.15, lw=0)
    logarithmic(ax)
    ax.set_xlabel("step (log scale)")
    words = metric.replace("_", " ").replace("val ", "validation ")
    ax.set_ylabel(f"{words}{' (%)' if scale == 100 else ''}")
    if scale == 100:
        stretched(ax, middles["value"].tolist(), "y")
    if len(names) > 1:
        # Not the lines of the axes: where every loss is infinite there is none.
        handles = [
            Line2D([], [], lw=1.0, color=colour, ls=linestyle(i))
            for i, colour in enumerate(looks["palette"])
        ]
        legend_above(ax, handles, names, title=title)
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
