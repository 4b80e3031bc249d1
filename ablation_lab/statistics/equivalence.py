"""Is one as good as another? Two one-sided tests against a band that was declared beforehand.

In: paired differences, or counts of successes, and the band in the metric's own unit. Out: the p of
the hypothesis that the two differ by the band or more, so that a small p says "as good as". A large
p of a test for a difference never says that.
"""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats


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
