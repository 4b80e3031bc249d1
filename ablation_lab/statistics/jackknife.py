"""Intervals of what is no mean: leave out one replicate at a time.

In: an estimate, and its values without each replicate or group. Out: an Interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan, sqrt

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.stats import LEVEL, Interval


def jackknife(estimate: float, without: Sequence[float]) -> Interval:
    """An estimate of a share with its interval from the values without each of n replicates.

    estimate ± t·√((n-1)/n · Σ(θ_i - θ̄)²), cut to [0, 1] (Tukey, 1958).
    """
    n = len(without)
    if n < 2:
        return Interval(estimate, nan, nan, n, "none (too few replicates)")
    spread = np.array(without) - np.mean(without)
    error = sqrt((n - 1) / n * float((spread**2).sum()))
    reach = float(scipy_stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * error
    low, high = max(estimate - reach, 0.0), min(estimate + reach, 1.0)
    return Interval(estimate, min(low, estimate), max(high, estimate), n, "jackknife")
