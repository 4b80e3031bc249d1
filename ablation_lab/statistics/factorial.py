"""A factorial study as numbers: a matrix of replicates by cells, and the terms that explain it.

In: the outcomes of every cell and the declaration. Out: a `Factorial`, or None where the study is
no factorial. Shapes: R replicates, C cells. Every finished run counts as it ended; one that counts
at an infinite worst has no value that a mean could take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import isfinite, prod

import numpy as np

from ablation_lab.statistics.intervals import Floats
from ablation_lab.statistics.outcomes import Outcomes
from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.factor import Factor
from ablation_lab.study.schema import Design

ZERO = 1e-10  # squares of singular values that are smaller than this share are rounding
FEWEST = 0.5  # of the replicates, in common to all cells, that effects may rest on
MOST = 1000  # replicates that effects rest on: time and memory grow with their square
Term = tuple[str, ...]  # the names of one factor (a main effect) or of two (an interaction)
Place = tuple[Term, tuple[str, ...]]  # a term with a level of each of its factors
Column = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass(frozen=True)
class Model:
    """A linear model of cell means: what each term adds to that of the reference levels.

    `places` name the P columns of `matrix` (C, P): the mean of the reference levels, whose term is
    empty, then every term with each combination of other levels. Its factorisation
    M'M = V diag(s²) V' is that of all who ask, and has `rank` columns.
    """

    places: tuple[Place, ...]
    matrix: Floats

    @cached_property
    def _factors(self) -> tuple[Floats, Floats]:
        squares, vectors = np.linalg.eigh(self.matrix.T @ self.matrix)
        kept = squares > ZERO * squares[-1]
        return np.sqrt(squares[kept]), vectors[:, kept]

    @property
    def rank(self) -> int:
        """Its degrees of freedom."""
        return len(self._factors[0])

    def explained(self, means: Floats) -> float:
        """The sum of squares of cell means (C,) that it explains."""
        roots, vectors = self._factors
        return float((((means @ self.matrix) @ vectors / roots) ** 2).sum())

    @cached_property
    def weights(self) -> Floats:
        """Weights (P, C) of the cells in the least-squares estimate of each column."""
        roots, vectors = self._factors
        made: Floats = (vectors / roots**2) @ (vectors.T @ self.matrix.T)
        return made

    @property
    def estimates(self) -> dict[Place, Floats]:
        """The weights of the columns that the cells determine."""
        determined = np.isclose((self._factors[1] ** 2).sum(axis=1), 1)
        rows = zip(self.places, self.weights, determined, strict=True)
        return {place: weights for place, weights, whole in rows if whole}


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
    def terms(self) -> dict[Term, tuple[Model, Model]]:
        """Mains and pairs that the cells tell from one another; the models with and without each.

        A term adds to all terms that do not contain it: its sum of squares of type II is what the
        first model explains more than the second (Yates, 1934).
        """
        every = [*self.mains, *self.pairs]
        apart = {}
        for term in every:
            others = [each for each in every if not set(term) <= set(each)]
            apart[term] = (self._model(term, *others), self._model(*others))
        return {term: both for term, both in apart.items() if both[0].rank > both[1].rank}

    @property
    def additive(self) -> Model:
        """The model of main effects alone."""
        return self._model(*self.mains)

    @property
    def paired(self) -> Model:
        """The model of main effects and all two-way interactions."""
        return self._model(*self.mains, *self.pairs)

    def indicators(self, name: str) -> Floats:
        """Which level of a factor each cell has; 0 or 1, shape (C, levels)."""
        found = np.array([cell.factors[name] for cell in self.cells])
        made: Floats = (found[:, None] == np.array(self.levels[name])).astype(np.float64)
        return made

    def _model(self, *terms: Term) -> Model:
        """The model of terms, the same object whenever it is asked for."""
        wanted = frozenset(terms)
        if wanted not in self._models:
            places = tuple(place for place in self._columns if place[0] in {(), *wanted})
            matrix = np.array([self._columns[place] for place in places], dtype=np.float64).T
            self._models[wanted] = Model(places, matrix)
        return self._models[wanted]

    @cached_property
    def _models(self) -> dict[frozenset[Term], Model]:
        return {}

    @cached_property
    def _columns(self) -> dict[Place, Column]:
        """Which cells have which combination of other levels, and the column of all cells."""
        found = {
            name: np.array([cell.factors[name] for cell in self.cells]) for name in self.levels
        }
        others = {
            name: [level for level in levels if level != self.reference[name]]
            for name, levels in self.levels.items()
        }
        every = np.ones(len(self.cells), dtype=np.bool_)
        return {
            (term, levels): np.all(
                [every, *(found[n] == level for n, level in zip(term, levels, strict=True))], axis=0
            )
            for term in [(), *self.mains, *self.pairs]
            for levels in product(*(others[name] for name in term))
        }


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
