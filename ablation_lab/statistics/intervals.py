"""Intervals, as pure functions on arrays.

In: values of replicates, or counts. Out: an Interval (an estimate never travels without one). Every
random draw comes from a generator with a fixed seed, so equal values give equal answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

LEVEL = 0.95
LEVEL_OF_TESTS = 0.05
WIDENED = 0.97  # of the t quantile below MANY runs
MANY = 50
GAP = 0.05  # between two kinds of runs
FEW = 10  # fewer runs are drawn one by one
Z = float(scipy_stats.norm.ppf(0.5 + LEVEL / 2))

Floats = NDArray[np.float64]
Bounds = tuple[float, float]
UNBOUNDED: Bounds = (-inf, inf)


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


def mean_interval(values: ArrayLike, *, bounds: Bounds = UNBOUNDED) -> Interval:
    """Mean of R runs with its interval over replicates, inside the bounds of what is measured.

    Student's t; of fewer than 50 runs with the quantile of 97 %, so that skewed accuracies are
    covered with 93 % too. Runs of two kinds (`two_kinds`): the mean of the two kinds' means, each
    weighed by the exact interval of its share. Equal values: no spread. Values that are infinite
    have no mean: the median with order statistics. How often each covers stands in
    docs/statistics.md; none can cover a kind of run that was not seen.

    Raises ValueError for NaN.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(x).all():
        return median_interval(x)
    n = len(x)
    if n == 0:
        return Interval(nan, nan, nan, 0, "none (no run)")
    mean = float(x.mean())
    if n == 1:
        return Interval(mean, nan, nan, 1, "none (one run)")
    if np.ptp(x) == 0:
        return Interval(float(x[0]), float(x[0]), float(x[0]), n, "no spread (all runs equal)")
    kinds = two_kinds(x, bounds)
    if kinds is not None:
        low, high = _of_two_kinds(*kinds)
    else:
        reach = _t_quantile(n, n - 1) * float(x.std(ddof=1)) / sqrt(n)
        low, high = mean - reach, mean + reach
    method = "t" if kinds is None else "two kinds of runs"
    return Interval(
        mean, min(mean, max(low, bounds[0])), max(mean, min(high, bounds[1])), n, method
    )


def two_kinds(values: ArrayLike, bounds: Bounds) -> tuple[Floats, Floats] | None:
    """The lower and the upper runs of a share where they are of two kinds, else None.

    The widest gap between neighbours is wider than five points and than twice the spread on both of
    its sides together. Fixed for every study, and only for values that lie between two bounds.
    """
    x = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if len(x) < 2 or not np.isfinite([*bounds, *x]).all():
        return None
    gaps = np.diff(x)
    widest = int(np.argmax(gaps))
    within = float(x[-1] - x[0] - gaps[widest])
    if gaps[widest] <= max(GAP, 2 * within):
        return None
    return x[: widest + 1], x[widest + 1 :]


def _of_two_kinds(lower: Floats, upper: Floats) -> tuple[float, float]:
    n = len(lower) + len(upper)
    share = scipy_stats.binomtest(len(upper), n).proportion_ci(LEVEL)  # Clopper and Pearson's
    squares = sum(float(((kind - kind.mean()) ** 2).sum()) for kind in (lower, upper))
    degrees = max(n - 2, 1)
    reach = _t_quantile(n, degrees) * sqrt(squares / degrees / n)
    bottom, rise = float(lower.mean()), float(upper.mean() - lower.mean())
    return bottom + share.low * rise - reach, bottom + share.high * rise + reach


def _t_quantile(n: int, degrees: int) -> float:
    level = WIDENED if n < MANY else LEVEL
    return float(scipy_stats.t.ppf(0.5 + level / 2, degrees))


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


def wilson(successes: int, n: int, *, z: float = Z) -> Interval:
    """Share k/n with its Wilson score interval (Wilson, JASA 1927); z = 1.96 holds 95 %.

    Raises ValueError unless 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"wilson: expected 0 <= successes <= n, found {successes} of {n}")
    if n == 0:
        return Interval(nan, nan, nan, 0, "none (no run)")
    share = successes / n
    scale = 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / scale
    reach = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / scale
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


def _finite(values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(x).all():
        raise ValueError(
            f"expected finite values, found {int((~np.isfinite(x)).sum())} of {len(x)} that are "
            f"not; leave out runs that did not converge first"
        )
    return x


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
