"""The errors of seeds and of test items, apart and together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.items import binomial_error, item_errors, items_behind
from tests.statistics.simulated_items import both_cover, hits_of


def test_errors_are_those_of_the_analysis_of_variance() -> None:
    hits = hits_of(np.random.default_rng(0), 4, 30)
    runs, items = np.indices(hits.shape)
    table = pd.DataFrame({"x": hits.ravel(), "run": runs.ravel(), "item": items.ravel()})
    fit = anova_lm(ols("x ~ C(run) + C(item)", data=table).fit())
    square = fit["sum_sq"] / fit["df"]
    made = item_errors(hits)
    assert (made.runs, made.items) == hits.shape
    assert made.own**2 == pytest.approx(square["C(item)"] / 120)
    assert made.added**2 == pytest.approx((square["C(item)"] - square["Residual"]) / 120)


def test_the_variance_is_that_of_a_bootstrap_over_runs_and_items() -> None:
    """Drawn often, with the corrections of small samples that a bootstrap lacks."""
    rng = np.random.default_rng(1)
    hits = hits_of(rng, 30, 200)
    means = []
    for _ in range(4_000):
        rows, columns = rng.integers(30, size=30), rng.integers(200, size=200)
        means.append(hits[np.ix_(rows, columns)].mean())
    made = item_errors(hits)
    ours = hits.mean(axis=1).var(ddof=1) / 30 + made.added**2
    # The pigeonhole bootstrap counts the rest three times (Owen, 2007), once more than both.
    rest = made.own**2 - made.added**2
    # Two standard errors of a variance from 4,000 draws are 4.5 %.
    assert np.var(means) == pytest.approx(ours + 2 * rest, rel=0.1)


def test_equal_runs_leave_the_binomial_error_and_one_run_is_taken_at_its_word() -> None:
    run = np.arange(1_000) < 900
    bound = binomial_error(0.9, 1_000)
    for hits in (run[None], np.tile(run, (5, 1))):
        made = item_errors(hits)
        assert made.own == pytest.approx(bound, rel=1e-3)  # M - 1 in place of M
        assert made.added == pytest.approx(made.own)


def test_distances_add_up_in_squares_and_stay_in_range() -> None:
    made = item_errors(np.arange(1_000)[None] < 900)
    seeds = Interval(0.9, 0.88, 0.93, 5, "t")
    both = made.both(seeds, z=2.0)
    assert 0.9 - both.low == pytest.approx(np.hypot(0.02, 2 * made.added))
    assert both.high - 0.9 == pytest.approx(np.hypot(0.03, 2 * made.added))
    assert made.both(seeds, z=200, bounds=(0.0, 1.0)).high == 1.0


def test_items_are_told_from_accuracies() -> None:
    right = np.random.default_rng(0).integers(300, 360, size=12)
    assert items_behind(right / 360) == 360
    assert items_behind((np.arange(10_000) < 9_721).mean(keepdims=True)) == 10_000
    assert items_behind([0.97, 1.0]) == 100  # a divisor: the error is rather too large
    assert items_behind([float(np.float32(0.9712))]) is None
    assert items_behind([1.0, 0.0]) is None
    assert items_behind([]) is None


def test_other_items_are_covered_only_with_their_error() -> None:
    seeds, both = both_cover(6, 360, draws=400)
    assert seeds < 0.85
    # 95 %, less three standard errors of 400 draws.
    assert both >= 0.92
