"""A gate accepts wrongly no more often than its level, and many gates no more than 5 %."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ablation_lab.statistics.gate import Answer, fewest, judge, level_of, sign_flip_p
from tests.statistics.simulated_gates import LOOKS, any_false_accept, powers
from tests.statistics.simulations import KINDS

RUNS = np.random.default_rng(7).standard_normal(100)


def test_the_levels_of_any_number_of_proposals_sum_to_five_percent() -> None:
    levels = [level_of(number) for number in range(1, 200_001)]
    assert levels == sorted(levels, reverse=True)
    assert 0.045 < sum(levels) < 0.05  # the rest is that of all proposals after these
    assert level_of(7, inherited=0.01) == level_of(7) + 0.01


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_p_is_the_share_of_all_sign_patterns(n: int) -> None:
    d = RUNS[:n].round(1)  # with ties
    patterns = np.array(list(product((1, -1), repeat=n)))
    assert sign_flip_p(d) == np.mean(patterns @ d >= d.sum() - 1e-9)


def test_p_of_many_replicates_is_that_of_pairs_of_neighbours() -> None:
    assert sign_flip_p(RUNS[:64]) == sign_flip_p(RUNS[:64].reshape(-1, 2).sum(axis=1))
    assert sign_flip_p(np.ones(1000)) == 2.0**-32


@pytest.mark.parametrize("level", [0.02, 0.1, 0.3])
def test_looks_of_all_sign_patterns_accept_no_more_than_the_level(level: float) -> None:
    d, looks = RUNS[:10] + 0.3, (5, 7, 10)
    found = [
        judge(np.array(signs) * d, looks=looks, level=level).answer
        for signs in product((1.0, -1.0), repeat=10)
    ]
    share = np.mean([answer is Answer.ACCEPT for answer in found])
    assert share <= level
    assert (share > 0) == (fewest(level, looks) <= looks[-1])


def test_what_is_not_looked_at_yet_asks_for_the_replicates_until_the_next_look() -> None:
    d = np.tile([1.4, 0.1, 1.6, 0.1], 8)
    found = [judge(d[:n], looks=LOOKS, level=1e-4) for n in range(13)]
    assert [each.more for each in found] == [*range(8, 0, -1), *range(4, 0, -1), 4]
    assert {each.answer for each in found} == {Answer.MORE}
    assert found[8].p == found[11].p < found[7].p == 1
    assert 8 < found[8].likely < 32


def test_a_look_that_decides_stands_whatever_comes_after() -> None:
    d = np.concatenate([np.linspace(1, 2, 8), np.full(24, -50.0)])
    assert judge(d, looks=LOOKS, level=0.02) == judge(d[:8], looks=LOOKS, level=0.02)
    assert judge(-d, looks=LOOKS, level=0.02).answer is Answer.REJECT


def test_a_candidate_that_is_never_finite_is_rejected_and_one_beside_such_accepted() -> None:
    lost = np.full(32, -np.inf)
    assert judge(lost, looks=LOOKS, level=0.02).answer is Answer.REJECT
    assert judge(-lost, looks=LOOKS, level=0.02).answer is Answer.ACCEPT


@pytest.mark.parametrize("kind", ["normal", "collapsing 10 %"])
def test_two_hundred_proposals_without_effect_are_rarely_accepted(kind: str) -> None:
    found = any_false_accept(KINDS[kind], loops=30)
    assert found.share <= 0.1  # as a rule one or none of 30
    assert found.replicates < 20


def test_a_loop_finds_what_is_better() -> None:
    found = powers(1, effect=2.0, studies=40)
    assert found.share > 0.95
    assert found.replicates < 14
