"""What each choice accounts for on the way from the baseline to all choices changed.

In: a complete factorial of two levels each, 2^k cells with a declared baseline. Out: per factor the
weights of the cells in its leave-one-out and Shapley value, to be tested with the other effects of
the study, and its share of the whole change. Shapes: R replicates, C = 2^k cells.

With v(S) the mean of the cell whose factors S are changed, out of F:

    added alone      v({i}) - v(∅), a comparison with the baseline, which stands in that table
    left out         v(F) - v(F∖{i})
    Shapley value    Σ_S |S|!(k-|S|-1)!/k! · (v(S∪{i}) - v(S)), the mean over all orders of change

The Shapley values add up to v(F) - v(∅), the other two do not where factors interact; the main
effect is the same mean with equal weights 2^(1-k). Source: Shapley, A value for n-person games,
1953. A factor of three levels has no single change, and which of two should count would be a choice
after seeing the results, so such studies have none of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import comb, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.factorial import Factorial
from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Floats, Interval

if TYPE_CHECKING:
    from ablation_lab.statistics.comparisons import Attribution
    from ablation_lab.statistics.effects import Contrast


class Kind(StrEnum):
    """What a contrast is: an effect over all cells, or one of three ways to credit a factor."""

    EFFECT = "effect"
    ALONE = "added alone"
    LEFT_OUT = "left out"
    SHAPLEY = "Shapley value"


@dataclass(frozen=True)
class Credit:
    """What one factor accounts for; `share` is that of its Shapley value in the whole change."""

    alone: Attribution
    left_out: Contrast
    shapley: Contrast
    share: Interval

    def by(self, kind: Kind) -> tuple[Interval, float]:
        """The difference of that kind, and its corrected p."""
        if kind is Kind.ALONE:
            return self.alone.comparison.difference, self.alone.comparison.p
        made = self.left_out if kind is Kind.LEFT_OUT else self.shapley
        return made.interval, made.p


def credits_of(
    data: Factorial, effects: Sequence[Contrast], attributions: Sequence[Attribution]
) -> Iterator[Credit]:
    """Yield the credit of each factor, out of the study's own families of tests."""
    if not attributes(data):
        return
    alone = {each.change.factor: each for each in attributions}
    made = {(each.kind, each.term): each for each in effects}
    for name, share in change_shares(data).items():
        left_out, shapley = made[Kind.LEFT_OUT, (name,)], made[Kind.SHAPLEY, (name,)]
        yield Credit(alone[name], left_out, shapley, share)


def attributes(data: Factorial) -> bool:
    """Whether a study has a baseline, two levels of each factor, and all their combinations."""
    two = all(len(levels) == 2 for levels in data.levels.values())
    return bool(data.baseline) and two and data.is_complete


def changed_level(data: Factorial, name: str) -> str:
    """The level of a factor that is not the baseline's."""
    return next(level for level in data.levels[name] if level != data.reference[name])


def credit_weights(data: Factorial) -> dict[tuple[Kind, str], Floats]:
    """Weights (C,) of the cells in each factor's leave-one-out and Shapley value; or nothing."""
    if not attributes(data):
        return {}
    left_out, shapley = _left_out(data), _shapley(data)
    return {
        (kind, name): weights[:, i]
        for kind, weights in ((Kind.LEFT_OUT, left_out), (Kind.SHAPLEY, shapley))
        for i, name in enumerate(data.levels)
    }


def _changed(data: Factorial) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Which factors each cell has changed, shape (C, k)."""
    base = data.reference
    return np.array([[cell.factors[f] != base[f] for f in data.levels] for cell in data.cells])


def _left_out(data: Factorial) -> Floats:
    changed, k = _changed(data), len(data.levels)
    size = changed.sum(axis=1, keepdims=True)
    made: Floats = (size == k) - ((size == k - 1) & ~changed).astype(np.float64)
    return made


def _shapley(data: Factorial) -> Floats:
    """A cell of s changes weighs 1/(k·(k-1 choose s-1)) for a change it has, else it takes away."""
    changed, k = _changed(data), len(data.levels)
    share = np.array([1 / (k * comb(k - 1, before)) for before in range(k)])
    size = changed.sum(axis=1)
    gives, takes = share[np.maximum(size - 1, 0)], share[np.minimum(size, k - 1)]
    made: Floats = np.where(changed, gives[:, None], -takes[:, None])
    return made


def change_shares(data: Factorial) -> dict[str, Interval]:
    """Each factor's Shapley value over the whole change, v(F) - v(∅); the shares add up to one.

    A share may lie outside 0 to 1, where factors pull in different directions. The intervals are
    Fieller's with Bonferroni's level, so all of them hold together; they assume means of normal
    spread. None where the whole change itself is not set apart from 0: then its shares could be
    anything. Source: Fieller, Some problems in interval estimation, 1954.
    """
    values = data.values @ _shapley(data)
    level = LEVEL_OF_TESTS / (2 * len(data.levels))
    return {
        name: _ratio(values[:, i], values.sum(axis=1), level=level)
        for i, name in enumerate(data.levels)
    }


def _ratio(part: Floats, whole: Floats, *, level: float) -> Interval:
    """The mean of (R,) parts over that of wholes: all s at which part - s·whole may have mean 0."""
    n, mean, total = len(part), float(part.mean()), float(whole.mean())
    unknown = Interval(mean / total if total else nan, nan, nan, n, "none")
    if n < 2:
        return unknown
    reach = float(scipy_stats.t.isf(level, n - 1)) ** 2 / n
    (own, joint), (_, all_) = reach * np.cov(part, whole)
    apart = total**2 - float(all_)
    if apart <= 0:
        return unknown
    middle = (mean * total - float(joint)) / apart
    half = sqrt(max(middle**2 - (mean**2 - float(own)) / apart, 0.0))
    return Interval(mean / total, middle - half, middle + half, n, "Fieller, simultaneous")
