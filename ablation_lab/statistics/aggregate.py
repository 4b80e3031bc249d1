"""One number over many cells: the interquartile mean, which no single cell can pull away.

In: runs of several cells, shape (R, C). Out: an Interval.
"""

from __future__ import annotations

from math import nan

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.stats import LEVEL, Floats, Interval

RESAMPLES = 2_000


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
    drawn = np.random.default_rng(0).integers(runs, size=(RESAMPLES, runs, cells))
    again = np.take_along_axis(values[None], drawn, axis=1).reshape(RESAMPLES, -1)
    means = scipy_stats.trim_mean(again, 0.25, axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(
        estimate,
        min(float(low), estimate),
        max(float(high), estimate),
        runs * cells,
        "stratified bootstrap",
    )
