"""The interquartile mean: against scipy, and its interval by simulation."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from scipy import stats as scipy_stats

from ablation_lab.statistics.intervals import interquartile_mean, jackknife


def test_the_interquartile_mean_is_the_mean_of_the_middle_half() -> None:
    assert interquartile_mean(np.arange(8.0).reshape(4, 2)).estimate == pytest.approx(3.5)
    values = np.random.default_rng(0).exponential(size=(6, 5))
    found = interquartile_mean(values)
    assert found.estimate == pytest.approx(scipy_stats.trim_mean(values.ravel(), 0.25))
    assert (found.n, found.method) == (30, "stratified bootstrap")
    assert found.low <= found.estimate <= found.high


def test_one_cell_is_an_ordinary_percentile_bootstrap() -> None:
    values = np.random.default_rng(1).normal(size=(40, 1))
    theirs = scipy_stats.bootstrap(
        (values[:, 0],), lambda x, axis: scipy_stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=2_000, method="percentile", rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    ours = interquartile_mean(values)
    # Two bootstraps with other draws: an end wobbles by about 3 % of the length at 2,000.
    slack = 0.12 * (theirs.high - theirs.low)
    assert ours.low == pytest.approx(theirs.low, abs=slack)
    assert ours.high == pytest.approx(theirs.high, abs=slack)


def test_no_cell_pulls_it_away_and_cells_keep_their_weight() -> None:
    values = np.random.default_rng(3).normal(0.9, 0.01, size=(10, 8))
    values[:, 0] = 0.1
    found = interquartile_mean(values)
    assert found.low > 0.88
    assert found.high - found.low < 0.02


def test_one_run_a_cell_has_no_interval() -> None:
    assert isnan(interquartile_mean(np.ones((1, 4))).low)


@pytest.mark.slow
def test_the_interval_covers() -> None:
    rng = np.random.default_rng(4)
    middles = np.array([0.0, 0.5, 1.0, 4.0])
    limit = interquartile_mean(middles + rng.normal(size=(2_000, 4))).estimate
    found = [interquartile_mean(middles + rng.normal(size=(15, 4))) for _ in range(400)]
    covered = np.mean([each.low <= limit <= each.high for each in found])
    # 95 % less three standard errors and the point or two that a percentile bootstrap runs short.
    assert covered >= 0.90


def test_the_jackknife_of_a_mean_is_the_t_interval() -> None:
    x = np.random.default_rng(5).uniform(0.4, 0.6, size=9)
    low, high = scipy_stats.t.interval(0.95, 8, x.mean(), scipy_stats.sem(x))
    found = jackknife(float(x.mean()), [float(np.delete(x, i).mean()) for i in range(9)])
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert jackknife(0.99, [0.9, 1.0, 0.8]).high == 1.0
    assert isnan(jackknife(0.5, [0.5]).low)
