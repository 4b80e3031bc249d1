"""What replicates can decide, before they run."""

from __future__ import annotations

from math import inf, isinf

import numpy as np
import pytest
from scipy import stats

from ablation_lab.statistics.planning import (
    Procedure,
    outlook,
    procedure_for,
    replicates_needed,
    smallest_difference,
)


@pytest.mark.parametrize("level", [0.05, 0.01, 0.001, 2.0**-4])
def test_the_needed_replicates_are_the_fewest_whose_sign_patterns_reach_the_level(
    level: float,
) -> None:
    needed = replicates_needed(level)
    assert 2.0 ** (1 - needed) <= level < 2.0 ** (2 - needed)


def test_two_to_five_replicates_are_tested_under_an_assumption_and_one_is_not() -> None:
    assert [procedure_for(n) for n in (0, 1)] == [Procedure.NONE] * 2
    assert {procedure_for(n) for n in range(2, 6)} == {Procedure.NORMAL}
    assert {procedure_for(n) for n in (6, 13, 14, 1000)} == {Procedure.SIGN_FLIPS}
    assert "assumes normal spread" in Procedure.NORMAL


def test_more_replicates_show_less_and_more_comparisons_ask_for_more() -> None:
    shown = [smallest_difference(30, n) for n in (2, 3, 4, 5, 8, 12, 20, 200)]
    assert shown == sorted(shown, reverse=True)
    asked = [smallest_difference(m, 8) for m in (1, 2, 10, 80)]
    assert asked == sorted(asked)
    assert smallest_difference(30, 8, spread=0.02) == pytest.approx(
        0.02 * smallest_difference(30, 8)
    )
    assert isinf(smallest_difference(30, 1))
    assert isinf(smallest_difference(0, 8))


def test_one_comparison_of_many_replicates_is_the_textbook_s_paired_t_test() -> None:
    shift = smallest_difference(1, 100) / np.sqrt(2) * np.sqrt(100)
    power = stats.nct.sf(stats.t.isf(0.025, 99), 99, shift)
    assert power == pytest.approx(0.8, abs=0.01)


def test_an_outlook_says_whether_the_replicates_suffice() -> None:
    assert outlook(31, 5).needed == 6
    assert not outlook(31, 5).suffices
    assert outlook(31, 6).suffices
    assert outlook(0, 1).suffices
    assert outlook(31, 1).smallest == inf
    assert outlook(4, 10, spread=0.3).smallest == smallest_difference(4, 10, spread=0.3)
