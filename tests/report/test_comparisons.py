"""Families of comparisons: Holm over all of them, what was in reach, and what may be said."""

from __future__ import annotations

from math import isnan

import numpy as np
import pandas as pd
import pytest
from grids import AB, declared, frame

from ablation_lab.report.study import Study, summarise
from ablation_lab.report.table_comparisons import comparisons_table
from ablation_lab.statistics.comparisons import Standing, attributions, compare, to_baseline
from ablation_lab.statistics.intervals import holm, minimum_p
from ablation_lab.statistics.outcomes import outcomes

STEPS = {"step": ["one", "two", "three", "four"]}
RISE = {"step=one": 0.80, "step=two": 0.85, "step=three": 0.8501, "step=four": 0.80}


def spread(middle: float, seed: int, n: int) -> list[float]:
    return list(middle + np.random.default_rng(seed).normal(0, 0.001, n))


def ladder(n: int, **changes: object) -> tuple[object, object]:
    study = declared(STEPS, n, baseline="step=one", **changes)
    values = {cell: spread(middle, i, n) for i, (cell, middle) in enumerate(RISE.items())}
    return study, outcomes(frame(study, values), study)


def test_verdicts_need_a_test_and_sameness_needs_a_band() -> None:
    study, found = ladder(12, equivalence=0.01)
    said = {made.first.cell: made.standing for made in to_baseline(found, study)}
    assert said == {
        "step=two": Standing.BETTER, "step=three": Standing.BETTER, "step=four": Standing.AS_GOOD,
    }  # fmt: skip
    study, found = ladder(12)
    four = to_baseline(found, study)[-1]
    assert (four.standing, isnan(four.p_equivalence)) == (Standing.UNDECIDED, True)
    study, found = ladder(12, equivalence=0.2)
    assert to_baseline(found, study)[0].standing is Standing.SLIGHTLY_BETTER


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
    nothing = pd.DataFrame()
    cells = summarise(data, study)
    table = comparisons_table(Study(study, data, cells, nothing, nothing, (), "1"))
    assert table.header[0][:2] == ("cell", "minus")
    assert [[entry.text for entry in row[:2]] for row in table.rows] == [
        ["a=1,b=y", "a=1,b=x"], ["a=2,b=y", "a=2,b=x"],
    ]  # fmt: skip
    assert table.caption.startswith("Each cell minus the one that has the baseline's levels")


def test_lower_is_better_turns_the_verdict_round() -> None:
    study, found = ladder(12, higher_is_better=False)
    assert to_baseline(found, study)[0].standing is Standing.WORSE


def test_holm_runs_over_the_whole_family() -> None:
    study, found = ladder(8)
    family = to_baseline(found, study)
    assert [made.p_holm for made in family] == holm([made.difference.p for made in family])
    alone = compare([(family[0].first, family[0].second)], study)[0]
    assert alone.p_holm == alone.difference.p == minimum_p(8)
    assert family[0].p_holm == 3 * minimum_p(8)


@pytest.mark.parametrize(("n", "reach"), [(5, False), (6, False), (7, True), (8, True)])
def test_what_no_result_could_have_reached_is_known(n: int, reach: bool) -> None:
    study, found = ladder(n)
    family = to_baseline(found, study)
    # Three tests at 5 %: the first step of Holm asks for 1/60, and 2**(1-n) is below from n = 7.
    assert [not made.out_of_reach for made in family] == [reach] * 3
    assert all(made.least_p <= made.p_holm for made in family)


def test_success_is_compared_by_fisher_and_has_a_least_p_too() -> None:
    study = declared(STEPS, 4, baseline="step=one", metric="success", equivalence=0.1)
    values = {"step=one": [0.0] * 4, "step=two": [1.0] * 4, "step=three": [0.0] * 4}
    family = to_baseline(outcomes(frame(study, values), study), study)
    assert family[0].difference.p == family[0].difference.minimum_p == pytest.approx(2 / 70)
    assert family[0].out_of_reach
    assert family[2].standing is Standing.NOT_TESTED


def test_a_ladder_is_attributed_step_by_step() -> None:
    study, found = ladder(10, design="ladder")
    made = attributions(found, study)
    assert [(a.change.before, a.change.after) for a in made] == [
        ("one", "two"), ("two", "three"), ("three", "four"),
    ]  # fmt: skip
    gains = [a.comparison.difference.interval.estimate for a in made]
    whole = to_baseline(found, study)[-1].difference.interval.estimate
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
