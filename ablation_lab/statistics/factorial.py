"""A factorial study as numbers: a matrix of replicates by cells, and the terms that explain it.

In: the outcomes of every cell and the declaration. Out: a `Factorial`, or None where the study is
no factorial. Shapes: R replicates, C cells. Every finished run counts as it ended; one that counts
at an infinite worst has no value that a mean could take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import isfinite, prod
from typing import NamedTuple

import numpy as np

from ablation_lab.statistics.intervals import Floats
from ablation_lab.statistics.outcomes import Outcomes
from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.factor import Factor
from ablation_lab.study.schema import Design

FEWEST = 0.5  # of the replicates, in common to all cells, that effects may rest on
MOST = 1000  # replicates that effects rest on: time and memory grow with their square
Term = tuple[str, ...]  # the names of one factor (a main effect) or of two (an interaction)


class Model(NamedTuple):
    """A linear model of cells: its terms, the matrix (C, P) of its indicators, and the inverse."""

    terms: tuple[Term, ...]
    matrix: Floats
    inverse: Floats


@dataclass(frozen=True)
class Factorial:
    """The runs that every cell has: `values` (R, C), with the levels of each cell.

    `reference` is each factor's level that the others are compared with, `baseline` the cell that
    has all of them by declaration, or ''; `left_out` says in sentences which cells are no part.
    """

    levels: Mapping[str, tuple[str, ...]]
    reference: Mapping[str, str]
    cells: tuple[Cell, ...]
    replicates: tuple[int, ...]
    values: Floats
    left_out: tuple[str, ...]
    baseline: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether every combination of levels has a cell."""
        return len(self.cells) == prod(len(levels) for levels in self.levels.values())

    @property
    def mains(self) -> list[Term]:
        """The factors."""
        return [(name,) for name in self.levels]

    @property
    def pairs(self) -> list[Term]:
        """The pairs of factors."""
        return list(combinations(self.levels, 2))

    @cached_property
    def terms(self) -> list[Term]:
        """Mains and pairs that the cells can tell from one another, in this order."""
        return [term for term in [*self.mains, *self.pairs] if rank(self.explained(term)) > 0]

    def indicators(self, term: Term) -> Floats:
        """Which combination of levels of a term each cell has; 0 or 1, shape (C, combinations)."""
        found = [tuple(cell.factors[name] for name in term) for cell in self.cells]
        kinds = list(dict.fromkeys(found))
        return np.array([[float(kind == one) for kind in kinds] for one in found])

    def explained(self, term: Term) -> Floats:
        """The form Q, shape (C, C), whose ȳ'Qȳ is the type II sum of squares of a term.

        What the term adds to all terms that do not contain it (Yates, 1934).
        """
        others = [t for t in [*self.mains, *self.pairs] if not set(term) <= set(t)]
        return self._projection([*others, term]) - self._projection(others)

    def unexplained(self) -> Floats:
        """The form of what mains and pairs leave between cells: interactions of three or more."""
        return np.eye(len(self.cells)) - self._projection([*self.mains, *self.pairs])

    @cached_property
    def additive(self) -> Model:
        """The model of main effects alone."""
        return self._model(self.mains)

    @cached_property
    def paired(self) -> Model:
        """The model of main effects and all two-way interactions."""
        return self._model([*self.mains, *self.pairs])

    def _model(self, terms: Iterable[Term]) -> Model:
        listed = tuple(terms)
        blocks = [np.ones((len(self.cells), 1)), *(self.indicators(term) for term in listed)]
        matrix = np.hstack(blocks)
        return Model(listed, matrix, np.linalg.pinv(matrix))

    def _projection(self, terms: Iterable[Term]) -> Floats:
        model = self._model(terms)
        made: Floats = model.matrix @ model.inverse
        return made


def factorial(found: Mapping[str, Outcomes], declaration: Declaration) -> Factorial | None:
    """The factorial part of a study: cells to which every compared factor applies.

    A replicate counts if every one of these cells finished it, so that effects are paired. None
    for another design, fewer than two factors that vary, or less than half of the replicates.
    """
    names = [factor.name for factor in declaration.compared]
    if declaration.design is not Design.FACTORIAL or len(names) < 2 or not declaration.paired:
        return None
    cells, left_out = _cells(found, declaration, names)
    levels = {
        factor.name: kept
        for factor in declaration.compared
        if len(kept := _kept(factor, cells)) > 1
    }
    columns = [_finite(found[cell.cell]) for cell in cells]
    common, most = _in_common(columns)
    wanted = min((most, *declaration.looks))  # cells that are decided have no more
    if len(levels) < 2 or not common or len(common) < FEWEST * wanted:
        return None
    if len(common) < most:
        left_out += (f"{len(common)} of {most} replicates, those that every cell finished",)
    if len(common) > MOST:
        left_out += (f"of {len(common)} replicates the first {MOST}",)
        common = common[:MOST]
    return Factorial(
        levels=levels,
        reference=_reference(levels, declaration),
        cells=tuple(cells),
        replicates=tuple(common),
        values=np.array([[column[r] for column in columns] for r in common]),
        left_out=left_out,
        baseline=declaration.baseline or "",
    )


def too_few_in_common(found: Mapping[str, Outcomes], declaration: Declaration) -> str:
    """Why a factorial has no effects although it has runs, or ''."""
    if declaration.design is not Design.FACTORIAL or len(declaration.compared) < 2:
        return ""
    if not declaration.paired:
        return "No effects are given: they rest on replicates that every cell has."
    cells, _ = _cells(found, declaration, [factor.name for factor in declaration.compared])
    common, most = _in_common([_finite(found[cell.cell]) for cell in cells])
    if len(common) >= FEWEST * most:
        return ""
    return (
        f"No effects are given: only {len(common)} of {most} replicates have a value in every "
        f"cell, and effects over those alone would speak of the runs that went well."
    )


def rank(form: Floats) -> int:
    """Degrees of freedom of a projection: its trace."""
    return round(float(np.trace(form)))


def _finite(found: Outcomes) -> dict[int, float]:
    return {r: value for r, value in found.values.items() if isfinite(value)}


def _in_common(columns: list[dict[int, float]]) -> tuple[list[int], int]:
    """The replicates that have a value in every cell, and the most that one cell has."""
    common = sorted(set.intersection(*(set(column) for column in columns))) if columns else []
    return common, max((len(column) for column in columns), default=0)


def _cells(
    found: Mapping[str, Outcomes], declaration: Declaration, names: list[str]
) -> tuple[list[Cell], tuple[str, ...]]:
    declared = [cell for cell in declaration.cells if not cell.trains_members]
    partial = [cell for cell in declared if not set(names) <= set(cell.factors)]
    whole = [cell for cell in declared if set(names) <= set(cell.factors)]
    empty = [cell for cell in whole if not _finite(found[cell.cell])]
    said = []
    if partial:
        said.append(f"{_listed(partial)}: not every factor applies")
    if empty:
        said.append(f"{_listed(empty)}: no finished run")
    if declaration.excluded:
        said.append(f"{_listed(declaration.excluded)}: excluded")
    return [cell for cell in whole if cell not in empty], tuple(f"without {s}" for s in said)


def _listed(cells: Iterable[object]) -> str:
    names = [str(getattr(cell, "cell", "")) for cell in cells]
    return (
        ", ".join(names) if len(names) < 4 else f"{', '.join(names[:2])} and {len(names) - 2} more"
    )


def _kept(factor: Factor, cells: list[Cell]) -> tuple[str, ...]:
    seen = {cell.factors[factor.name] for cell in cells}
    return tuple(level for level in factor.levels if level in seen)


def _reference(levels: Mapping[str, tuple[str, ...]], declaration: Declaration) -> dict[str, str]:
    """The baseline's levels, or the first ones where the baseline has none of them."""
    base = next((c.factors for c in declaration.cells if c.cell == declaration.baseline), {})
    return {
        name: base[name] if base.get(name) in known else known[0] for name, known in levels.items()
    }
