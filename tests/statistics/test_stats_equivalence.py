"""As good as: two one-sided tests against statsmodels, known answers, and simulation."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import tost_proportions_2indep
from statsmodels.stats.weightstats import ttost_paired

from ablation_lab.statistics.joint import equivalence_p
from ablation_lab.statistics.unpaired import share_equivalence


def paired_equivalence(differences: object, band: float) -> float:
    return float(equivalence_p(np.reshape(differences, (-1, 1)), band)[0])


@pytest.mark.parametrize(("n", "shift"), [(3, 0.0), (5, 0.4), (4, -0.2), (2, 1.5)])
def test_the_paired_test_of_few_agrees_with_statsmodels(n: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(shift, 1, n), rng.normal(0, 1, n)
    assert paired_equivalence(a - b, 0.8) == pytest.approx(ttost_paired(a, b, -0.8, 0.8)[0])


@pytest.mark.parametrize("counts", [(180, 200, 185, 200), (0, 30, 1, 30), (19, 20, 12, 25)])
def test_the_test_of_shares_agrees_with_statsmodels(counts: tuple[int, int, int, int]) -> None:
    theirs = tost_proportions_2indep(*counts, -0.1, 0.1, method="agresti-caffo").pvalue
    assert share_equivalence(*counts, band=0.1) == pytest.approx(theirs)


@pytest.mark.parametrize("n", [10, 40])
def test_the_sign_flips_of_many_are_near_the_t_tests(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.2, 1, n), rng.normal(0, 1, n)
    theirs = ttost_paired(a, b, -1.2, 1.2)[0]
    assert paired_equivalence(a - b, 1.2) == pytest.approx(theirs, abs=0.02)


def test_equivalence_at_five_percent_is_the_ninety_percent_interval_inside_the_band() -> None:
    d = np.random.default_rng(7).normal(0.1, 1, 5)
    low, high = scipy_stats.t.interval(0.90, len(d) - 1, d.mean(), scipy_stats.sem(d))
    band = max(-low, high)
    assert paired_equivalence(d, 1.001 * band) < 0.05 < paired_equivalence(d, 0.999 * band)


def test_too_few_runs_and_equal_differences() -> None:
    assert isnan(paired_equivalence([0.1], 1.0))
    assert isnan(share_equivalence(0, 0, 3, 4, band=0.1))
    assert paired_equivalence([0.25] * 4, 0.5) == 0.0
    assert paired_equivalence([0.25] * 4, 0.25) == 1.0
    # Twenty of twenty twice is no certainty: the band must be wide before it says the same.
    assert share_equivalence(20, 20, 20, 20, band=0.05) > 0.05


def test_at_the_edge_of_the_band_it_errs_in_five_of_a_hundred() -> None:
    rng = np.random.default_rng(8)
    wrong = np.mean([paired_equivalence(rng.normal(1, 1, 20), 1.0) <= 0.05 for _ in range(2000)])
    assert wrong == pytest.approx(0.05, abs=0.015)  # three standard errors
    shares = rng.binomial(150, [0.9, 0.8], size=(2000, 2))
    wrong = np.mean(
        [share_equivalence(k, 150, other, 150, band=0.1) <= 0.05 for k, other in shares]
    )
    assert wrong <= 0.065
