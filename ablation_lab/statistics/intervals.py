"""Intervals and tests, as pure functions on arrays.

In: values of replicates, or counts. Out: an Interval (an estimate never travels without one) or a
p-value. Every random draw comes from a generator with a fixed seed, so equal values give equal
answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

LEVEL = 0.95
LEVEL_OF_TESTS = 0.05
RESAMPLES = 10_000
EXACT_PAIRS = 12
FEW = 10
Z = float(scipy_stats.norm.ppf(0.5 + LEVEL / 2))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval over replicates (NaN bounds where there is none)."""

    estimate: float
    low: float
    high: float
    n: int
    method: str

    @property
    def half(self) -> float:
        """Half the length of the interval, NaN where there is none."""
        return (self.high - self.low) / 2


def mean_interval(values: ArrayLike) -> Interval:
    """Mean of R replicates with its interval: BCa bootstrap for R >= 10, t below.

    The interval shows the spread over replicates (seeds), not that of drawing another test set.
    It is widened to contain the mean in the rare case that BCa excludes it. Equal values: no
    spread.

    Raises ValueError for values that are not finite.
    """
    x = _finite(values)
    n = len(x)
    if n == 0:
        return Interval(nan, nan, nan, 0, "none (no run)")
    mean = float(x.mean())
    if n == 1:
        return Interval(mean, nan, nan, 1, "none (one run)")
    if np.ptp(x) == 0:
        return Interval(float(x[0]), float(x[0]), float(x[0]), n, "no spread (all runs equal)")
    if n < FEW:
        reach = float(scipy_stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * float(x.std(ddof=1)) / sqrt(n)
        return Interval(mean, mean - reach, mean + reach, n, "t")
    low, high = _bca(x)
    return Interval(mean, min(low, mean), max(high, mean), n, "BCa bootstrap")


def median_interval(values: ArrayLike) -> Interval:
    """Median of R values with its interval between two order statistics: no shape is assumed.

    Below six values no pair of them holds the median with 95 %, and there are no bounds. Values may
    be infinite; ValueError for NaN.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if np.isnan(x).any():
        raise ValueError(f"median_interval: expected numbers, found {int(np.isnan(x).sum())} NaN")
    if len(x) == 0:
        return Interval(nan, nan, nan, 0, "none (no run)")
    bounds = scipy_stats.quantile_test(x, q=0, p=0.5).confidence_interval(LEVEL)
    return Interval(
        float(np.median(x)), float(bounds.low), float(bounds.high), len(x), "order statistics"
    )


def wilson(successes: int, n: int) -> Interval:
    """Share k/n with its Wilson score interval (Wilson, JASA 1927).

    Raises ValueError unless 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"wilson: expected 0 <= successes <= n, found {successes} of {n}")
    if n == 0:
        return Interval(nan, nan, nan, 0, "none (no run)")
    share = successes / n
    scale = 1 + Z**2 / n
    centre = (share + Z**2 / (2 * n)) / scale
    reach = Z * sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / scale
    return Interval(share, min(centre - reach, share) if successes else 0.0,
                    max(centre + reach, share) if successes < n else 1.0, n, "Wilson")  # fmt: skip


def share_difference(first: Interval, second: Interval) -> Interval:
    """Difference of two independent shares, Newcombe's interval from two Wilson intervals.

    Source: Newcombe, Statistics in Medicine 1998, method 10.
    """
    d = first.estimate - second.estimate
    below = sqrt((first.estimate - first.low) ** 2 + (second.high - second.estimate) ** 2)
    above = sqrt((first.high - first.estimate) ** 2 + (second.estimate - second.low) ** 2)
    return Interval(d, d - below, d + above, min(first.n, second.n), "Newcombe")


def paired_sign_flip(a: ArrayLike, b: ArrayLike) -> float:
    """Two-sided p of the paired sign-flip test of mean(a - b) = 0.

    Exact over all 2**n sign patterns for n <= 12, else 10,000 seeded random patterns and the
    pattern seen. NaN for no pairs; 1 where all differences are zero.

    Raises ValueError for arrays of unequal length or values that are not finite.
    """
    x, y = _finite(a), _finite(b)
    if len(x) != len(y):
        raise ValueError(f"paired_sign_flip: expected pairs, found {len(x)} and {len(y)} values")
    if len(x) == 0:
        return nan
    d = x - y
    seen = abs(float(d.sum())) * (1 - 1e-9) - 1e-15  # sums of equal patterns differ by rounding
    if len(d) <= EXACT_PAIRS:
        return float(np.mean(np.abs(_all_signs(len(d)) @ d) >= seen))
    drawn = np.abs(_drawn_signs(len(d)) @ d) >= seen
    return (int(drawn.sum()) + 1) / (len(drawn) + 1)


def minimum_p(n: int) -> float:
    """The smallest p that the sign-flip test on n pairs can reach.

    2**(1-n) where it is exact, one of the drawn patterns and the one seen beyond.
    """
    if n > EXACT_PAIRS:
        return 1 / (RESAMPLES + 1)
    return 1.0 if n < 1 else 2.0 ** (1 - n)


def fisher(successes: int, n: int, other_successes: int, other_n: int) -> float:
    """Two-sided p of Fisher's exact test on two shares; NaN where one has no run."""
    if n == 0 or other_n == 0:
        return nan
    table = [[successes, n - successes], [other_successes, other_n - other_successes]]
    return float(scipy_stats.fisher_exact(table).pvalue)


def holm(pvalues: Sequence[float]) -> list[float]:
    """Holm's step-down correction. NaN stays NaN and does not count as a test."""
    tested = sorted((p, i) for i, p in enumerate(pvalues) if not isnan(p))
    corrected = [nan] * len(pvalues)
    running = 0.0
    for rank, (p, i) in enumerate(tested):
        running = max(running, min(1.0, (len(tested) - rank) * p))
        corrected[i] = running
    return corrected


def prediction_interval(values: ArrayLike, *, level: float = LEVEL) -> Interval:
    """Where one more run falls with that probability, if runs are normal: mean ± t·s·√(1+1/n)."""
    x = _finite(values)
    if len(x) < 2:
        return Interval(float(x.mean()) if len(x) else nan, nan, nan, len(x), "none")
    mean, n = float(x.mean()), len(x)
    reach = float(scipy_stats.t.ppf(0.5 + level / 2, n - 1)) * float(x.std(ddof=1))
    reach *= sqrt(1 + 1 / n)
    return Interval(mean, mean - reach, mean + reach, n, "normal prediction")


def rank_p(printed: float, values: ArrayLike) -> float:
    """Two-sided rank p of one more value among n: 2·min(r, n+2-r)/(n+1), at most 1.

    r in 1..n+1 is the rank of `printed` among all n+1 values; ties count for both sides.
    """
    x = _finite(values)
    at_most, at_least = int((x <= printed).sum()) + 1, int((x >= printed).sum()) + 1
    return min(1.0, 2 * min(at_most, at_least) / (len(x) + 1))


def _finite(values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(x).all():
        raise ValueError(
            f"expected finite values, found {int((~np.isfinite(x)).sum())} of {len(x)} that are "
            f"not; leave out runs that did not converge first"
        )
    return x


def _bca(x: Floats) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap of the mean (Efron, JASA 1987)."""
    means = x[_resampled(len(x))].mean(axis=1)
    mean = x.mean()
    below = ((means < mean).mean() + (means <= mean).mean()) / 2
    bias = scipy_stats.norm.ppf(below)
    d = x - mean
    acceleration = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z = bias + np.array([-Z, Z])
    shares = scipy_stats.norm.cdf(bias + z / (1 - acceleration * z))
    low, high = np.quantile(means, shares)
    return float(low), float(high)


@lru_cache(maxsize=2)
def _resampled(n: int) -> NDArray[np.int32]:
    drawn = np.random.default_rng(0).integers(n, size=(RESAMPLES, n), dtype=np.int32)
    drawn.flags.writeable = False
    return drawn


@lru_cache(maxsize=EXACT_PAIRS)
def _all_signs(n: int) -> Floats:
    return np.array(list(product((-1.0, 1.0), repeat=n)))


@lru_cache(maxsize=2)
def _drawn_signs(n: int) -> Floats:
    return np.random.default_rng(0).choice(np.array([-1.0, 1.0]), size=(RESAMPLES, n))


RESAMPLES_OF_RUNS = 2_000


def interquartile_mean(values: Floats) -> Interval:
    """Mean of the middle half of all R·C runs, with a stratified bootstrap interval.

    Runs are drawn again within each cell, so that every cell keeps its weight; the ends are
    percentiles over 2,000 seeded draws, widened to contain the estimate. `n` counts runs. Source:
    Agarwal et al., NeurIPS 2021 (rliable).
    """
    runs, cells = values.shape
    estimate = float(scipy_stats.trim_mean(values, 0.25, axis=None))
    if runs < 2:
        return Interval(estimate, nan, nan, runs * cells, "none (one run a cell)")
    drawn = np.random.default_rng(0).integers(runs, size=(RESAMPLES_OF_RUNS, runs, cells))
    again = np.take_along_axis(values[None], drawn, axis=1).reshape(RESAMPLES_OF_RUNS, -1)
    means = scipy_stats.trim_mean(again, 0.25, axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(
        estimate,
        min(float(low), estimate),
        max(float(high), estimate),
        runs * cells,
        "stratified bootstrap",
    )


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
