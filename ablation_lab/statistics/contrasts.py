"""Which cells a study compares: with their baselines, step by step, one change at a time. Pure.

In: a declaration. Out: the changes that it asks about, and every pair of cells that is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.schema import Design

Names = tuple[str, str]  # of a cell, and of the one that it is compared with


@dataclass(frozen=True)
class Change:
    """One factor goes from one level to another, and nothing else is said to change."""

    factor: str
    before: str
    after: str
    cell: str
    reference: str


def with_baselines(declaration: Declaration) -> list[Names]:
    """Every declared cell with its baseline; none without one."""
    return [
        (cell.cell, base)
        for cell in declaration.cells
        if not cell.trains_members
        and (base := declaration.baseline_of(cell.cell)) not in (None, cell.cell)
    ]


def asked(declaration: Declaration) -> list[Names]:
    """Every pair that any table of the study shows, once: one family of tests."""
    single = [(change.cell, change.reference) for change in changes(declaration)]
    return list(dict.fromkeys([*with_baselines(declaration), *single]))


def changes(declaration: Declaration) -> Iterator[Change]:
    """Yield every step of a ladder, else every single change of the baseline."""
    cells = [cell for cell in declaration.cells if not cell.trains_members]
    if declaration.design is Design.LADDER:
        yield from _steps(declaration, cells)
    elif declaration.baseline is not None and len(declaration.compared) > 1:
        base = next(cell for cell in declaration.cells if cell.cell == declaration.baseline)
        yield from _single_changes(declaration, cells, base)


def _steps(declaration: Declaration, cells: list[Cell]) -> Iterator[Change]:
    """Yield each level of the ladder's factor after the first, in declared order."""
    for factor in declaration.compared[:1]:
        at = {cell.factors[factor.name]: cell.cell for cell in cells if factor.name in cell.factors}
        levels = [level for level in factor.levels if level in at]
        for before, after in pairwise(levels):
            yield Change(factor.name, before, after, at[after], at[before])


def _single_changes(declaration: Declaration, cells: list[Cell], base: Cell) -> Iterator[Change]:
    for factor in declaration.compared:
        for cell in cells:
            if _differing(declaration, cell, base) == {factor.name}:
                before, after = base.factors[factor.name], cell.factors[factor.name]
                yield Change(factor.name, before, after, cell.cell, base.cell)


def _differing(declaration: Declaration, cell: Cell, base: Cell) -> set[str] | None:
    """The compared factors whose levels differ; None where not the same ones apply in both."""
    if cell.factors.keys() != base.factors.keys():
        return None
    names = [factor.name for factor in declaration.compared if factor.name in cell.factors]
    return {name for name in names if cell.factors[name] != base.factors[name]}
