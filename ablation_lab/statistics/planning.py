"""What replicates can decide, known before any of them runs. Pure.

In: numbers of comparisons and replicates, and a spread where one is known. Out: the procedure that
applies, the replicates without which no verdict is possible, and the smallest difference that they
show with a given power. How far the formula is from simulated power stands in docs/statistics.md.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf, log2, sqrt

from scipy import stats as scipy_stats

LEVEL = 0.05
POWER = 0.8
MOST = 1_000_000  # replicates that anybody is told to have
EXTREME = 7  # replicates up to which only the most extreme sign patterns decide


class Procedure(StrEnum):
    """How the differences of a table are tested; what it rests on is part of the name."""

    SIGN_FLIPS = "joint sign flips"
    NORMAL = "t tests, assumes normal spread"
    WELCH = "unpaired t tests, assumes normal means"
    NONE = "none"


def replicates_needed(level: float = LEVEL) -> int:
    """The fewest replicates that joint sign flips need, for any number of comparisons.

    The smallest p of R replicates is 2^(1-R): six reach 5 %.
    """
    return ceil(1 - log2(level) - 1e-9)


def procedure_for(replicates: int) -> Procedure:
    """The procedure that so many replicates allow."""
    if replicates >= replicates_needed():
        return Procedure.SIGN_FLIPS
    return Procedure.NORMAL if replicates > 1 else Procedure.NONE


def smallest_difference(
    comparisons: int,
    replicates: int,
    *,
    spread: float = 1.0,
    level: float = LEVEL,
    power: float = POWER,
) -> float:
    """The difference of two cells that so many replicates show with the given power.

    ``spread`` is the standard deviation of a cell's runs, and the answer has its unit; of successes
    it is at most 0.5. With R replicates and K comparisons √(2/R)·(t(1 - level/2K) + t(power)) of
    R - 1 degrees of freedom, and up to seven replicates at least what all signs need to agree.
    Infinite where nothing is tested.
    """
    if comparisons < 1 or procedure_for(replicates) is Procedure.NONE:
        return inf
    degrees = replicates - 1
    reach = scipy_stats.t.isf(level / (2 * comparisons), degrees)
    reach += scipy_stats.t.ppf(power, degrees)
    if procedure_for(replicates) is Procedure.SIGN_FLIPS and replicates <= EXTREME:
        alike = scipy_stats.norm.ppf(power ** (1 / replicates)) * sqrt(replicates)
        reach = max(reach, alike)
    return spread * sqrt(2 / replicates) * float(reach)


def replicates_to_show(
    difference: float, comparisons: int, *, spread: float, level: float = LEVEL
) -> int | None:
    """The fewest replicates that show a difference with 80 %; None beyond a million.

    ``spread`` is the standard deviation of paired differences, so √2 that of a cell's runs.
    """

    def shows(replicates: int) -> bool:
        found = smallest_difference(comparisons, replicates, spread=spread / sqrt(2), level=level)
        return found <= difference

    fewest = replicates_needed(level)
    place = bisect_left(range(fewest, MOST), True, key=shows)
    return fewest + place if difference > 0 and fewest + place < MOST else None


@dataclass(frozen=True)
class Outlook:
    """What a study's replicates can decide, before they run.

    ``needed`` is the number of replicates for any verdict without an assumption of normal spread,
    ``smallest`` the smallest difference that is shown with 80 %, in the unit of ``spread``: in
    standard deviations of a cell's runs where no spread is given.
    """

    comparisons: int
    replicates: int
    procedure: Procedure
    needed: int
    smallest: float

    @property
    def suffices(self) -> bool:
        """Whether the replicates reach what the comparisons need at all."""
        return self.comparisons == 0 or self.replicates >= self.needed


def outlook(
    comparisons: int, replicates: int, *, spread: float = 1.0, level: float = LEVEL
) -> Outlook:
    """What so many replicates can say of so many comparisons, tested at a level."""
    return Outlook(
        comparisons=comparisons,
        replicates=replicates,
        procedure=procedure_for(replicates),
        needed=replicates_needed(level),
        smallest=smallest_difference(comparisons, replicates, spread=spread, level=level),
    )
