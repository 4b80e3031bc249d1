"""Differences tested together, against brute force, other people's code, and simulation."""

from __future__ import annotations

from itertools import pairwise, product
from math import isnan

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from ablation_lab.statistics.joint import equivalence_p
from ablation_lab.statistics.joint import joint_test as jointly
from ablation_lab.statistics.planning import Procedure, smallest_difference
from tests.statistics.simulations import KINDS, false_positives, power


def brute_force(d: np.ndarray) -> list[float]:
    """Westfall and Young's step-down, from its definition: one pattern and column at a time."""
    norms = np.sqrt((d**2).sum(axis=0))
    seen = [abs(column.sum()) / norm for column, norm in zip(d.T, norms, strict=True)]
    order = sorted(range(len(seen)), key=lambda k: -seen[k])
    adjusted = [0.0] * len(seen)
    for step, k in enumerate(order):
        left = order[step:]
        patterns = list(product((-1, 1), repeat=len(d)))
        larger = [
            max(abs(np.dot(signs, d[:, j])) / norms[j] for j in left) >= seen[k] - 1e-9
            for signs in patterns
        ]
        adjusted[k] = float(np.mean(larger))
    for before, k in pairwise(order):
        adjusted[k] = max(adjusted[k], adjusted[before])
    return adjusted


def test_the_exact_procedure_is_the_one_that_is_written_down() -> None:
    d = np.random.default_rng(0).normal(size=(11, 4)) + np.array([0.0, 0.4, 0.9, 2.0])
    assert jointly(d).p == pytest.approx(brute_force(d))


@pytest.mark.parametrize("n", [6, 9, 13])
def test_one_column_is_the_permutation_test_of_scipy(n: int) -> None:
    d = np.random.default_rng(n).normal(0.5, 1, n)
    theirs = scipy_stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert jointly(d[:, None]).p[0] == pytest.approx(theirs.pvalue)


def test_drawn_patterns_are_near_the_t_test() -> None:
    d = np.random.default_rng(2).normal(0.4, 1, size=(40, 1))
    assert jointly(d).p[0] == pytest.approx(scipy_stats.ttest_1samp(d[:, 0], 0).pvalue, abs=0.01)


@pytest.mark.parametrize(("gained", "lost"), [(9, 2), (5, 0), (7, 6)])
def test_successes_are_tested_by_mcnemar_as_statsmodels_does(gained: int, lost: int) -> None:
    d = np.array([1.0] * gained + [-1.0] * lost + [0.0] * (13 - gained - lost))
    theirs = mcnemar([[0, gained], [lost, 0]], exact=True).pvalue
    assert jointly(d[:, None]).p[0] == pytest.approx(theirs)


@pytest.mark.parametrize("n", [6, 8, 13])
@pytest.mark.parametrize("columns", [1, 4, 80])
def test_the_smallest_p_does_not_depend_on_the_size_of_the_table(n: int, columns: int) -> None:
    d = np.random.default_rng(n).normal(size=(n, columns))
    d[:, 0] = 1000 + d[:, 0]
    made = jointly(d)
    assert made.procedure is Procedure.SIGN_FLIPS
    assert made.p[0] == made.p.min() == 2.0 ** (1 - n)
    assert made.low[0] > 0


def test_the_order_of_columns_and_rows_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    d = rng.normal(0.6, 1, size=(9, 6))
    columns, rows = rng.permutation(6), rng.permutation(9)
    assert jointly(d[:, columns]).p == pytest.approx(jointly(d).p[columns])
    assert jointly(d[rows]).p == pytest.approx(jointly(d).p)
    assert jointly(-d).p == pytest.approx(jointly(d).p)


def test_pairs_that_are_missing_count_as_far_as_they_exist() -> None:
    d = np.random.default_rng(4).normal(3, 0.1, size=(10, 3))
    d[6:, 1] = np.nan
    d[:, 2] = np.nan
    made = jointly(d)
    assert made.n == (10, 6, 0)
    assert made.p[:2] == pytest.approx([2.0**-9, 2.0**-5], rel=0.5)
    assert isnan(made.p[2])
    assert isnan(made.low[2])


def test_runs_that_count_at_an_infinite_worst_decide_by_their_number() -> None:
    d = np.random.default_rng(5).normal(size=(10, 2))
    d[:8, 0] = np.inf
    # Eight of ten pairs lost on one side and none on the other: the sign test of eight.
    assert jointly(d[:, :1]).p[0] == scipy_stats.binomtest(8, 8).pvalue
    assert np.isfinite(jointly(d).p).all()


def test_equal_differences_and_none() -> None:
    made = jointly(np.zeros((8, 3)))
    assert made.p.tolist() == [1.0] * 3
    assert (made.low.tolist(), made.high.tolist()) == ([0.0] * 3, [0.0] * 3)
    assert len(jointly(np.zeros((8, 0))).p) == 0
    assert jointly(np.zeros((1, 2))).procedure is Procedure.NONE


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_replicates_with_equal_spread_are_tested_as_statsmodels_corrects(n: int) -> None:
    rng = np.random.default_rng(n)
    d = np.tile(rng.normal(size=(n, 1)), 4) + np.array([0.0, 1.0, 5.0, 30.0])
    made = jointly(d)
    raw = [scipy_stats.ttest_1samp(column, 0).pvalue for column in d.T]
    assert made.p == pytest.approx(multipletests(raw, method="holm")[1])
    assert "assumes normal spread" in made.procedure


@pytest.mark.parametrize("n", [4, 6, 10, 20])
@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_intervals_hold_all_differences_together(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    shift = np.array([0, 0, 0.01, 0.01, 0.05])
    inside = []
    for _ in range(300):
        x = KINDS[kind](rng, (n, 6))
        made = jointly(x[:, 1:] + shift - x[:, :1])
        inside.append(bool(((made.low <= shift) & (shift <= made.high)).all()))
    # 95 % less three standard errors of 300 tables.
    assert np.mean(inside) >= 0.95 - 3 * (0.95 * 0.05 / 300) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "comparisons"), [(3, 10), (6, 30), (10, 30), (20, 5)])
def test_tables_without_any_effect_rarely_claim_one(kind: str, n: int, comparisons: int) -> None:
    studies = 200
    allowed = 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5
    assert false_positives(kind, n, comparisons, studies=studies) <= allowed


@pytest.mark.parametrize("comparisons", [1, 5, 30])
@pytest.mark.parametrize("n", [4, 6, 8, 13])
def test_the_plan_says_what_these_tests_find(n: int, comparisons: int) -> None:
    assert smallest_difference(comparisons, n) > 0
    assert 0.62 <= power(n, comparisons, studies=100) <= 0.97


def test_a_band_that_is_wide_holds_every_column_and_a_narrow_one_none() -> None:
    d = np.random.default_rng(6).normal(0, 0.1, size=(9, 20))
    assert (equivalence_p(d, 5.0) <= 0.05).all()
    assert (equivalence_p(d, 0.001) > 0.05).all()


def test_at_the_edge_of_the_band_a_table_rarely_says_equivalent() -> None:
    rng = np.random.default_rng(7)
    wrong = [(equivalence_p(rng.normal(1, 1, (10, 8)), 1.0) <= 0.05).any() for _ in range(400)]
    assert np.mean(wrong) <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
