"""Pairs of cells compared as one table: differences, tests, Holm over the table, verdicts.

In: the outcomes of cells, in pairs, and the declaration (which way is better, the band of
equivalence). Out: one `Comparison` per pair. Every table of tests is corrected as one family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isnan, nan

from ablation_lab.statistics.equivalence import paired_equivalence, share_equivalence
from ablation_lab.statistics.outcomes import Difference, Outcomes, difference, paired_values
from ablation_lab.statistics.stats import LEVEL_OF_TESTS, holm
from ablation_lab.study.declaration import Declaration

Pair = tuple[Outcomes, Outcomes]


class Standing(StrEnum):
    """What a comparison says; a band is needed to say "as good as"."""

    BETTER = "better"
    WORSE = "worse"
    SLIGHTLY_BETTER = "better, within the band"
    SLIGHTLY_WORSE = "worse, within the band"
    AS_GOOD = "as good as"
    UNDECIDED = "undecided"
    TOO_FEW = "too few runs"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Comparison:
    """A cell minus another one.

    `p_holm` and `p_equivalence` are corrected over all comparisons made together; `least_p` is the
    smallest corrected p that these numbers of runs could have given: above the level, nothing could
    be decided and there are too few runs. `p_equivalence` is NaN without a band.
    """

    first: Outcomes
    second: Outcomes
    difference: Difference
    p_holm: float
    least_p: float
    p_equivalence: float
    standing: Standing

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
    return [
        Comparison(
            first=pair[0],
            second=pair[1],
            difference=each,
            p_holm=p,
            least_p=reach,
            p_equivalence=q,
            standing=_standing(each, p, reach, q, declaration),
        )
        for pair, each, p, reach, q in zip(pairs, made, corrected, least, same, strict=True)
    ]


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
