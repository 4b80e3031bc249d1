"""Families of comparisons: tested together, what replicates can say, and what may be said."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import comparisons_table
from ablation_lab.statistics.comparisons import (
    Attribution,
    Comparison,
    Standing,
    compare,
    compared,
)
from ablation_lab.statistics.outcomes import outcomes
from tests.report.grids import AB, declared, frame

STEPS = {"step": ["one", "two", "three", "four"]}
RISE = {"step=one": 0.80, "step=two": 0.85, "step=three": 0.8501, "step=four": 0.80}


def spread(middle: float, seed: int, n: int) -> list[float]:
    return list(middle + np.random.default_rng(seed).normal(0, 0.001, n))


def ladder(n: int, **changes: object) -> tuple[object, object]:
    study = declared(STEPS, n, baseline="step=one", **changes)
    values = {cell: spread(middle, i, n) for i, (cell, middle) in enumerate(RISE.items())}
    return study, outcomes(frame(study, values), study)


def to_baseline(found: object, study: object) -> list[Comparison]:
    return compared(found, study).to_baseline


def attributions(found: object, study: object) -> list[Attribution]:
    return compared(found, study).attributions


def test_verdicts_need_a_test_and_sameness_needs_a_band() -> None:
    study, found = ladder(12, equivalence=0.01)
    said = {made.first.cell: made.standing for made in to_baseline(found, study)}
    assert said == {
        "step=two": Standing.BETTER, "step=three": Standing.BETTER,
        "step=four": Standing.EQUIVALENT,
    }  # fmt: skip
    study, found = ladder(12)
    four = to_baseline(found, study)[-1]
    assert (four.standing, isnan(four.p_equivalence)) == (Standing.UNDECIDED, True)
    study, found = ladder(12, equivalence=0.2)
    two = to_baseline(found, study)[0]
    assert (two.standing, two.within) == (Standing.BETTER, True)


def test_each_cell_may_have_a_baseline_of_its_own() -> None:
    bases = {f"a={a},b={b}": f"a={a},b=x" for a in AB["a"] for b in AB["b"] if a != "3"}
    study = declared(AB, 12, baseline="a=1,b=x", baselines=bases)
    middles = {"a=1,b=x": 0.1, "a=1,b=y": 0.2, "a=2,b=x": 0.7, "a=2,b=y": 0.6}
    every = [cell.cell for cell in study.cells]
    values = {cell: spread(middles.get(cell, 0.9), i, 12) for i, cell in enumerate(every)}
    data = frame(study, values)
    made = to_baseline(outcomes(data, study), study)
    assert [(each.first.cell, each.second.cell, each.standing) for each in made] == [
        ("a=1,b=y", "a=1,b=x", Standing.BETTER), ("a=2,b=y", "a=2,b=x", Standing.WORSE),
    ]  # fmt: skip
    table = comparisons_table(Study(study, data))
    assert table.header[0][:2] == ("cell", "minus")
    assert [[entry.text for entry in row[:2]] for row in table.rows] == [
        ["a=1,b=y", "a=1,b=x"], ["a=2,b=y", "a=2,b=x"],
    ]  # fmt: skip
    assert table.caption.startswith("Each cell minus the one that has the baseline's levels")


def test_lower_is_better_turns_the_verdict_round() -> None:
    study, found = ladder(12, higher_is_better=False)
    assert to_baseline(found, study)[0].standing is Standing.WORSE


def test_one_family_has_every_pair_of_a_study_and_a_pair_says_the_same_in_every_table() -> None:
    study, found = ladder(8, design="ladder")
    made = compared(found, study)
    first_step = made.attributions[0].comparison
    assert first_step is made.to_baseline[0]
    pairs = {(each.first.cell, each.second.cell) for each in made.to_baseline}
    steps = {(a.comparison.first.cell, a.comparison.second.cell) for a in made.attributions}
    both = [(found[a], found[b]) for a, b in dict.fromkeys([*sorted(pairs), *sorted(steps)])]
    again = {(each.first.cell, each.second.cell): each.p for each in compare(both, study)}
    shown = [*made.to_baseline, *(a.comparison for a in made.attributions)]
    assert len(again) == 5
    assert all(again[each.first.cell, each.second.cell] == each.p for each in shown)


@pytest.mark.parametrize("n", [6, 7, 10])
def test_from_six_replicates_on_a_large_difference_is_decided_in_any_table(n: int) -> None:
    study, found = ladder(n)
    assert to_baseline(found, study)[0].standing is Standing.BETTER
    assert to_baseline(found, study)[0].p == 2.0 ** (1 - n)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_fewer_replicates_are_tested_under_an_assumption_that_is_said(n: int) -> None:
    study, found = ladder(n)
    made = to_baseline(found, study)
    assert {each.test for each in made} == {"t tests, assumes normal spread"}
    assert made[0].standing is Standing.BETTER
    assert made[-1].standing is Standing.UNDECIDED


def test_one_replicate_and_pairs_too_few_in_a_larger_table_say_what_they_need() -> None:
    study, found = ladder(1)
    assert {made.verdict for made in to_baseline(found, study)} == {"needs n ≥ 6"}
    study = declared(STEPS, 8, baseline="step=one")
    values = {"step=one": spread(0.5, 0, 8), "step=two": spread(0.9, 1, 8),
              "step=three": spread(0.9, 2, 4)}  # fmt: skip
    two, three, four = to_baseline(outcomes(frame(study, values), study), study)
    assert [two.verdict, three.verdict, four.verdict] == ["better", "needs n ≥ 6", "needs n ≥ 6"]
    assert (three.difference.n, four.difference.n) == (4, 0)


def test_success_is_compared_by_mcnemar_and_never_by_a_t_test() -> None:
    study = declared(STEPS, 4, baseline="step=one", metric="success", equivalence=0.1)
    values = {"step=one": [0.0] * 4, "step=two": [1.0] * 4, "step=three": [0.0] * 4}
    family = to_baseline(outcomes(frame(study, values), study), study)
    assert {made.standing for made in family} == {Standing.NEEDS}
    many = declared(STEPS, 40, baseline="step=one", metric="success")
    values = {"step=one": [0.0] * 40, "step=two": [1.0] * 30 + [0.0] * 10, "step=three": [0.0] * 40}
    two, three, _ = to_baseline(outcomes(frame(many, values), many), many)
    assert (two.standing, three.standing) == (Standing.BETTER, Standing.UNDECIDED)
    assert "McNemar" in two.test


def test_a_cell_that_collapses_in_half_of_its_runs_is_not_called_better() -> None:
    """0.2 points better where it trains: over 200 tables at most 5 % may say so (none should)."""
    study = declared({"step": ["one", "two"]}, 10, baseline="step=one", chance=0.1)
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(200):
        lost = rng.random(10) < 0.5
        values = {
            "step=one": rng.normal(0.970, 0.002, 10),
            "step=two": np.where(lost, 0.1, rng.normal(0.972, 0.002, 10)),
        }
        gone = {"step=two": set(np.flatnonzero(lost).tolist())}
        found = outcomes(frame(study, values, not_converged=gone), study)
        called += to_baseline(found, study)[0].standing is Standing.BETTER
    assert called / 200 <= 0.05


def test_a_ladder_is_attributed_step_by_step() -> None:
    study, found = ladder(10, design="ladder")
    made = attributions(found, study)
    assert [(a.change.before, a.change.after) for a in made] == [
        ("one", "two"), ("two", "three"), ("three", "four"),
    ]  # fmt: skip
    gains = [a.comparison.difference.estimate for a in made]
    whole = to_baseline(found, study)[-1].difference.estimate
    assert sum(gains) == pytest.approx(whole)
    wanted = np.mean(list(found["step=two"].converged.values())) - np.mean(
        list(found["step=one"].converged.values())
    )
    assert gains[0] == pytest.approx(wanted)


def test_single_changes_are_cells_one_factor_away_from_the_baseline() -> None:
    study = declared(AB, 3, baseline="a=2,b=y")
    values = {cell.cell: spread(0.5, i, 3) for i, cell in enumerate(study.cells)}
    changes = [a.change for a in attributions(outcomes(frame(study, values), study), study)]
    assert [(c.factor, c.before, c.after) for c in changes] == [
        ("a", "2", "1"), ("a", "2", "3"), ("b", "y", "x"),
    ]  # fmt: skip
    assert {c.reference for c in changes} == {"a=2,b=y"}
    bare = declared(AB, 3)
    assert attributions(outcomes(frame(bare, values), bare), bare) == []


def test_golden_studies_have_the_tables_that_apply(studies: dict[str, Study]) -> None:
    xor, keep, golden_ladder = (studies[name] for name in ("xor_depth", "keep_prob", "ladder"))
    assert (xor.comparisons, xor.attributions) == ([], [])
    assert xor.factorial is not None
    assert [made.first.cell for made in keep.comparisons] == [
        cell.cell for cell in keep.declaration.cells[1:]
    ]
    assert len(keep.attributions) == 3
    assert golden_ladder.factorial is None
