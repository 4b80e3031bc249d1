"""Where a printed value lies among few runs, and when nobody can say."""

from __future__ import annotations

import numpy as np
import pytest

from ablation_lab.statistics.reference_values import Verdict, Word, judge_run

DRAW = np.random.default_rng(0)
NORMAL = DRAW.normal(0.9, 0.01, 10)
COSTS = np.exp(DRAW.normal(-4, 1.5, 30))
# Runs that train and runs that collapse: no interval around their mean means anything.
TWO_HEAPS = np.array([0.11, 0.11, 0.12, 0.11, 0.94, 0.94, 0.945, 0.948, 0.94, 0.94])


def judged(printed: float, ours: np.ndarray, *, share: bool = False) -> Verdict:
    return judge_run([printed], ours[:, None], shares=share)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [(0.9, Word.CONSISTENT), (0.85, Word.DIFFERS), (NORMAL.max() + 0.001, Word.CONSISTENT)],
)
def test_normal_runs_are_held_against_the_interval_of_one_more(
    printed: float, expected: Word
) -> None:
    assert judged(printed, NORMAL, share=True).word is expected


@pytest.mark.parametrize("printed", [0.96, 0.5, 0.9481])
def test_of_runs_in_two_heaps_nobody_can_say(printed: float) -> None:
    assert judged(printed, TWO_HEAPS, share=True).text == "not decidable (n ≥ 39)"


def test_an_interval_that_holds_every_possible_share_says_nothing() -> None:
    wide = np.array([0.2, 0.4, 0.5, 0.6, 0.8])
    assert judged(0.99, wide, share=True).word is Word.NOT_DECIDABLE
    assert judged(0.01, wide, share=True).word is Word.NOT_DECIDABLE
    assert judged(0.99, wide).word is Word.CONSISTENT  # no share: values above 1 could have been


def test_costs_over_magnitudes_are_compared_as_logarithms() -> None:
    low = float(COSTS.min() / 5_000)
    assert judged(low, COSTS).word is Word.DIFFERS
    # On the raw scale the interval begins below zero, and every small cost would be consistent.
    assert COSTS.mean() - 2 * COSTS.std() < low


def test_many_runs_leave_it_to_the_rank() -> None:
    many = np.concatenate([TWO_HEAPS] * 4)
    assert judged(0.96, many, share=True).word is Word.DIFFERS
    assert judged(0.96, many[:38], share=True).word is Word.NOT_DECIDABLE


def test_equal_runs_have_no_spread_to_tell_by() -> None:
    assert judged(0.98, np.full(5, 0.9699)).word is Word.NOT_DECIDABLE
