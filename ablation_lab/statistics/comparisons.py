"""Cells compared as one table: against the baseline, step by step, or one change at a time.

In: the outcomes of cells, and the declaration (which way is better, the band of equivalence). Out:
one `Comparison` per pair, with its difference, tests, and verdict. Every table of tests is
corrected as one family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from math import isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from ablation_lab.statistics.intervals import EXACT_PAIRS, LEVEL_OF_TESTS, fisher, holm, minimum_p
from ablation_lab.statistics.outcomes import Difference, Outcomes, difference, paired_values
from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.schema import Design

Pair = tuple[Outcomes, Outcomes]


class Standing(StrEnum):
    """What a comparison says; a band is needed to say "as good as"."""

    BETTER = "better"
    WORSE = "worse"
    SLIGHTLY_BETTER = "better, within the band"
    SLIGHTLY_WORSE = "worse, within the band"
    AS_GOOD = "as good as"
    UNDECIDED = "undecided"
    TOO_FEW = "need more replicates"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Comparison:
    """A cell minus another one.

    `p_holm` and `p_equivalence` are corrected over all comparisons made together; `least_p` is the
    smallest corrected p that these numbers of runs could have given: above the level, nothing could
    be decided, and `needs` says how many runs of each cell could, where so many can.
    `p_equivalence` is NaN without a band.
    """

    first: Outcomes
    second: Outcomes
    difference: Difference
    p_holm: float
    least_p: float
    p_equivalence: float
    standing: Standing
    needs: int | None = None

    @property
    def verdict(self) -> str:
        """What it says in words; where it can say nothing, how many runs it needs."""
        if self.standing is Standing.TOO_FEW and self.needs is not None:
            return f"needs n ≥ {self.needs}"
        return self.standing.value

    @property
    def out_of_reach(self) -> bool:
        """Whether no result could have reached the level of tests."""
        return self.least_p > LEVEL_OF_TESTS


def compare(pairs: Sequence[Pair], declaration: Declaration) -> list[Comparison]:
    """Compare the first with the second of every pair, as one family of tests."""
    success = declaration.is_success
    made = [difference(first, second, success=success) for first, second in pairs]
    corrected = holm([each.p for each in made])
    least = holm([nan if isnan(each.p) else each.minimum_p for each in made])
    same = holm([_equivalence(pair, declaration) for pair in pairs])
    needed = runs_needed(sum(not isnan(each.p) for each in made), success=success)
    return [
        Comparison(
            first=pair[0],
            second=pair[1],
            difference=each,
            p_holm=p,
            least_p=reach,
            p_equivalence=q,
            standing=_standing(each, p, reach, q, declaration),
            needs=needed if reach > LEVEL_OF_TESTS else None,
        )
        for pair, each, p, reach, q in zip(pairs, made, corrected, least, same, strict=True)
    ]


@cache
def runs_needed(tests: int, *, success: bool) -> int | None:
    """The fewest runs of a cell with which one of so many tests can reach the level of tests.

    None where no number of them can: the drawn sign patterns give no smaller p.
    """
    for n in range(1, EXACT_PAIRS + 2):
        least = fisher(n, n, 0, n) if success else minimum_p(n)
        if tests * least <= LEVEL_OF_TESTS:
            return n
    return None


def to_baseline(found: Mapping[str, Outcomes], declaration: Declaration) -> list[Comparison]:
    """Every declared cell against its baseline, as one family; none without a baseline."""
    against = {
        cell.cell: declaration.baseline_of(cell.cell)
        for cell in declaration.cells
        if not cell.trains_members
    }
    pairs = [
        (found[cell], found[base]) for cell, base in against.items() if base not in (None, cell)
    ]
    return compare(pairs, declaration)


def _equivalence(pair: Pair, declaration: Declaration) -> float:
    band, (first, second) = declaration.equivalence, pair
    if band is None:
        return nan
    if declaration.is_success:
        counts = (first.successes, first.counted, second.successes, second.counted)
        return share_equivalence(*counts, band=band)
    x, y = paired_values(first, second)
    return paired_equivalence(x - y, band)


def _standing(
    made: Difference, p: float, reach: float, same: float, declaration: Declaration
) -> Standing:
    if isnan(p):
        return Standing.NOT_TESTED
    within = same <= LEVEL_OF_TESTS
    if p <= LEVEL_OF_TESTS:
        if (made.interval.estimate > 0) == declaration.higher_is_better:
            return Standing.SLIGHTLY_BETTER if within else Standing.BETTER
        return Standing.SLIGHTLY_WORSE if within else Standing.WORSE
    if within:
        return Standing.AS_GOOD
    return Standing.TOO_FEW if reach > LEVEL_OF_TESTS else Standing.UNDECIDED


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


def paired_equivalence(differences: ArrayLike, band: float) -> float:
    """The p of the paired t version of the two one-sided tests (Schuirmann, 1987).

    The larger of the p-values of mean <= -band and mean >= band. NaN for fewer than two pairs;
    where all differences are equal there is nothing to doubt: 0 inside the band, 1 outside.
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return nan
    mean = float(d.mean())
    error = float(d.std(ddof=1)) / sqrt(len(d)) if np.ptp(d) else 0.0
    if error == 0:
        return 0.0 if abs(mean) < band else 1.0
    return float(scipy_stats.t.sf((band - abs(mean)) / error, len(d) - 1))


def share_equivalence(
    successes: int, n: int, other_successes: int, other_n: int, *, band: float
) -> float:
    """The p of two one-sided tests on the difference of two shares; NaN where one has no run.

    Normal tests with one success and one failure added to each share (Agresti and Caffo, 2000), so
    that a share of 0 or 1 is not taken for a certainty.
    """
    if n == 0 or other_n == 0:
        return nan
    first, second = (successes + 1) / (n + 2), (other_successes + 1) / (other_n + 2)
    error = sqrt(first * (1 - first) / (n + 2) + second * (1 - second) / (other_n + 2))
    return float(scipy_stats.norm.sf((band - abs(first - second)) / error))
