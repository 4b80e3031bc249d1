"""Cells without pairs: other people's code gives the same, and the families hold together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablation_lab.statistics import unpaired
from ablation_lab.statistics.intervals import holm
from ablation_lab.statistics.outcomes import Outcomes
from ablation_lab.statistics.planning import Procedure

DRAWS = np.random.default_rng(5)


def cell(n: int, mean: float = 0.0, spread: float = 1.0) -> np.ndarray:
    return DRAWS.normal(mean, spread, n)


def test_p_and_interval_are_those_of_welch() -> None:
    first, second = cell(9, 1.0), cell(14, 0.0, 3.0)
    made = unpaired.welch([(first, second)])
    theirs = stats.ttest_ind(first, second, equal_var=False)
    bounds = theirs.confidence_interval(0.95)
    assert made.procedure is Procedure.WELCH
    assert made.n == (9,)
    assert made.p[0] == pytest.approx(theirs.pvalue, rel=1e-12)
    assert [made.low[0], made.high[0]] == pytest.approx([bounds.low, bounds.high], rel=1e-12)


def test_a_family_is_corrected_and_its_intervals_are_wider() -> None:
    pairs = [(cell(8, mean), cell(10)) for mean in (0.0, 1.0, 2.0)]
    made = unpaired.welch(pairs)
    alone = [unpaired.welch([pair]) for pair in pairs]
    assert made.p.tolist() == pytest.approx(holm([float(each.p[0]) for each in alone]))
    assert all(
        made.low[k] < each.low[0] and made.high[k] > each.high[0] for k, each in enumerate(alone)
    )


def test_few_runs_that_agree_by_chance_decide_nothing_alone() -> None:
    lucky = (np.array([1.0, 1.0001]), np.array([0.0, 0.0001]))
    assert unpaired.welch([lucky]).p[0] < 0.001
    assert unpaired.welch([lucky, (cell(4), cell(4))]).p[0] > 0.05


def test_an_infinite_worst_is_judged_by_ranks() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([np.inf] * 4 + [6.0])
    made = unpaired.welch([(first, second)])
    assert made.p[0] == pytest.approx(stats.mannwhitneyu(first, second).pvalue)
    assert np.isnan(made.low[0])
    both = np.array([np.inf] * 3)
    assert unpaired.welch([(both, both)]).p[0] == 1.0
    assert unpaired.mean_differences([(both, both)]).tolist() == [0.0]


def test_a_cell_of_one_run_has_no_test() -> None:
    made = unpaired.welch([(cell(1), cell(5)), (cell(0), cell(5))])
    assert np.isnan(made.p).all()
    assert made.n == (1, 0)


def test_successes_are_compared_by_fisher() -> None:
    first, second = np.array([1.0] * 9 + [0.0]), np.array([1.0] * 2 + [0.0] * 6)
    theirs = stats.fisher_exact([[9, 1], [2, 6]]).pvalue
    assert unpaired.successes_apart([(first, second)])[0] == pytest.approx(theirs)


def outcomes(values: np.ndarray) -> Outcomes:
    n, by_replicate = len(values), dict(enumerate(values))
    return Outcomes("a cell", by_replicate, (), frozenset(range(n)), n, n, 0, 0, 0, 0, "")


def test_equivalence_needs_both_sides() -> None:
    first, second = cell(40, 0.0, 0.1), cell(50, 0.0, 0.1)
    pairs = [(outcomes(first), outcomes(second))]
    assert unpaired.equivalence_apart(pairs, 0.2)[0] < 0.001
    assert unpaired.equivalence_apart(pairs, 0.001)[0] > 0.05
    theirs = [
        stats.ttest_ind(first + 0.05, second, equal_var=False, alternative="greater").pvalue,
        stats.ttest_ind(first - 0.05, second, equal_var=False, alternative="less").pvalue,
    ]
    assert unpaired.equivalence_apart(pairs, 0.05)[0] == pytest.approx(max(theirs))


def test_nothing_is_found_where_there_is_nothing_more_often_than_promised() -> None:
    draws = np.random.default_rng(11)
    false = sum(
        unpaired.welch(
            [(draws.normal(0, 1, 6), base) for base in [draws.normal(0, 2, 11)] for _ in range(5)]
        ).p.min()
        <= 0.05
        for _ in range(400)
    )
    # 400 tables at 5 %: 20 expected, and 34 is three standard errors above.
    assert false <= 34
