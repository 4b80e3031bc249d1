"""Effects, interactions and shares of variance against statsmodels and known answers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from ablation_lab.statistics.effects import (
    HIGHER,
    RESIDUAL,
    SEED,
    contrasts,
    forest,
    importances,
    level_iqms,
    level_means,
    shares,
)
from ablation_lab.statistics.factorial import Factorial, factorial, too_few_in_common
from ablation_lab.statistics.intervals import Interval, mean_interval
from ablation_lab.statistics.outcomes import outcomes
from ablation_lab.study.declaration import Declaration
from tests.report.grids import AB, ABC, declared, drawn, frame


def made(study: Declaration, values: dict[str, Any], **not_converged: Any) -> Factorial:
    found = factorial(outcomes(frame(study, values, **not_converged), study), study)
    assert found is not None
    return found


def table(study: Declaration, values: dict[str, Any]) -> pd.DataFrame:
    """The runs as statsmodels wants them."""
    cells = {cell.cell: cell.factors for cell in study.cells}
    return pd.DataFrame(
        [
            {**cells[cell], "r": str(r), "v": v}
            for cell, each in values.items()
            for r, v in enumerate(each)
        ]
    )


def test_shares_agree_with_statsmodels_in_a_complete_grid() -> None:
    study, values = declared(ABC, 6), drawn(ABC, 6, seed=1)
    ours = {each.term: each for each in shares(made(study, values))}
    fit = ols("v ~ C(r) + C(a)*C(b) + C(a)*C(c) + C(b)*C(c) + C(a):C(b):C(c)",
              data=table(study, values)).fit()  # fmt: skip
    theirs = anova_lm(fit, typ=2)
    total = theirs["sum_sq"].sum()
    names = {
        ("a",): "C(a)", ("b",): "C(b)", ("c",): "C(c)", ("a", "b"): "C(a):C(b)",
        ("a", "c"): "C(a):C(c)", ("b", "c"): "C(b):C(c)", HIGHER: "C(a):C(b):C(c)", SEED: "C(r)",
        RESIDUAL: "Residual",
    }  # fmt: skip
    assert set(ours) == set(names)
    for term, name in names.items():
        assert ours[term].share.estimate == pytest.approx(theirs.loc[name, "sum_sq"] / total)
        assert ours[term].df == theirs.loc[name, "df"]
        if term != RESIDUAL:
            assert ours[term].f == pytest.approx(theirs.loc[name, "F"])
    assert sum(each.share.estimate for each in ours.values()) == pytest.approx(1)


def test_shares_agree_with_statsmodels_where_a_combination_is_missing() -> None:
    values = drawn(ABC, 5, seed=2)
    lost = "a=2,b=z,c=q"
    study = declared(ABC, 5, without=(lost,))
    del values[lost]
    data = made(study, values)
    assert not data.is_complete
    ours = {each.term: each for each in shares(data)}
    runs = table(study, values)
    fit = ols("v ~ C(r) + C(a)*C(b) + C(a)*C(c) + C(b)*C(c)", data=runs).fit()
    theirs = anova_lm(fit, typ=2)["sum_sq"] / ((runs["v"] - runs["v"].mean()) ** 2).sum()
    for term, name in {("a",): "C(a)", ("b",): "C(b)", ("a", "b"): "C(a):C(b)"}.items():
        assert ours[term].share.estimate == pytest.approx(theirs[name])


def test_main_effects_and_interactions_are_those_of_the_means() -> None:
    study, values = declared(ABC, 6, baseline="a=1,b=y,c=p"), drawn(ABC, 6, seed=3)
    data = made(study, values)
    cube = np.array(list(values.values())).reshape(2, 3, 2, 6)
    found = {(each.term, each.levels): each for each in contrasts(data)}
    by_hand = cube[:, 0].mean(axis=(0, 1)) - cube[:, 1].mean(axis=(0, 1))
    assert found[("b",), ("x",)].interval.estimate == pytest.approx(by_hand.mean())
    double = (cube[1, 2] - cube[1, 1] - cube[0, 2] + cube[0, 1]).mean(axis=0)
    assert found[("a", "b"), ("2", "z")].interval.estimate == pytest.approx(double.mean())
    assert all(each.interval.low < each.interval.estimate for each in found.values())
    # One test for each degree of freedom: 1 + 2 + 1 mains, 2 + 1 + 2 interactions.
    assert len(found) == 9
    mean = level_means(data)["c", "q"]
    assert same(mean, mean_interval(cube[:, :, 1].mean(axis=(0, 1))))
    assert level_iqms(data)["c", "q"].n == 6 * 6


def test_a_model_is_factorised_once_however_many_contrasts_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, real, sizes = made(declared(AB, 6), drawn(AB, 6, seed=1)), np.linalg.eigh, []

    def counted(matrix: Any) -> Any:
        sizes.append(len(matrix))
        return real(matrix)

    monkeypatch.setattr(np.linalg, "eigh", counted)
    for _ in range(2):
        contrasts(data), level_means(data), shares(data)
    # One for a alone, for b alone, for both, and for both with their interaction.
    assert sorted(sizes) == [2, 3, 4, 6]


def same(ours: Interval, wanted: Interval) -> bool:
    """Equal up to rounding: sums are taken in another order."""
    numbers = [(i.estimate, i.low, i.high) for i in (ours, wanted)]
    return (ours.n, ours.method) == (wanted.n, wanted.method) and np.allclose(*numbers, rtol=1e-9)


def test_an_additive_truth_has_no_interaction_and_its_effects_are_found() -> None:
    study = declared(AB, 4)
    values = {
        f"a={a},b={b}": [10 * i + 3 * j + r for r in range(4)]
        for i, a in enumerate(AB["a"])
        for j, b in enumerate(AB["b"])
    }
    data = made(study, values)
    found = {(each.term, each.levels): each.interval for each in contrasts(data)}
    assert found[("a",), ("3",)].estimate == pytest.approx(20)
    assert found[("a",), ("3",)].low == pytest.approx(20)
    assert found[("a", "b"), ("2", "y")].estimate == pytest.approx(0, abs=1e-9)
    by_term = {each.term: each.share.estimate for each in shares(data)}
    assert by_term["a", "b"] == pytest.approx(0, abs=1e-12)
    assert by_term[RESIDUAL] == pytest.approx(0, abs=1e-12)


def test_missing_combinations_leave_out_interactions_that_nothing_determines() -> None:
    values = drawn(AB, 3, seed=4, noise=0.0)
    study = declared(AB, 3, without=("a=3,b=y",))
    del values["a=3,b=y"]
    found = {(each.term, each.levels) for each in contrasts(made(study, values))}
    assert (("a", "b"), ("2", "y")) in found
    assert (("a", "b"), ("3", "y")) not in found
    assert (("a",), ("3",)) in found


def test_what_is_no_factorial_is_none() -> None:
    one = declared({"a": ["1", "2"]}, 2)
    assert factorial(outcomes(frame(one, {"a=1": [1, 2], "a=2": [3, 4]}), one), one) is None
    ladder = declared(AB, 2, design="one_at_a_time")
    found = outcomes(frame(ladder, drawn(AB, 2, seed=0)), ladder)
    assert factorial(found, ladder) is None
    study = declared(AB, 2)
    apart = {cell: [] for cell in drawn(AB, 2, seed=0)} | {"a=1,b=x": [1.0, 2.0]}
    assert factorial(outcomes(frame(study, apart), study), study) is None


def test_runs_count_as_they_ended_and_pairs_are_complete() -> None:
    study = declared(AB, 4, chance=0.1)
    values = {cell: [0.9] * 4 for cell in drawn(AB, 1, seed=0)}
    values["a=1,b=x"] = [0.9] * 3
    values["a=2,b=y"] = [0.9, 0.12, 0.9, 0.9]
    data = made(study, values, not_converged={"a=2,b=y": {1}})
    assert data.replicates == (0, 1, 2)
    assert data.values[1].min() == 0.12
    assert "3 of 4 replicates" in data.left_out[-1]


def test_effects_that_would_rest_on_the_runs_that_went_well_are_not_given() -> None:
    """A loss that is not finite has no mean, so a replicate counts where every cell has a value."""
    study, values = declared(AB, 6, metric="train_loss"), drawn(AB, 6, seed=3)
    first, *_, last = (cell.cell for cell in study.cells)
    values[first][:2] = values[last][5] = np.inf
    half = outcomes(frame(study, values), study)
    assert factorial(half, study) is not None
    assert too_few_in_common(half, study) == ""
    values[last][4] = np.inf
    fewer = outcomes(frame(study, values), study)
    assert factorial(fewer, study) is None
    assert "only 2 of 6 replicates" in too_few_in_common(fewer, study)


def test_equal_runs_and_a_single_replicate_have_no_analysis_of_variance() -> None:
    study = declared(AB, 3)
    assert shares(made(study, {cell: [0.5] * 3 for cell in drawn(AB, 1, seed=0)})) == []
    data = made(declared(AB, 1), drawn(AB, 1, seed=0))
    assert shares(data) == []
    assert all(np.isnan(each.interval.low) for each in contrasts(data))


def test_the_forest_agrees_with_optuna() -> None:
    study, values = declared(ABC, 5), drawn(ABC, 5, seed=6)
    data = made(study, values)
    ours = forest(data, data.values.mean(axis=0))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ledger = optuna.create_study(direction="maximize")
    for cell in study.cells:
        ledger.add_trial(
            optuna.trial.create_trial(
                params=dict(cell.factors), value=float(np.mean(values[cell.cell])),
                distributions={
                    name: optuna.distributions.CategoricalDistribution(ABC[name]) for name in ABC
                },
            )
        )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        theirs = optuna.importance.get_param_importances(
            ledger, evaluator=optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=0)
        )
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert sum(each.estimate for each in importances(data).values()) == pytest.approx(1)


@pytest.mark.slow
def test_the_interval_of_a_share_covers() -> None:
    """300 studies whose runs are normal; the share of `a` in the limit of many replicates."""
    factors = {"a": ["1", "2", "3"], "b": ["x", "y"]}
    study = declared(factors, 10)
    limit = shares(made(study, drawn(factors, 2_000, seed=0)))[0].share.estimate
    inside = 0
    for seed in range(300):
        share = shares_of_a(study, drawn(factors, 10, seed=seed + 1))
        inside += share.low <= limit <= share.high
    # 95 % less what a t-interval of a curved quantity from ten replicates is known to miss.
    assert inside / 300 >= 0.88


def shares_of_a(study: Declaration, values: dict[str, Any]) -> Any:
    return next(each.share for each in shares(made(study, values)) if each.term == ("a",))
