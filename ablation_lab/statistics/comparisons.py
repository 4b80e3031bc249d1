"""Cells compared: against the baseline, step by step, one change at a time; one family a study.

In: the outcomes of cells, and the declaration (which way is better, the band of equivalence). Out:
one `Comparison` per pair, with its difference, test, and verdict. All pairs of a study are tested
together, so that a pair says the same in every table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from math import ceil, isnan, nan

import numpy as np

from ablation_lab.statistics.contrasts import Change, Names, asked, changes, with_baselines
from ablation_lab.statistics.intervals import (
    LEVEL_OF_TESTS,
    Floats,
    Interval,
    holm,
    share_difference,
    wilson,
)
from ablation_lab.statistics.joint import Joint, equivalence_p, joint_test
from ablation_lab.statistics.outcomes import Outcomes, estimate
from ablation_lab.statistics.planning import Procedure, replicates_needed
from ablation_lab.statistics.sequential import Looks
from ablation_lab.statistics.unpaired import (
    FISHER,
    equivalence_apart,
    share_equivalence,
    tested_apart,
)
from ablation_lab.study.declaration import Declaration

Pair = tuple[Outcomes, Outcomes]
ROUNDING = 1e-12  # of a value
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

    `p` and `p_equivalence` are corrected over all comparisons of the study and all its looks, and
    the interval holds all their differences together at every look. `test` names the procedure with
    what it assumes. `p_equivalence` is NaN without a band. `needs` are the replicates without which
    no verdict is possible, where there are fewer.

    Where the study has looks, `looked` are the replicates of the one that all this is from, None
    before the first, and `asked` those that it asks for: more than these where it is open.
    """

    first: Outcomes
    second: Outcomes
    difference: Interval
    p: float
    p_equivalence: float
    test: str
    standing: Standing
    needs: int | None = None
    looked: int | None = None
    asked: int = 0

    @property
    def verdict(self) -> str:
        """What it says in words; where it can say nothing, how many replicates it needs."""
        return f"needs n ≥ {self.needs}" if self.needs else self.standing.value

    @property
    def decided(self) -> bool:
        """Whether it says which is better, or that both are equivalent."""
        return self.standing in (Standing.BETTER, Standing.WORSE, Standing.EQUIVALENT)

    @property
    def is_open(self) -> bool:
        """Whether a further look is to come."""
        return self.asked != (self.looked or 0)

    @property
    def within(self) -> bool:
        """Whether the difference lies within the declared band, as far as a test can tell."""
        return self.p_equivalence <= LEVEL_OF_TESTS


def compare(pairs: Sequence[Pair], declaration: Declaration) -> list[Comparison]:
    """Compare the first with the second of every pair, as one family of tests.

    Where the declaration has looks, a pair stays as the first look that decides it had it, over the
    replicates of then; a look is taken when all runs that it asks for have ended.
    """
    looks = Looks(declaration.looks, len(pairs))
    now = _tested(pairs, looks, declaration)
    made = [_before_any(each, looks.at[0]) for each in now] if looks.at else now
    for n, following in pairwise((*looks.at, *looks.at[-1:])):
        if not all(of.have_ended(each.asked) for each in made for of in (each.first, each.second)):
            break
        seen = [
            (first.first(each.asked), second.first(each.asked))
            for (first, second), each in zip(pairs, made, strict=True)
        ]
        made = [
            _after(old, new, n, following) if old.asked == n else old
            for old, new in zip(made, _tested(seen, looks, declaration), strict=True)
        ]
    return made


def _before_any(made: Comparison, first: int) -> Comparison:
    """Before the first look nothing is tested."""
    needs = replace(made, standing=Standing.NEEDS, needs=first, asked=first)
    return replace(needs, p=nan, p_equivalence=nan)


def _after(old: Comparison, new: Comparison, n: int, following: int) -> Comparison:
    """The comparison at a look, with the smallest p of all looks so far."""
    p, same = np.fmin([old.p, old.p_equivalence], [new.p, new.p_equivalence]).tolist()
    asked = n if new.decided else following
    return replace(new, p=p, p_equivalence=same, looked=n, asked=asked)


def _tested(pairs: Sequence[Pair], looks: Looks, declaration: Declaration) -> list[Comparison]:
    if not pairs:
        return []
    differences, joint = _joint(pairs, declaration, level=looks.level)
    joint = replace(joint, p=looks.corrected(joint.p))
    same = looks.corrected(_equivalence(pairs, differences, declaration))
    of_successes = MCNEMAR if declaration.paired else FISHER
    test = of_successes if declaration.is_success else joint.procedure.value
    standings = [
        _standing(joint, k, float(same[k]), differences[:, k], declaration)
        for k in range(len(pairs))
    ]
    return [
        Comparison(
            first=pair[0],
            second=pair[1],
            difference=_difference(pair, differences[:, k], joint, k, declaration),
            p=float(joint.p[k]),
            p_equivalence=float(same[k]),
            test=test,
            standing=standings[k],
            needs=replicates_needed() if standings[k] is Standing.NEEDS else None,
        )
        for k, pair in enumerate(pairs)
    ]


def _joint(
    pairs: Sequence[Pair], declaration: Declaration, *, level: float = LEVEL_OF_TESTS
) -> tuple[Floats, Joint]:
    """The differences, of means alone where runs are no pairs, and the test of them together."""
    if not declaration.paired:
        return tested_apart(pairs, success=declaration.is_success, level=level)
    differences = paired(pairs)
    return differences, joint_test(differences, level=level)


def paired(pairs: Sequence[Pair]) -> Floats:
    """The differences (R, K) of every pair in every replicate; NaN where one of both lacks it.

    Two runs that are both not finite, and count at an infinite worst, do not differ, and neither do
    means that differ by rounding.
    """
    replicates = sorted({r for pair in pairs for each in pair for r in each.values})
    first, second = (
        np.array([[pair[side].values.get(r, nan) for pair in pairs] for r in replicates])
        for side in (0, 1)
    )
    with np.errstate(invalid="ignore"):
        alike = np.isclose(first, second, rtol=ROUNDING, atol=0)
        made = np.where(alike, 0.0, first - second)
    return made.reshape(len(replicates), len(pairs))


def against_best(found: Mapping[str, Outcomes], declaration: Declaration) -> list[Comparison]:
    """The best cell minus every other one, the runner-up first; [] without a single best one.

    They are one family, since choosing the best is itself a look at all of them (Hsu, 1984:
    comparisons with the best).
    """
    sign = -1 if declaration.higher_is_better else 1
    estimates = {name: sign * estimate(each, declaration).estimate for name, each in found.items()}
    finite = [name for name, value in estimates.items() if np.isfinite(value)]
    ranked = sorted(finite, key=lambda name: estimates[name])
    if len(ranked) < 2 or estimates[ranked[0]] == estimates[ranked[1]]:
        return []
    best, *others = ranked
    return compare([(found[best], found[other]) for other in others], declaration)


def _difference(
    pair: Pair, column: Floats, joint: Joint, k: int, declaration: Declaration
) -> Interval:
    """The mean difference with the bounds that hold for all comparisons together."""
    n, test = joint.n[k], f"simultaneous, {joint.procedure.value}"
    if declaration.is_success and all(each.are_counted for each in pair):
        first, second = (wilson(o.successes, len(o.values), z=joint.normal) for o in pair)
        return share_difference(first, second)
    known = column[~np.isnan(column)]
    mean = float(known.mean()) if n and np.isfinite(known).all() else nan
    low, high = float(joint.low[k]), float(joint.high[k])
    if declaration.is_share:
        reach = max(1.0, *(ceil(max(o.values.values(), default=0)) for o in pair))  # of sums: 2
        low, high = max(low, -reach), min(high, reach)
    finite = not isnan(mean) and np.isfinite([low, high]).all()
    return Interval(mean, low, high, n, test) if finite else Interval(mean, nan, nan, n, "none")


def _equivalence(pairs: Sequence[Pair], differences: Floats, declaration: Declaration) -> Floats:
    band = declaration.equivalence
    if band is None:
        return np.full(len(pairs), nan)
    if declaration.is_success and all(each.are_counted for pair in pairs for each in pair):
        counts = [(a.successes, len(a.values), b.successes, len(b.values)) for a, b in pairs]
        return np.array(holm([share_equivalence(*each, band=band) for each in counts]))
    if not declaration.paired:
        return equivalence_apart(pairs, band)
    return equivalence_p(differences, band)


def _tells(joint: Joint, k: int, declaration: Declaration) -> bool:
    """Whether the replicates of a pair suffice for its procedure; successes are not normal."""
    if joint.procedure is Procedure.WELCH:
        return joint.n[k] > 1
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
    `asked` are the replicates that each cell is asked for by now, where the study has looks;
    `every` has each comparison once.
    """

    to_baseline: list[Comparison]
    attributions: list[Attribution]
    asked: Mapping[str, int]
    every: tuple[Comparison, ...]


def compared(found: Mapping[str, Outcomes], declaration: Declaration) -> Compared:
    """Compare what the declaration asks about; a pair that two tables show is tested once."""
    pairs = asked(declaration)
    made = compare([(found[a], found[b]) for a, b in pairs], declaration)
    known = dict(zip(pairs, made, strict=True))
    return Compared(
        to_baseline=[known[pair] for pair in with_baselines(declaration)],
        attributions=[
            Attribution(each, known[each.cell, each.reference]) for each in changes(declaration)
        ],
        asked=_asked(known, declaration),
        every=tuple(made),
    )


def _asked(known: Mapping[Names, Comparison], declaration: Declaration) -> dict[str, int]:
    """The most that any of a cell's comparisons asks for; the first look where it has none."""
    found = {cell.cell: declaration.looks[0] for cell in declaration.cells if declaration.looks}
    for names, made in known.items():
        found |= {cell: max(found[cell], made.asked) for cell in names if cell in found}
    return found
