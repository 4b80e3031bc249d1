"""Cells compared: against the baseline, step by step, one change at a time; one family a study.

In: the outcomes of cells, and the declaration (which way is better, the band of equivalence). Out:
one `Comparison` per pair, with its difference, test, and verdict. All pairs of a study are tested
together, so that a pair says the same in every table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import isnan, nan, sqrt

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.intervals import (
    LEVEL_OF_TESTS,
    Floats,
    Interval,
    holm,
    share_difference,
    wilson,
)
from ablation_lab.statistics.joint import Joint, equivalence_p, test_together
from ablation_lab.statistics.outcomes import Outcomes, estimate
from ablation_lab.statistics.planning import Procedure, replicates_needed
from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.schema import Design

Pair = tuple[Outcomes, Outcomes]
MCNEMAR = "McNemar by joint sign flips"


class Standing(StrEnum):
    """What a comparison says; a band is needed to say "equivalent"."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    NEEDS = "needs n"


@dataclass(frozen=True)
class Comparison:
    """A cell minus another one, over the replicates that both finished.

    `p` and `p_equivalence` are corrected over all comparisons of the study, and the interval holds
    all their differences together. `test` names the procedure with what it assumes.
    `p_equivalence` is NaN without a band.
    """

    first: Outcomes
    second: Outcomes
    difference: Interval
    p: float
    p_equivalence: float
    test: str
    standing: Standing

    @property
    def needs(self) -> int | None:
        """The replicates without which no verdict is possible, where there are fewer."""
        return replicates_needed() if self.standing is Standing.NEEDS else None

    @property
    def verdict(self) -> str:
        """What it says in words; where it can say nothing, how many replicates it needs."""
        return f"needs n ≥ {self.needs}" if self.needs else self.standing.value

    @property
    def within(self) -> bool:
        """Whether the difference lies within the declared band, as far as a test can tell."""
        return self.p_equivalence <= LEVEL_OF_TESTS


def compare(pairs: Sequence[Pair], declaration: Declaration) -> list[Comparison]:
    """Compare the first with the second of every pair, as one family of tests."""
    if not pairs:
        return []
    differences = paired(pairs)
    joint, same = test_together(differences), _equivalence(pairs, differences, declaration)
    test = MCNEMAR if declaration.is_success else joint.procedure.value
    return [
        Comparison(
            first=pair[0],
            second=pair[1],
            difference=_difference(pair, differences[:, k], joint, k, declaration),
            p=float(joint.p[k]),
            p_equivalence=float(same[k]),
            test=test,
            standing=_standing(joint, k, float(same[k]), differences[:, k], declaration),
        )
        for k, pair in enumerate(pairs)
    ]


def paired(pairs: Sequence[Pair]) -> Floats:
    """The differences (R, K) of every pair in every replicate; NaN where one of both lacks it.

    Two runs that are both not finite, and count at an infinite worst, do not differ.
    """
    replicates = sorted({r for pair in pairs for each in pair for r in each.values})
    first, second = (
        np.array([[pair[side].values.get(r, nan) for pair in pairs] for r in replicates])
        for side in (0, 1)
    )
    with np.errstate(invalid="ignore"):
        made = np.where((first == second) & np.isinf(first), 0.0, first - second)
    return made.reshape(len(replicates), len(pairs))


def best_cell(found: Mapping[str, Outcomes], declaration: Declaration) -> str | None:
    """The best cell, if a test supports it against the runner-up; None otherwise.

    The best cell is compared with every other one as one family, since choosing the best is itself
    a look at all of them (Hsu, 1984: comparisons with the best).
    """
    sign = -1 if declaration.higher_is_better else 1
    estimates = {name: estimate(each, declaration).estimate for name, each in found.items()}
    ranked = sorted(
        (name for name, value in estimates.items() if np.isfinite(value)),
        key=lambda name: sign * estimates[name],
    )
    if len(ranked) < 2 or estimates[ranked[0]] == estimates[ranked[1]]:
        return None
    best, *others = ranked
    joint = test_together(paired([(found[best], found[other]) for other in others]))
    return best if joint.p[0] <= LEVEL_OF_TESTS and _tells(joint, 0, declaration) else None


def _difference(
    pair: Pair, column: Floats, joint: Joint, k: int, declaration: Declaration
) -> Interval:
    """The mean difference with the bounds that hold for all comparisons together."""
    n, test = joint.n[k], f"simultaneous, {joint.procedure.value}"
    if declaration.is_success:
        first, second = (wilson(o.successes, len(o.values), z=joint.normal) for o in pair)
        return share_difference(first, second)
    known = column[~np.isnan(column)]
    mean = float(known.mean()) if n and np.isfinite(known).all() else nan
    low, high = float(joint.low[k]), float(joint.high[k])
    if declaration.is_share:
        low, high = max(low, -1.0), min(high, 1.0)
    finite = not isnan(mean) and np.isfinite([low, high]).all()
    return Interval(mean, low, high, n, test) if finite else Interval(mean, nan, nan, n, "none")


def _equivalence(pairs: Sequence[Pair], differences: Floats, declaration: Declaration) -> Floats:
    band = declaration.equivalence
    if band is None:
        return np.full(len(pairs), nan)
    if declaration.is_success:
        counts = [(a.successes, len(a.values), b.successes, len(b.values)) for a, b in pairs]
        return np.array(holm([share_equivalence(*each, band=band) for each in counts]))
    return equivalence_p(differences, band)


def _tells(joint: Joint, k: int, declaration: Declaration) -> bool:
    """Whether the replicates of a pair suffice for its procedure; successes are not normal."""
    if joint.procedure is Procedure.NORMAL:
        return joint.n[k] > 1 and not declaration.is_success
    return joint.n[k] >= replicates_needed()


def _standing(
    joint: Joint, k: int, same: float, column: Floats, declaration: Declaration
) -> Standing:
    if not _tells(joint, k, declaration):
        return Standing.NEEDS
    if joint.p[k] <= LEVEL_OF_TESTS:
        higher = float(np.nansum(column)) > 0
        return Standing.BETTER if higher == declaration.higher_is_better else Standing.WORSE
    return Standing.EQUIVALENT if same <= LEVEL_OF_TESTS else Standing.UNDECIDED


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


@dataclass(frozen=True)
class Compared:
    """All comparisons that a study asks for, tested as one family.

    `to_baseline` has every declared cell against its baseline, none without one; `attributions` the
    gain of every step of a ladder over the step before, else of every single change of the
    baseline: of cells that differ from it in one compared factor, where there are several factors.
    """

    to_baseline: list[Comparison]
    attributions: list[Attribution]


def compared(found: Mapping[str, Outcomes], declaration: Declaration) -> Compared:
    """Compare what the declaration asks about; a pair that two tables show is tested once."""
    against = [
        (cell.cell, base)
        for cell in declaration.cells
        if not cell.trains_members
        and (base := declaration.baseline_of(cell.cell)) not in (None, cell.cell)
    ]
    changes = list(_changes(declaration))
    asked = list(dict.fromkeys([*against, *((each.cell, each.reference) for each in changes)]))
    made = compare([(found[a], found[str(b)]) for a, b in asked], declaration)
    known = dict(zip(asked, made, strict=True))
    return Compared(
        to_baseline=[known[pair] for pair in against],
        attributions=[Attribution(each, known[each.cell, each.reference]) for each in changes],
    )


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
