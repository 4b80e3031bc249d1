"""Two errors apart: that of seeds, which intervals show, and that of the test items.

In: the hits of a cell, or of two cells their differences: values x_ri of shape (R replicates,
M items); or nothing but accuracies. Out: what drawing other items would add. Runs and items are
crossed: x_ri = μ + a_r + b_i + e_ri, all independent. With the mean squares of the two-way analysis
of variance, A of runs, B of items and E of the rest,

    the mean over other runs, these items   A / RM             the error that intervals show
    over other items, these runs            B / RM
    over others of both                     (A + B - E) / RM

Source: Cornfield and Tukey, Average values of mean squares in factorials, 1956; the bootstrap that
draws runs and items has this variance in the limit (Owen, The pigeonhole bootstrap, 2007).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import hypot, isfinite, lcm, sqrt

import numpy as np
from numpy.typing import NDArray

from ablation_lab.statistics.intervals import UNBOUNDED, Bounds, Interval, Z

MOST_ITEMS = 1_000_000


@dataclass(frozen=True)
class ItemErrors:
    """Standard errors of a mean over `runs` and `items`.

    `own` is that of other items with these runs; `added` is what other items add to the error of
    other runs: variances add up to that of others of both.
    """

    runs: int
    items: int
    own: float
    added: float

    def both(self, seeds: Interval, *, z: float = Z, bounds: Bounds = UNBOUNDED) -> Interval:
        """The interval over seeds made wider by items: distances add up in squares.

        Nowhere narrower than that over items alone. Source: Zou and Donner, Construction of
        confidence limits about effect measures, 2008.
        """
        below, above = (
            max(hypot(end - seeds.estimate, z * self.added), z * self.own)
            for end in (seeds.low, seeds.high)
        )
        low, high = seeds.estimate - below, seeds.estimate + above
        return Interval(
            seeds.estimate, max(low, bounds[0]), min(high, bounds[1]), seeds.n, "seeds and items"
        )


def item_errors(values: NDArray[np.generic]) -> ItemErrors:
    """The errors of values (R, M); of a single run, `added` is all that its items show."""
    x = np.asarray(values, dtype=np.float64)
    runs, items = x.shape
    by_run, by_item, mean = x.mean(axis=1), x.mean(axis=0), x.mean()
    of_runs = items * float(((by_run - mean) ** 2).sum())
    of_items = runs * float(((by_item - mean) ** 2).sum())
    rest = max(float(((x - mean) ** 2).sum()) - of_runs - of_items, 0.0)
    degrees = max(items - 1, 1)
    square = of_items / degrees
    error = rest / (degrees * (runs - 1)) if runs > 1 else 0.0
    own, added = (sqrt(max(each, 0.0) / (runs * items)) for each in (square, square - error))
    return ItemErrors(runs, items, own, added)


def binomial_error(share: float, items: int) -> float:
    """√(p(1-p)/M): at most so much do M other items move a share of hits; no hits are needed."""
    return sqrt(max(share * (1 - share), 0.0) / items)


def items_behind(accuracies: Iterable[float]) -> int | None:
    """The smallest M of which all these shares are multiples of 1/M; None where nothing tells.

    It divides the size of the test set, so that errors by it are rather too large.
    """
    found = 1
    for value in accuracies:
        share = Fraction(value if isfinite(value) else 0).limit_denominator(MOST_ITEMS)
        found = lcm(found, share.denominator)
        if float(share) != value or found > MOST_ITEMS:
            return None
    return found if found > 1 else None
