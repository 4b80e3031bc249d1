"""Looking at comparisons while runs come in: the level of each look, and what looking makes of p.

In: the replicates at which is looked, fixed beforehand, and the number of comparisons. Out: the
level c at which each look tests, and p-values corrected for all looks. Pure.

Every look tests at the same level (Pocock, 1977). The chance that any of L looks at n_1 < … < n_L
replicates of one comparison without effect reaches c is 1 - P(|S_n| <= z √n at every look), z =
Φ^-1(1 - c/2), where S are the sums of a normal variable: integrated look by look (Armitage,
McPherson and Rowe, 1969). Of K comparisons, tested jointly at c, each has 1 - (1 - c)^(1/K), and
the chance of any is largest where they are independent, as is assumed here. A tenth is added, as
sign flips of few runs that are not normal hang less together from look to look; how many tables err
with it stands in docs/statistics.md. The level c is the one whose chance is 5 %; a corrected p is
the chance that belongs to the smallest p of the looks so far: the lowest overall level at which a
look would have decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import expm1, log1p, sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Floats

MARGIN = 1.1
NODES = 64  # of the Gauss-Legendre rule; 32 give the same twelve digits


@dataclass(frozen=True)
class Looks:
    """The replicates at which so many comparisons are looked at; `at` is () for a single look."""

    at: tuple[int, ...]
    comparisons: int

    @cached_property
    def level(self) -> float:
        """The level of the joint test of every look, so that all together err in 5 %."""
        if len(self.at) < 2:
            return LEVEL_OF_TESTS
        lowest = LEVEL_OF_TESTS / (2 * len(self.at))
        return float(brentq(lambda c: self.overall(c) - LEVEL_OF_TESTS, lowest, LEVEL_OF_TESTS))

    def overall(self, p: float) -> float:
        """The chance without any effect that some look has a corrected p as small as this one."""
        if len(self.at) < 2 or not 0 < p < 1:
            return p
        each = -expm1(log1p(-p) / self.comparisons)
        none = (1 - _any_look(each, self.at)) ** self.comparisons
        return min(1.0, MARGIN * (1 - none))

    def corrected(self, p: Floats) -> Floats:
        """Every p of a look as `overall` has it."""
        return np.array([self.overall(float(each)) for each in p])


@lru_cache(maxsize=4096)
def _any_look(p: float, at: tuple[int, ...]) -> float:
    """The chance that the sum of n normal variables reaches a two-sided p at any of these n."""
    z = float(norm.isf(p / 2))
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    # All of the mass lies at 0 before the first look; after each, what did not reach the edge.
    places, mass, before = np.zeros(1), np.ones(1), 0
    for n in at:
        edge, step = z * sqrt(n), sqrt(n - before)
        density = norm.pdf((edge * nodes[:, None] - places) / step) / step @ mass
        places, mass, before = edge * nodes, edge * weights * density, n
    return min(1.0, max(p, 1 - float(mass.sum())))
