"""A printed run among ours: how often the verdict errs, what it can notice, and a whole family."""

from __future__ import annotations

import numpy as np
import pytest

from ablation_lab.statistics.calibration import Family
from ablation_lab.statistics.intervals import Floats
from ablation_lab.statistics.reference_values import (
    RANKED,
    Word,
    judge_run,
    prediction_power,
    rank_p,
)


def runs(n: int, numbers: int, *, seed: int, skewed: bool = False) -> Floats:
    """Runs whose numbers hang together, as the points of a curve do."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(n, 1)) + 0.3 * rng.normal(size=(n, numbers))
    return np.exp(drawn) if skewed else drawn


def test_the_rank_p_is_symmetric_and_never_below_its_least() -> None:
    ours = np.arange(1.0, 10)[:, None]

    def p(value: float) -> float:
        return float(rank_p(np.array([[value]]), ours)[0])

    assert p(0) == p(10) == pytest.approx(2 / 10)
    assert p(5) == 1.0
    assert p(2.5) == p(7.5)


@pytest.mark.parametrize("numbers", [1, 16])
@pytest.mark.parametrize(("n", "skewed"), [(10, False), (40, False), (40, True), (100, True)])
def test_one_more_run_of_ours_rarely_differs(n: int, numbers: int, *, skewed: bool) -> None:
    differ = 0
    for seed in range(300):
        drawn = runs(n + 1, numbers, seed=seed, skewed=skewed)
        differ += judge_run(drawn[0], drawn[1:], shares=False).word is Word.DIFFERS
    assert differ <= 27  # 99.9 % of binomial(300, 0.05) lies at or below


@pytest.mark.parametrize("n", [5, 10, 40, 200])
def test_the_power_that_is_said_is_there(n: int) -> None:
    said, noticed = [], 0
    for seed in range(400):
        drawn = np.random.default_rng([n, seed]).normal(size=(n + 1, 1))
        verdict = judge_run(drawn[0] + 2, drawn[1:], shares=False)
        noticed += verdict.word is Word.DIFFERS
        said.append(verdict.power)
    # A standard error of 0.025; from ranks the side that is noticed less often is said.
    least = float(np.nanmean(said)) - 0.08
    assert least <= noticed / 400 <= least + (0.16 if n < RANKED else 0.26)


def test_the_power_is_that_of_the_side_where_less_is_noticed() -> None:
    """A long tail hides a shift along it."""
    tailed = np.random.default_rng(0).gamma(2, size=(200, 1))
    assert judge_run([2.0], tailed, shares=False).power < 0.4
    assert judge_run([-2.0], -tailed, shares=False).power < 0.4


def test_power_grows_with_runs_and_with_what_there_is_to_notice() -> None:
    by_n = [prediction_power(n) for n in (3, 5, 10, 20, 38)]
    assert by_n == sorted(by_n)
    assert prediction_power(10, shift=0) == pytest.approx(0.05)
    assert prediction_power(10, shift=6) > 0.99


def test_a_number_far_beyond_is_noticed_among_many_at_the_first_rank_that_decides() -> None:
    drawn = runs(39, 16, seed=1)
    printed = drawn.mean(0)
    assert judge_run(printed, drawn, shares=False).word is Word.CONSISTENT
    printed[7] += 50
    verdict = judge_run(printed, drawn, shares=False)
    assert verdict.word is Word.DIFFERS
    assert verdict.p == pytest.approx(1 / 40)


def test_what_cannot_be_noticed_is_no_consistent_value() -> None:
    """Half of our runs collapse: with ten of them nothing could lie outside."""
    collapsed = np.array(
        [[0.1], [0.11], [0.1], [0.12], [0.1], [0.95], [0.94], [0.95], [0.96], [0.9]]
    )
    verdict = judge_run([0.5], collapsed, shares=True)
    assert verdict.text == "not decidable (n ≥ 39)"
    assert judge_run([0.95], collapsed, shares=True).text == "not decidable (n ≥ 39)"


def test_few_runs_that_come_near_are_counted() -> None:
    """Inside of ours by rank, and yet none of our runs is anywhere near."""
    two = np.concatenate([np.full(30, 0.1), np.full(30, 0.9)])[:, None]
    between = judge_run([0.5], two + np.linspace(0, 0.01, 60)[:, None], shares=True)
    assert between.word is Word.CONSISTENT
    assert "0 of our 60 runs come within 0.5 standard deviations of it" in between.why
    assert "come within" not in judge_run([0.1], two, shares=True).why


def test_a_run_that_is_not_finite_is_as_far_out_as_can_be() -> None:
    ours = np.append(np.arange(60.0), [np.inf, np.inf])[:, None]
    assert judge_run([1e9], ours, shares=False).word is Word.CONSISTENT  # 3 of 63 are so far out
    assert judge_run([1e9], ours[:-2], shares=False).word is Word.DIFFERS
    both = np.hstack([ours, ours])
    assert judge_run([30.0, 30.0], both, shares=False).word is Word.CONSISTENT


def test_a_family_counts_its_misses_and_pools_its_p() -> None:
    family = Family.of([0.5, float("nan"), 0.01, 0.9, 0.04])
    assert family.p == (0.01, 0.04, 0.5, 0.9)
    assert family.expected == pytest.approx(0.2)
    assert family.misses == 2
    assert family.p_of_misses == pytest.approx(1 - 0.95**4 - 4 * 0.05 * 0.95**3)
    assert "Of 4 printed runs" in family.sentence
    assert Family.of([float("nan")]).sentence == ""


def test_a_family_of_our_own_runs_agrees_and_one_of_others_does_not() -> None:
    ours, others = [], []
    for seed in range(60):
        drawn = runs(40, 1, seed=seed)
        ours.append(judge_run(drawn[0], drawn[1:], shares=False).p)
        others.append(judge_run(drawn[0] + 2, drawn[1:], shares=False).p)
    assert Family.of(ours).pooled > 0.05
    assert "agrees" in Family.of(ours).sentence
    assert Family.of(others).pooled < 0.01
    assert "does not agree" in Family.of(others).sentence
