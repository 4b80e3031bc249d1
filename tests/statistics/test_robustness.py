"""Verdicts under other rules: what each of them says, and when it has nothing to say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from ablation_lab.report.study import Study
from ablation_lab.report.table_survival import survival_sentence, survival_table
from ablation_lab.statistics.robustness import NO_DIFFERENCE, NO_TEST, Rule, shown
from tests.report.grids import declared, frame
from tests.statistics.simulations import cells_of, shown_by

LEVELS = {"level": ["base", "one", "two"]}


def study_of(values: dict[str, Any], **changes: Any) -> Study:
    """A study of three cells whose runs below 0.5 did not converge."""
    named = {f"level={level}": np.asarray(runs) for level, runs in values.items()}
    declaration = declared(LEVELS, 10, baseline="level=base", **changes)
    lost = {cell: set(np.flatnonzero(runs < 0.5).tolist()) for cell, runs in named.items()}
    runs = frame(declaration, named, not_converged=lost)
    runs = runs.assign(nan_rate=0.0)
    return Study(declaration, runs)


def noise(middle: float, n: int, *, seed: int) -> np.ndarray[Any, Any]:
    return middle + 0.002 * np.random.default_rng(seed).normal(size=n)


def test_a_cell_that_collapses_is_better_only_to_those_who_drop_its_runs() -> None:
    collapsing = noise(0.99, 14, seed=1)
    collapsing[[1, 4, 5, 8, 10]] = 0.1
    values = {"base": noise(0.97, 14, seed=0), "one": collapsing, "two": noise(0.98, 14, seed=2)}
    first, second = study_of(values).survivals
    assert first.verdict != "better"
    assert first.under[Rule.CONVERGED] == "better"
    assert Rule.CONVERGED in first.changed
    assert (second.verdict, second.changed) == ("better", [])
    assert "1 of 2 verdicts changes under other rules" in survival_sentence(study_of(values))
    rows = survival_table(study_of(values)).rows
    assert [entry.text for entry in rows[1]] == ["level=two", "better", *["same"] * 4]
    assert rows[0][2].bold


def test_one_run_far_off_moves_the_mean_and_not_the_median() -> None:
    base = noise(0.9, 12, seed=0)
    one = base + 0.01 + noise(0, 12, seed=3)
    one[7] = base[7] - 0.3
    made = study_of({"base": base, "one": one, "two": base}).survivals[0]
    assert made.verdict == NO_DIFFERENCE
    assert made.under[Rule.MEDIAN] == "better"


def test_ranks_are_those_of_wilcoxon() -> None:
    """One pair, so the joint test is the signed-rank test by itself, exact at this size."""
    cells = cells_of(np.random.default_rng(5).normal(0.9, 0.01, (40, 8, 2)).reshape(320, 2)[:8])
    for shift in np.linspace(0, 0.02, 30):
        moved = replace(cells[0], values={r: v + shift for r, v in cells[0].values.items()})
        d = np.array([moved.values[r] - cells[1].values[r] for r in range(8)])
        decided = scipy_stats.wilcoxon(d, method="exact").pvalue <= 0.05
        assert bool(shown(Rule.MEDIAN, [(moved, cells[1])])[0]) == decided


@pytest.mark.parametrize(
    ("rule", "test"),
    [
        (Rule.T, lambda a, b: scipy_stats.ttest_rel(a, b).pvalue),
        (Rule.UNPAIRED, lambda a, b: scipy_stats.ttest_ind(a, b, equal_var=False).pvalue),
    ],
)
def test_single_tests_are_those_of_scipy_with_holm(rule: Rule, test: Any) -> None:
    decided = 0
    for seed in range(20):
        values = np.random.default_rng(seed).normal(0.9, 0.01, (9, 5))
        values += np.array([0, 0.01, -0.02, 0.005, 0])
        base, *others = cells_of(values)
        p = [test(column, values[:, 0]) for column in values.T[1:]]
        reject = multipletests(p, method="holm")[0]
        signs = np.sign(values[:, 1:].mean(axis=0) - values[:, 0].mean())
        ours = shown(rule, [(other, base) for other in others])
        assert ours.tolist() == np.where(reject, signs, 0).tolist()
        decided += int(reject.sum())
    assert 5 < decided < 75


def test_unpaired_successes_are_tested_by_fisher() -> None:
    values = {"base": [0] * 18 + [1] * 2, "one": [1] * 18 + [0] * 2, "two": [1] + [0] * 19}
    named = {cell: np.array(runs, dtype=float) for cell, runs in values.items()}
    declaration = declared(LEVELS, 20, baseline="level=base", metric="success")
    runs = frame(declaration, {f"level={level}": each for level, each in named.items()})
    runs = runs.assign(nan_rate=0.0)
    made = Study(declaration, runs).survivals
    assert [list(each.under) for each in made] == [[Rule.CONVERGED, Rule.UNPAIRED]] * 2
    assert [each.under[Rule.UNPAIRED] for each in made] == ["better", NO_DIFFERENCE]


def test_a_rule_without_enough_runs_has_no_test_and_changes_nothing() -> None:
    lost = noise(0.97, 10, seed=1)
    lost[:6] = 0.1
    values = {"base": noise(0.97, 10, seed=0), "one": lost, "two": noise(0.97, 10, seed=2)}
    made = study_of(values).survivals[0]
    assert made.under[Rule.CONVERGED] == NO_TEST
    assert Rule.CONVERGED not in made.changed


def test_few_replicates_have_no_ranks_and_none_no_table() -> None:
    few = study_of({level: noise(0.9, 4, seed=i) for i, level in enumerate(LEVELS["level"])})
    assert list(few.survivals[0].under) == [Rule.CONVERGED, Rule.T, Rule.UNPAIRED]
    one = study_of({level: noise(0.9, 1, seed=i) for i, level in enumerate(LEVELS["level"])})
    assert (one.survivals, survival_sentence(one)) == ([], "")


def test_losses_that_are_infinite_have_no_means_and_no_t_test() -> None:
    base = noise(0.9, 8, seed=0)
    one = np.where(np.arange(8) < 3, np.inf, base + 1)
    made = study_of({"base": base, "one": one, "two": base + 1}, metric="train_loss",
                    higher_is_better=False).survivals  # fmt: skip
    assert made[0].under[Rule.T] == made[0].under[Rule.UNPAIRED] == NO_TEST
    assert made[1].under[Rule.T] == "worse"


@pytest.mark.parametrize("rule", list(Rule))
def test_other_rules_keep_their_level_on_normal_runs(rule: Rule) -> None:
    # 5 %, and two standard errors of 400 tables.
    assert shown_by(rule, "normal", 10, studies=400) <= 0.072
    assert shown_by(rule, "normal", 10, studies=100, effect=0.02) == 1
