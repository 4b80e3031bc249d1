"""The table of what reaches the layers: gradients before the first step.

In: a Study with observed runs. Out: a `Table`; a median never stands without its interval and n.
"""

from __future__ import annotations

from math import isnan

import numpy as np
import pandas as pd

from analysis.layout import ABSENT, telling
from analysis.stats import median_interval
from analysis.study import Study
from analysis.tabular import Entry, Table
from analysis.wording import DASH, plain_text, sortable

SAYS = (
    "Norm of the gradient of the weights of the first and of the last layer before the first step, "
    "and their quotient: median over runs, 95 % interval of the median from order statistics "
    "(needs six runs). Zero over zero counts as zero. A quotient far below 1 is a gradient that "
    "vanishes on its way."
)


def gradients_table(study: Study) -> Table:
    """First layer, last layer and their quotient, for each cell."""
    declaration = study.declaration
    factors = telling(declaration)
    norms = study.layers.norms
    initial = norms[norms["step"] == 0]
    rows = []
    for cell in declaration.cells:
        values = initial[initial["cell"] == cell.cell]
        if values.empty:
            continue
        by_run = values.pivot(index="run_id", columns="layer", values="value")
        finite = by_run[np.isfinite(by_run).all(axis=1)]
        first, last = finite[by_run.columns.min()], finite[by_run.columns.max()]
        levels = [cell.factors.get(factor.name, ABSENT) for factor in factors] or [cell.cell]
        rows.append(
            (
                *(Entry(level) for level in levels),
                *_entries(first, cell.cell),
                *_entries(last, cell.cell),
                *_entries((first / last).fillna(0.0), cell.cell),
                Entry(str(len(finite)), float(len(finite))),
                Entry(f"{len(by_run) - len(finite)}/{len(by_run)}"),
            )
        )
    names = [factor.label for factor in factors] or ["cell"]
    header = (
        *names, "first layer", "95 % interval", "last layer", "95 % interval", "first / last",
        "95 % interval", "n", "not finite",
    )  # fmt: skip
    return Table("gradients", "Gradients by layer", SAYS, (header,), tuple(rows))


def _entries(values: pd.Series[float], cell: str) -> tuple[Entry, Entry]:
    made = median_interval(values)
    bounds = DASH if isnan(made.low) else f"{plain_text(made.low)} to {plain_text(made.high)}"
    estimate = Entry(plain_text(made.estimate), sortable(made.estimate), cell=cell)
    return estimate, Entry(bounds, sortable(made.low))
