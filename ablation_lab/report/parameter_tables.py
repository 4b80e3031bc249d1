"""The table of parameters: how many each distinct network of a study has.

In: a Study whose runs train networks. Out: a `Table` with one row for each number of parameters,
and which cells have it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablation_lab.report.layout import ABSENT, telling
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Table
from ablation_lab.report.wording import plain_text
from ablation_lab.study.declaration import Cell, Factor
from ablation_lab.study.record import Status

EVERY = "every"
SAYS = (
    "How many parameters the network of a cell has: one row for each number of them, with the "
    "levels of the cells that have it. Only factors on which it depends are shown."
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
        if any(_levels(cells, counted, factor) != EVERY for cells in groups.values())
    ]
    rows = tuple(
        (
            *(Entry(_levels(cells, counted, factor)) for factor in shown),
            *(() if shown else (Entry("; ".join(cell.cell for cell in cells)),)),
            Entry(str(len(cells)), float(len(cells))),
            Entry(" or ".join(map(plain_text, numbers)), numbers[0], cell=cells[0].cell),
        )
        for numbers, cells in groups.items()
    )
    names = [factor.label for factor in shown] or ["cell"]
    return Table("parameters", "Parameters", SAYS, ((*names, "cells", "parameters"),), rows)


def _levels(cells: Sequence[Cell], counted: Sequence[Cell], factor: Factor) -> str:
    """The levels of a factor that these cells have; EVERY where they are all that occur."""
    mine, every = (
        {cell.factors.get(factor.name, ABSENT) for cell in some} for some in (cells, counted)
    )
    if mine == every and len(every) > 1:
        return EVERY
    order = (ABSENT, *factor.levels)
    return ", ".join(sorted(mine, key=order.index))
