"""The table of what reaches the layers: gradients, and what is left of the activations.

In: a Study with observed runs. Out: a `Table`; a median never stands without its interval and n.
"""

from __future__ import annotations

from math import isnan

import pandas as pd

from ablation_lab.report.layout import ABSENT, telling
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Table
from ablation_lab.report.wording import plain_text, sortable
from ablation_lab.statistics.stats import median_interval
from ablation_lab.store.layers import Observation, ends

SPREAD = "activation_spread"
SAYS = (
    "Norm of the gradient of the weights of the first and of the last layer before the first step, "
    "and their quotient then and after the last step: median over runs [95 % interval of the "
    "median from order statistics, which needs six runs] (number of runs that are finite, where "
    "some are not). Zero over zero counts as zero. A quotient far below 1 is a gradient that "
    "vanishes on its way."
)
SPREAD_SAYS = (
    " Spread: of the last hidden layer's activations over the examples, as root mean of the "
    "units' variances, before and after training, first replicate; 0 where all inputs look alike."
)


def gradients_table(study: Study) -> Table:
    """First layer, last layer, their quotients and the spread of activations, for each cell."""
    declaration = study.declaration
    factors = telling(declaration)
    by_cell = dict(list(ends(study.layers.norms).groupby("cell", sort=False)))
    observed = study.layers.observations
    spreads = any(_spread(one, last=False) is not None for one in observed.values())
    rows = []
    for cell in declaration.cells:
        if cell.cell not in by_cell:
            continue
        found = by_cell[cell.cell]
        before, after = found[found["step"] == 0], found.drop_duplicates("run_id", keep="last")
        levels = [cell.factors.get(factor.name, ABSENT) for factor in factors] or [cell.cell]
        rows.append(
            (
                *(Entry(level) for level in levels),
                *(_median(before[name], cell.cell) for name in ("first", "last", "ratio")),
                _median(after["ratio"], cell.cell),
                Entry(str(len(before)), float(len(before))),
                *(_spreads(observed.get(cell.cell)) if spreads else ()),
            )
        )
    names = [factor.label for factor in factors] or ["cell"]
    header = (
        *names, "first layer", "last layer", "first / last", "first / last after training", "n",
        *(("spread", "spread after training") if spreads else ()),
    )  # fmt: skip
    says = SAYS + SPREAD_SAYS if spreads else SAYS
    return Table("gradients", "Gradients by layer", says, (header,), tuple(rows))


def _median(values: pd.Series[float], cell: str) -> Entry:
    finite = values.dropna()
    made = median_interval(finite)
    text = plain_text(made.estimate)
    if not isnan(made.low):
        text += f" [{plain_text(made.low)}, {plain_text(made.high)}]"
    if len(finite) < len(values):
        text += f" ({len(finite)})"
    return Entry(text, sortable(made.estimate), cell=cell)


def _spread(seen: Observation, *, last: bool) -> float | None:
    """The spread of the last hidden layer; None where it was not kept or no layer is hidden."""
    by_layer = seen.number(SPREAD, last=last)
    return by_layer[-2] if len(by_layer) > 1 else None


def _spreads(seen: Observation | None) -> list[Entry]:
    """Before and after training."""
    values = [None if seen is None else _spread(seen, last=last) for last in (False, True)]
    return [Entry(plain_text(value), sortable(value)) for value in values]
