"""Where a printed value lies among few runs, and when nobody can say."""

from __future__ import annotations

import numpy as np
import pytest

from ablation_lab.statistics.reference_values import Place, Placed, place, runs_for_rank

DRAW = np.random.default_rng(0)
NORMAL = DRAW.normal(0.9, 0.01, 10)
COSTS = np.exp(DRAW.normal(-4, 1.5, 30))
# Runs that train and runs that collapse: no interval around their mean means anything.
TWO_HEAPS = np.array([0.11, 0.11, 0.12, 0.11, 0.94, 0.94, 0.945, 0.948, 0.94, 0.94])


def placed(printed: float, ours: np.ndarray, *, share: bool = False, half: float = 0.0) -> Placed:
    return place(printed, half, ours, level=0.05, is_share=share)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [(0.9, Place.INSIDE), (0.85, Place.OUTSIDE), (NORMAL.max() + 0.001, Place.INSIDE)],
)
def test_normal_runs_are_held_against_the_interval_of_one_more(
    printed: float, expected: Place
) -> None:
    assert placed(printed, NORMAL, share=True).place is expected


def test_beyond_two_heaps_nobody_can_say_and_between_them_all_is_possible() -> None:
    assert placed(0.96, TWO_HEAPS, share=True).place is Place.UNCLEAR
    assert placed(0.5, TWO_HEAPS, share=True).place is Place.INSIDE
    assert placed(0.9481, TWO_HEAPS, share=True, half=0.0005).place is Place.INSIDE


def test_an_interval_that_holds_every_possible_share_says_nothing() -> None:
    wide = np.array([0.2, 0.4, 0.5, 0.6, 0.8])
    assert placed(0.99, wide, share=True).place is Place.UNCLEAR
    assert placed(0.01, wide, share=True).place is Place.UNCLEAR
    assert placed(0.99, wide).place is Place.INSIDE  # no share: values above 1 could have been


def test_costs_over_magnitudes_are_compared_as_logarithms() -> None:
    low = COSTS.min() / 5_000
    found = placed(low, COSTS)
    assert found.place is Place.OUTSIDE
    assert found.band.method == "log-normal prediction"
    assert 0 < found.band.low < found.band.high
    # On the raw scale the interval begins below zero, and every small cost would be inside.
    assert COSTS.mean() - 2 * COSTS.std() < low


def test_many_runs_leave_it_to_the_rank() -> None:
    assert runs_for_rank(0.05) == 39
    assert runs_for_rank(0.05 / 5) == 199
    many = np.concatenate([TWO_HEAPS] * 4)
    assert placed(0.96, many, share=True).place is Place.OUTSIDE
    assert placed(0.96, many[:38], share=True).place is Place.UNCLEAR


def test_equal_runs_are_a_spread_of_nothing() -> None:
    same = np.full(5, 0.9699)
    assert placed(0.97, same, half=0.005).place is Place.INSIDE
    assert placed(0.98, same, half=0.005).place is Place.OUTSIDE
