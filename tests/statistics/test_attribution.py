"""Leave-one-out, add-one-in and Shapley values against all orders of change, and shapiq."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations
from math import isnan
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from ablation_lab.statistics.attribution import Credit, Kind, change_shares, credits_of
from ablation_lab.statistics.comparisons import compared
from ablation_lab.statistics.effects import contrasts
from ablation_lab.statistics.factorial import Factorial, factorial
from ablation_lab.statistics.intervals import Floats
from ablation_lab.statistics.outcomes import outcomes
from ablation_lab.study.declaration import Declaration
from tests.report.grids import AB, declared, drawn, frame
from tests.statistics.simulations import shares_hold

Game = dict[frozenset[str], float]
CREDITS = (Kind.ALONE, Kind.SHAPLEY, Kind.LEFT_OUT)


def two_levels(k: int) -> dict[str, list[str]]:
    return {name: ["off", "on"] for name in "abcdefg"[:k]}


def cell_of(changed: frozenset[str], k: int, *, base: str = "off") -> str:
    """Of a baseline that has every factor at `base`."""
    other = {"off": "on", "on": "off"}[base]
    return ",".join(f"{name}={other if name in changed else base}" for name in two_levels(k))


def study_of(k: int, replicates: int, *, base: str = "off", **changes: Any) -> Declaration:
    baseline = cell_of(frozenset(), k, base=base)
    return declared(two_levels(k), replicates, baseline=baseline, **changes)


def credited(study: Declaration, values: dict[str, Any]) -> tuple[Factorial, dict[str, Credit]]:
    found = outcomes(frame(study, values), study)
    data = factorial(found, study)
    assert data is not None
    made = credits_of(data, contrasts(data), compared(found, study).attributions)
    return data, {each.alone.change.factor: each for each in made}


def noise(k: int, replicates: int, *, seed: int) -> dict[str, Floats]:
    """Cells without any structure: every interaction is there."""
    rng = np.random.default_rng(seed)
    return {cell: rng.normal(size=replicates) for cell in drawn(two_levels(k), 1, seed=0)}


def game(values: dict[str, Floats], k: int, *, base: str = "off") -> Game:
    """The mean of the cell of every set of changes."""
    sets = [frozenset(s) for size in range(k + 1) for s in combinations(two_levels(k), size)]
    return {each: float(values[cell_of(each, k, base=base)].mean()) for each in sets}


def over_all_orders(v: Game, k: int) -> dict[str, float]:
    """What each change adds to those before it, averaged over all orders: the definition."""
    orders = list(permutations(two_levels(k)))
    added = dict.fromkeys(two_levels(k), 0.0)
    for order in orders:
        for place, name in enumerate(order):
            added[name] += v[frozenset(order[: place + 1])] - v[frozenset(order[:place])]
    return {name: total / len(orders) for name, total in added.items()}


@pytest.mark.parametrize(("k", "base"), [(2, "off"), (3, "on"), (4, "off"), (6, "on")])
def test_credits_are_those_of_all_orders_of_change(k: int, base: str) -> None:
    values, study = noise(k, 4, seed=k), study_of(k, 4, base=base)
    _, made = credited(study, values)
    v, every = game(values, k, base=base), frozenset(two_levels(k))
    orders = over_all_orders(v, k)
    for name, credit in made.items():
        said = {kind: credit.by(kind)[0].estimate for kind in CREDITS}
        assert said == pytest.approx({
            Kind.ALONE: v[frozenset({name})] - v[frozenset()],
            Kind.LEFT_OUT: v[every] - v[every - {name}],
            Kind.SHAPLEY: orders[name],
        })  # fmt: skip
    whole = v[every] - v[frozenset()]
    assert sum(each.shapley.interval.estimate for each in made.values()) == pytest.approx(whole)
    assert sum(each.share.estimate for each in made.values()) == pytest.approx(1)


@pytest.mark.slow
def test_shapley_values_are_those_of_shapiq() -> None:
    shapiq = pytest.importorskip("shapiq")
    k = 5
    values = noise(k, 3, seed=1)
    _, made = credited(study_of(k, 3), values)
    v, names = game(values, k), list(two_levels(k))

    def worth(coalitions: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
        sets = [frozenset(np.array(names)[row].tolist()) for row in coalitions]
        return np.array([v[each] for each in sets])

    theirs = shapiq.ExactComputer(worth, n_players=k)(index="SV", order=1)
    for i, name in enumerate(names):
        assert made[name].shapley.interval.estimate == pytest.approx(theirs[(i,)])


def test_two_changes_that_work_only_together_share_what_they_give() -> None:
    """Alone each is worth nothing, without it all is lost, and half of it is due to each."""
    values = {cell: np.zeros(6) for cell in noise(2, 1, seed=0)}
    values["a=on,b=on"] = np.ones(6)
    _, made = credited(study_of(2, 6), values)
    for credit in made.values():
        worth = [credit.by(kind)[0].estimate for kind in CREDITS]
        assert worth == [0, 0.5, 1]
        assert credit.share.estimate == credit.share.low == credit.share.high == 0.5


def test_equal_differences_say_the_same_in_every_table() -> None:
    """Of two factors the Shapley value is the main effect; added alone, the cell's comparison."""
    study, values = study_of(2, 8), noise(2, 8, seed=3)
    found = outcomes(frame(study, values), study)
    data, made = credited(study, values)
    mains = {each.term: each for each in contrasts(data) if each.kind is Kind.EFFECT}
    against = {each.first.cell: each for each in compared(found, study).to_baseline}
    for name, credit in made.items():
        main, alone = mains[name,], against[cell_of(frozenset({name}), 2)]
        # Sums of equal numbers in another order.
        ours = [credit.shapley.p, credit.shapley.interval.low, credit.shapley.interval.high]
        assert ours == pytest.approx([main.p, main.interval.low, main.interval.high], rel=1e-9)
        assert credit.by(Kind.ALONE) == (alone.difference, alone.p)


def test_studies_without_a_single_change_of_every_factor_have_no_credits() -> None:
    lost = cell_of(frozenset({"a", "b"}), 2)
    part = {cell: runs for cell, runs in noise(2, 6, seed=0).items() if cell != lost}
    cases = [
        (declared(AB, 6, baseline="a=1,b=x"), drawn(AB, 6, seed=0)),  # three levels
        (declared(two_levels(2), 6), noise(2, 6, seed=0)),  # no baseline
        (study_of(2, 6, without=(lost,)), part),  # a combination is missing
    ]
    for study, values in cases:
        assert credited(study, values)[1] == {}


def test_the_interval_of_a_share_has_the_shares_that_a_t_test_does_not_reject() -> None:
    data, made = credited(study_of(3, 6), drawn(two_levels(3), 6, seed=5, noise=0.3))
    weights = {each.term[0]: each for each in contrasts(data) if each.kind is Kind.SHAPLEY}
    parts = {name: per_replicate(data, name) for name in weights}
    whole = np.sum(list(parts.values()), axis=0)
    for name, credit in made.items():
        for bound in (credit.share.low, credit.share.high):
            p = scipy_stats.ttest_1samp(parts[name] - bound * whole, 0).pvalue
            assert p == pytest.approx(0.05 / 3)


def per_replicate(data: Factorial, name: str) -> Floats:
    """The Shapley value in every replicate, by the definition."""
    cells = [cell.cell for cell in data.cells]
    rows = [dict(zip(cells, row[:, None], strict=True)) for row in data.values]
    return np.array([over_all_orders(game(row, len(data.levels)), 3)[name] for row in rows])


def test_a_whole_change_that_may_be_nothing_has_no_shares() -> None:
    data, made = credited(study_of(2, 6), noise(2, 6, seed=2))
    assert all(isnan(each.share.low) and isnan(each.share.high) for each in made.values())
    one = replace(data, values=data.values[:1])
    assert all(isnan(share.low) for share in change_shares(one).values())


def test_the_order_of_replicates_is_no_matter() -> None:
    data, _ = credited(study_of(3, 7), drawn(two_levels(3), 7, seed=4))
    turned = replace(data, values=data.values[::-1])
    for first, second in zip(contrasts(data), contrasts(turned), strict=True):
        assert first.p == second.p
        assert first.interval.low == pytest.approx(second.interval.low)


@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_shares_hold_together(kind: str) -> None:
    given, held = shares_hold(kind, 6, studies=300)
    assert given > 0.5  # a whole change of 1.9 standard deviations of a difference
    # 95 %, less two standard errors of 300 studies.
    assert held >= 0.92
