"""A family of reference values, read together: whether more of them differ than by chance.

In: one p for each printed run that was judged. Out: expected and found misses, a pooled p, and
where each p should lie. If every printed run came from our recipes, p would be uniform, or larger
where ranks are few. Two printed runs that are held against the same runs of ours are nearly, not
quite, independent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.intervals import LEVEL, LEVEL_OF_TESTS, Floats


@dataclass(frozen=True)
class Family:
    """The p of the judged runs of a family, ascending."""

    p: tuple[float, ...]

    @classmethod
    def of(cls, found: Iterable[float]) -> Family:
        """The family of these; NaN is a run that could not be judged."""
        return cls(tuple(sorted(p for p in found if not isnan(p))))

    @property
    def expected(self) -> float:
        """How many differ by chance, at most."""
        return LEVEL_OF_TESTS * len(self.p)

    @property
    def misses(self) -> int:
        """How many differ."""
        return sum(p <= LEVEL_OF_TESTS for p in self.p)

    @property
    def p_of_misses(self) -> float:
        """How probable so many misses are by chance: exact, binomial."""
        return float(scipy_stats.binom.sf(self.misses - 1, len(self.p), LEVEL_OF_TESTS))

    @property
    def pooled(self) -> float:
        """Fisher's p of all together: -2 Σ ln p is chi-squared with 2m degrees of freedom."""
        return float(scipy_stats.combine_pvalues(self.p, method="fisher").pvalue)

    @property
    def places(self) -> tuple[Floats, Floats, Floats]:
        """Where the i-th of m uniform values lies: its mean, and the ends of its 95 %."""
        rank = np.arange(1, len(self.p) + 1)
        beta = scipy_stats.beta(rank, rank[::-1])
        return beta.mean(), beta.ppf((1 - LEVEL) / 2), beta.ppf((1 + LEVEL) / 2)

    @property
    def sentence(self) -> str:
        """What the family says, in words; empty without one."""
        m = len(self.p)
        if not m:
            return ""
        runs, do = "run" if m == 1 else "runs", "does" if self.misses == 1 else "do"
        agree = "agrees" if self.pooled > LEVEL_OF_TESTS else "does not agree"
        return (
            f"Of {m} printed {runs} that could be judged, {self.expected:.1f} may differ by chance "
            f"at 5 % and {self.misses} {do} (so many or more with p = {self.p_of_misses:.2g}); all "
            f"together have p = {self.pooled:.2g} (Fisher), so that the family {agree} with ours."
        )
