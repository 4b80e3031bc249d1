"""The table of the first step after which a whole sequence was right.

In: a Study whose runs noted `first_exact_step`. Out: a `Table`; a share stands with its interval
and its n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ablation_lab.report.layout import ABSENT, telling
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Table
from ablation_lab.report.wording import DASH, plain_text, share_text, sortable
from ablation_lab.statistics.stats import wilson
from ablation_lab.study.declaration import Factor
from ablation_lab.study.record import Status

METRIC = "first_exact_step"
RANGE = (0.05, 0.95)
SAYS = (
    "The first step, counted from 0, after which every symbol was right, of the steps at which a "
    "run was looked at. Runs that got there, of all that finished, with the 95 % Wilson interval; "
    "of those the median step and the range that holds the middle 90 % of them. A run may lose "
    "what it knew, so that fewer know the string at the end."
)


def has_steps(study: Study) -> bool:
    """Whether any run of the study noted the step."""
    return METRIC in study.frame and bool(study.frame[METRIC].notna().any())


def steps_table(study: Study) -> Table:
    """How many runs of each cell got there, and after how many steps."""
    factors = telling(study.declaration)
    finished = study.frame[study.frame["status"] == Status.FINISHED]
    by_cell = dict(list(finished.groupby("cell", sort=False)))
    rows = tuple(
        (*_levels(cell.cell, cell.factors, factors), *_entries(by_cell.get(cell.cell), cell.cell))
        for cell in study.declaration.cells
    )
    names = [factor.label for factor in factors] or ["cell"]
    header = (*names, "runs that got there", "95 % interval", "median step", "5–95 %")
    return Table("steps", "Steps until the whole string is right", SAYS, (header,), rows)


def _levels(cell: str, levels: Mapping[str, str], factors: Sequence[Factor]) -> list[Entry]:
    return [Entry(levels.get(factor.name, ABSENT)) for factor in factors] or [Entry(cell)]


def _entries(runs: pd.DataFrame | None, cell: str) -> list[Entry]:
    if runs is None:
        return [Entry(DASH, cell=cell), *[Entry(DASH)] * 3]
    steps = runs[METRIC].dropna()
    share = wilson(len(steps), len(runs))
    reached = Entry(
        f"{len(steps)}/{len(runs)} {share_text(share.estimate)}", share.estimate, cell=cell
    )
    bounds = Entry(f"[{100 * share.low:.1f}, {100 * share.high:.1f}]", share.low)
    if steps.empty:
        return [reached, bounds, Entry(DASH), Entry(DASH)]
    # Steps that occurred: a run stops at one of them and never between two.
    low, high = np.quantile(steps, RANGE, method="inverted_cdf")
    middle = float(np.median(steps))
    return [
        reached,
        bounds,
        Entry(plain_text(middle), sortable(middle)),
        Entry(f"{plain_text(low)} to {plain_text(high)}", sortable(low)),
    ]
