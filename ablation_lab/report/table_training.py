"""Tables of what runs noted beside their metric: steps, parameters, what reaches the layers.

In: a Study. Out: `Table` objects; a median or a share never stands without its interval and n.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
import pandas as pd

from ablation_lab.report.formatting import DASH, plain_text, share_text, sortable
from ablation_lab.report.language import msgid, tr, trs
from ablation_lab.report.layout import ABSENT, level_columns, levels_of, telling
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Table
from ablation_lab.statistics.intervals import median_interval, wilson
from ablation_lab.store.layers import ends
from ablation_lab.study.declaration import Cell
from ablation_lab.study.factor import Factor
from ablation_lab.study.record import Probed, Status

FIRST_EXACT = "first_exact_step"
MIDDLE = (0.05, 0.95)
STEPS_SAY = msgid(
    "The first step, counted from 0, after which every symbol was right, of the "
    "steps at which a run was looked at. Runs that got there, of all that finished, "
    "with the 95 % Wilson interval; of those the median step and the range that "
    "holds the middle 90 % of them. A run may lose what it knew, so that fewer know "
    "the string at the end."
)


def has_steps(study: Study) -> bool:
    """Whether any run of the study noted the step."""
    return FIRST_EXACT in study.frame and bool(study.frame[FIRST_EXACT].notna().any())


def steps_table(study: Study) -> Table:
    """How many runs of each cell got there, and after how many steps."""
    declaration = study.declaration
    finished = study.frame[study.frame["status"] == Status.FINISHED]
    by_cell = dict(list(finished.groupby("cell", sort=False)))
    words = (*trs("runs that got there", "95 % interval", "median step"), "5–95 %")
    return Table.of(
        "steps",
        tr("Steps until the whole string is right"),
        caption=tr(STEPS_SAY),
        header=((*level_columns(declaration), *words),),
        rows=[
            (*levels_of(declaration, cell), *_entries(by_cell.get(cell.cell), cell.cell))
            for cell in declaration.cells
        ],
    )


def _entries(runs: pd.DataFrame | None, cell: str) -> list[Entry]:
    if runs is None:
        return [Entry(DASH, cell=cell), *[Entry(DASH)] * 3]
    steps = runs[FIRST_EXACT].dropna()
    share = wilson(len(steps), len(runs))
    reached = Entry(
        f"{len(steps)}/{len(runs)} {share_text(share.estimate)}", share.estimate, cell=cell
    )
    bounds = Entry(f"[{100 * share.low:.1f}, {100 * share.high:.1f}]", share.low)
    if steps.empty:
        return [reached, bounds, Entry(DASH), Entry(DASH)]
    # Steps that occurred: a run stops at one of them and never between two.
    low, high = np.quantile(steps, MIDDLE, method="inverted_cdf")
    middle = float(np.median(steps))
    return [
        reached,
        bounds,
        Entry(plain_text(middle), sortable(middle)),
        Entry(tr("{low} to {high}", low=plain_text(low), high=plain_text(high)), sortable(low)),
    ]


EVERY = msgid("every")
PARAMETERS_SAY = msgid(
    "How many parameters the network of a cell has: one row for each number of them, "
    "with the levels of the cells that have it. Only factors on which it depends are "
    "shown."
)


def parameters(study: Study) -> dict[str, tuple[float, ...]]:
    """The numbers of parameters that the finished runs of each cell have, ascending.

    Cells that only train members of ensembles are left out, as in every table.
    """
    finished = study.frame[study.frame["status"] == Status.FINISHED]
    counted = finished[finished["parameters"].notna()]
    by_cell = counted.groupby("cell", sort=False)["parameters"].unique()
    return {
        cell.cell: tuple(sorted(map(float, by_cell[cell.cell])))
        for cell in study.declaration.cells
        if cell.cell in by_cell and not cell.trains_members
    }


def differs(study: Study) -> bool:
    """Whether the cells of a study differ in their number of parameters."""
    return len(set(parameters(study).values())) > 1


def parameters_table(study: Study) -> Table:
    """One row for each number of parameters, in order of the cells that have it first."""
    found = parameters(study)
    counted = [cell for cell in study.declaration.cells if cell.cell in found]
    groups: dict[tuple[float, ...], list[Cell]] = {}
    for cell in counted:
        groups.setdefault(found[cell.cell], []).append(cell)
    factors = telling(study.declaration)
    shown = [
        factor
        for factor in factors
        if any(_levels(cells, counted, factor) != tr(EVERY) for cells in groups.values())
    ]
    rows = [
        (
            *(_levels(cells, counted, factor) for factor in shown),
            *(() if shown else ("; ".join(cell.cell for cell in cells),)),
            len(cells),
            Entry(tr(" or ").join(map(plain_text, numbers)), numbers[0], cell=cells[0].cell),
        )
        for numbers, cells in groups.items()
    ]
    names = [factor.label for factor in shown] or [tr("cell")]
    header = ((*names, tr("cells"), tr("parameters")),)
    return Table.of(
        "parameters", tr("Parameters"), caption=tr(PARAMETERS_SAY), header=header, rows=rows
    )


def _levels(cells: Sequence[Cell], counted: Sequence[Cell], factor: Factor) -> str:
    """The levels of a factor that these cells have; EVERY where they are all that occur."""
    mine, every = (
        {cell.factors.get(factor.name, ABSENT) for cell in some} for some in (cells, counted)
    )
    if mine == every and len(every) > 1:
        return tr(EVERY)
    order = (ABSENT, *factor.levels)
    return ", ".join(sorted(mine, key=order.index))


SPREAD = "activation_spread"
GRADIENTS_SAY = msgid(
    "Norm of the gradient of the weights of the first and of the last layer before "
    "the first step, and their quotient then and after the last step: median over "
    "runs [95 % interval of the median from order statistics, which needs six runs] "
    "(number of runs that are finite, where some are not). Zero over zero counts as "
    "zero. A quotient far below 1 is a gradient that vanishes on its way."
)
SPREAD_SAYS = msgid(
    " Spread: of the last hidden layer's activations over the examples, as root mean "
    "of the units' variances, before and after training, first replicate; 0 where "
    "all inputs look alike."
)


def gradients_table(study: Study) -> Table:
    """First layer, last layer, their quotients and the spread of activations, for each cell."""
    declaration = study.declaration
    by_cell = dict(list(ends(study.layers.norms).groupby("cell", sort=False)))
    probed = study.layers.probed
    spreads = any(_spread(one, last=False) is not None for one in probed.values())
    rows = []
    for cell in declaration.cells:
        if cell.cell not in by_cell:
            continue
        found = by_cell[cell.cell]
        before, after = found[found["step"] == 0], found.drop_duplicates("run_id", keep="last")
        rows.append(
            (
                *levels_of(declaration, cell),
                *(_median(before[name], cell.cell) for name in ("first", "last", "ratio")),
                _median(after["ratio"], cell.cell),
                len(before),
                *(_spreads(probed.get(cell.cell)) if spreads else ()),
            )
        )
    header = (
        *level_columns(declaration),
        *trs("first layer", "last layer", "first / last", "first / last after training", "n"),
        *(trs("spread", "spread after training") if spreads else ()),
    )  # fmt: skip
    says = tr(GRADIENTS_SAY) + (tr(SPREAD_SAYS) if spreads else "")
    return Table.of(
        "gradients", tr("Gradients by layer"), caption=says, header=(header,), rows=rows
    )


def _median(values: pd.Series[float], cell: str) -> Entry:
    finite = values.dropna()
    made = median_interval(finite)
    text = plain_text(made.estimate)
    if not isnan(made.low):
        text += f" [{plain_text(made.low)}, {plain_text(made.high)}]"
    if len(finite) < len(values):
        text += f" ({len(finite)})"
    return Entry(text, sortable(made.estimate), cell=cell)


def _spread(seen: Probed, *, last: bool) -> float | None:
    """The spread of the last hidden layer; None where it was not kept or no layer is hidden."""
    by_layer = seen.numbers(SPREAD, last=last)
    return by_layer[-2] if len(by_layer) > 1 else None


def _spreads(seen: Probed | None) -> list[Entry]:
    """Before and after training."""
    values = [None if seen is None else _spread(seen, last=last) for last in (False, True)]
    return [Entry(plain_text(value), sortable(value)) for value in values]
