"""What a single change is worth: the steps of a ladder, or one change of a full model at a time.

In: the outcomes of every cell and the declaration. Out: one `Attribution` per change, compared as
one family of tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from ablation_lab.statistics.comparisons import Comparison, compare
from ablation_lab.statistics.outcomes import Outcomes
from ablation_lab.study.declaration import Cell, Declaration, Design


@dataclass(frozen=True)
class Change:
    """One factor goes from one level to another, and nothing else is said to change."""

    factor: str
    before: str
    after: str
    cell: str
    reference: str


@dataclass(frozen=True)
class Attribution:
    """A change and what it does: the cell with it minus the cell without."""

    change: Change
    comparison: Comparison


def attributions(found: Mapping[str, Outcomes], declaration: Declaration) -> list[Attribution]:
    """The gain of every step of a ladder over the step before, else of every single change.

    Single changes are cells that differ from the baseline in one compared factor; there are none
    without a baseline or with one factor only, where they are what every comparison shows.
    """
    changes = list(_changes(declaration))
    pairs = [(found[change.cell], found[change.reference]) for change in changes]
    made = compare(pairs, declaration)
    return [Attribution(change, each) for change, each in zip(changes, made, strict=True)]


def _changes(declaration: Declaration) -> Iterator[Change]:
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
