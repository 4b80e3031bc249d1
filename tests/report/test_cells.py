"""One row per cell: which number is the headline, what qualifies it, and what the tests say."""

from __future__ import annotations

import dataclasses
import json
from math import isnan, nan

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from ablation_lab.report.study import Study
from ablation_lab.report.tables import tables_for
from ablation_lab.statistics.intervals import mean_interval
from ablation_lab.statistics.joint import joint_test as jointly
from ablation_lab.study.declaration import Declaration, parse
from ablation_lab.study.selection import SELECTIONS, selection
from tests.report.golden_store import declaration, grid

WIDTHS = {"width": ["4", "8", "16"]}


def small(metric: str = "test_accuracy", **changes: object) -> Declaration:
    made = declaration(
        "toy", "quick", factors=WIDTHS, cells=grid(WIDTHS),
        replicates=8, metric=metric, **{"baseline": "width=4", **changes},
    )  # fmt: skip
    return parse(json.dumps(made), "here")


def rows(
    declared: Declaration,
    values: dict[str, list[float]],
    not_converged: int = 0,
    rule: str = "loss_at_chance",
) -> pd.DataFrame:
    """A frame with the values; the first `not_converged` runs of width=16 did not converge."""
    table = [
        {
            "study": "toy", "cell": cell, "replicate": r, "run_id": f"{cell}{r}",
            "status": "finished", "width": cell.split("=")[1], declared.metric: value,
            "not_converged": rule if cell == "width=16" and r < not_converged else "",
            "not_converged_recorded": rule if cell == "width=16" and r < not_converged else "",
            "reason": "",
        }
        for cell, each in values.items() for r, value in enumerate(each)
    ]  # fmt: skip
    return pd.DataFrame(table)


def spread(centre: float, seed: int, n: int = 8) -> list[float]:
    return list(centre + np.random.default_rng(seed).normal(0, 0.01, n))


def by_cell(frame: pd.DataFrame, declared: Declaration) -> pd.DataFrame:
    return Study(declared, frame).cells.set_index("cell")


def test_the_estimate_is_over_all_finished_runs_as_they_ended() -> None:
    declared = small()
    values = {"width=4": spread(0.9, 0), "width=8": spread(0.9, 1), "width=16": spread(0.8, 2)}
    found = by_cell(rows(declared, values, not_converged=3), declared).loc["width=16"]
    interval = mean_interval(values["width=16"])
    assert (found["estimate"], found["low"], found["high"]) == (
        interval.estimate, interval.low, interval.high,
    )  # fmt: skip
    assert (found["n"], found["not_converged"], found["finished"]) == (8, 3, 8)
    assert found["interval"] == "t"
    assert found["converged_mean"] == pytest.approx(np.mean(values["width=16"][3:]))


@pytest.mark.parametrize(("chance", "counted"), [(0.1, 0.1), (None, 0.0)])
def test_a_run_that_is_not_finite_counts_as_guessing_or_at_the_worst(
    chance: float | None, counted: float
) -> None:
    declared = small(chance=chance)
    values = {"width=4": spread(0.9, 0), "width=16": [nan, 0.3, 0.098, *spread(0.8, 2, 5)]}
    found = by_cell(rows(declared, values, 3, "non_finite"), declared).loc["width=16"]
    wanted = [counted] * 3 + values["width=16"][3:]
    assert found["estimate"] == pytest.approx(np.mean(wanted))
    assert found["nan_rate"] == 3 / 8


def test_a_loss_that_is_not_finite_leaves_a_median() -> None:
    declared = small("train_loss", higher_is_better=False, chance=None)
    values = {"width=4": spread(0.5, 0), "width=16": [nan, *spread(0.5, 2, 7)]}
    frame = rows(declared, values, 1, "non_finite")
    frame.loc[frame["cell"] == "width=4", "not_converged_recorded"] = ""
    found = by_cell(frame, declared).loc["width=16"]
    assert found["estimate"] == np.median([np.inf, *values["width=16"][1:]])
    assert found["interval"] == "order statistics"


def test_two_kinds_of_runs_in_one_cell_are_said() -> None:
    declared = small()
    values = {"width=4": spread(0.9, 0), "width=16": [0.1, 0.102, 0.098, *spread(0.9, 2, 5)]}
    found = by_cell(rows(declared, values, not_converged=3), declared)
    said = found.loc["width=16", "kinds"]
    assert said.startswith("runs of two kinds: 5 of 8 around 89.7 %")
    assert "3 around 10.0 %; median 8" in said
    assert found.loc["width=16", "interval"] == "two kinds of runs"
    assert found.loc["width=4", "kinds"] == ""


def test_a_declared_cell_without_runs_keeps_its_row() -> None:
    declared = small()
    found = by_cell(rows(declared, {"width=4": spread(0.9, 0)}), declared)
    assert list(found.index) == ["width=4", "width=8", "width=16"]
    assert isnan(found.loc["width=8", "estimate"])
    assert found.loc["width=8", "n"] == 0


def test_differences_are_paired_by_replicate_and_corrected_together() -> None:
    declared = small()
    base = spread(0.8, 0)
    values = {"width=4": base, "width=8": [v + 0.01 for v in base], "width=16": spread(0.8, 3)}
    frame = rows(declared, values).sample(frac=1, random_state=1)
    found = by_cell(frame, declared)
    assert found.loc["width=8", "difference"] == pytest.approx(0.01)
    # The smallest p of eight replicates, whatever else the table holds.
    assert found.loc["width=8", "p"] == 2**-7
    apart = np.array([values[f"width={w}"] for w in (8, 16)]).T - np.array(base)[:, None]
    assert found.loc["width=16", "p"] == jointly(apart).p[1]
    assert isnan(found.loc["width=4", "p"])
    assert set(found["test"]) == {"", "joint sign flips"}


def test_pairs_are_all_replicates_that_both_finished() -> None:
    declared = small()
    values = {"width=4": spread(0.9, 0), "width=16": spread(0.8, 2, 7)}
    found = by_cell(rows(declared, values, not_converged=3), declared).loc["width=16"]
    assert found["pairs"] == 7
    wanted = np.mean(np.array(values["width=16"]) - np.array(values["width=4"][:7]))
    assert found["difference"] == pytest.approx(wanted)


def test_success_is_counted_over_finished_runs_and_tested_with_mcnemar() -> None:
    declared = small("success")
    values = {"width=4": [0.0] * 7 + [1.0], "width=8": [1.0] * 8, "width=16": [nan] * 3 + [1.0] * 5}
    found = by_cell(rows(declared, values, not_converged=3), declared)
    assert (found.loc["width=16", "successes"], found.loc["width=16", "n"]) == (5, 8)
    assert found.loc["width=16", "not_converged"] == 3
    # Seven replicates differ between width=8 and the baseline, all of them the same way.
    assert found.loc["width=8", "p"] == scipy_stats.binomtest(7, 7).pvalue
    assert found.loc["width=8", "interval"] == "Wilson"


@pytest.mark.parametrize(
    ("centres", "best"),
    [((0.80, 0.95, 0.70), "width=8"), ((0.90, 0.9001, 0.70), None), ((0.9, 0.5, 0.4), "width=4")],
)
def test_the_best_cell_is_marked_only_where_a_test_supports_it(
    centres: tuple[float, ...], best: str | None
) -> None:
    declared = small()
    names = ("width=4", "width=8", "width=16")
    values = {name: spread(c, i, 8) for i, (name, c) in enumerate(zip(names, centres, strict=True))}
    found = by_cell(rows(declared, values), declared)
    assert found.index[found["best"]].tolist() == ([best] if best else [])


def test_two_pairs_that_differ_a_little_mark_no_best_cell() -> None:
    declared = small()
    values = {"width=4": spread(0.88, 0, 2), "width=8": spread(0.9, 1, 2)}
    assert not Study(declared, rows(declared, values)).cells["best"].any()


def test_lower_can_be_better() -> None:
    declared = small("train_loss", higher_is_better=False, chance=None)
    values = {"width=4": spread(0.9, 0), "width=8": spread(0.2, 1), "width=16": spread(0.5, 2)}
    found = by_cell(rows(declared, values), declared)
    assert found.index[found["best"]].tolist() == ["width=8"]


def test_the_order_of_runs_changes_nothing(studies: dict[str, Study]) -> None:
    for study in studies.values():
        shuffled = study.frame.sample(frac=1, random_state=3)
        pd.testing.assert_frame_equal(Study(study.declaration, shuffled).cells, study.cells)


def test_every_estimate_lies_in_its_interval(studies: dict[str, Study]) -> None:
    for study in studies.values():
        bounded = study.cells.dropna(subset=["low"])
        assert len(bounded) > 0
        assert (bounded["low"] <= bounded["estimate"]).all()
        assert (bounded["estimate"] <= bounded["high"]).all()


def test_golden_counts(studies: dict[str, Study]) -> None:
    cells = studies["keep_prob"].cells.set_index("cell")
    deep = cells.loc["keep_prob=1.0,architecture=deep_50%"]
    assert (deep["n"], deep["failed"], deep["missing"], deep["n_declared"]) == (7, 1, 2, 10)
    assert cells.loc["keep_prob=0.5,architecture=wide", "not_converged"] == 4
    assert cells.loc["keep_prob=0.5,architecture=deep_50%", "skipped"] == 10
    xor = studies["xor_depth"].cells.set_index("cell")
    assert xor.loc["depth=3,activation=relu", "nan_rate"] == pytest.approx(3 / 10)
    assert xor.loc["depth=3,activation=relu", "successes"] == 5


@pytest.mark.parametrize("name", list(SELECTIONS))
def test_every_selection_is_said_under_every_table(studies: dict[str, Study], name: str) -> None:
    golden = studies["keep_prob"]
    declared = golden.declaration.model_copy(update={"selection": name})
    tables = tables_for(dataclasses.replace(golden, declaration=declared))
    said = {made.name: selection(name).caption in made.caption for made in tables}
    assert said.pop("values") is False  # one run is compared with runs, whose table says the rule
    assert set(said) == {
        "main", "cells", "comparisons", "attribution", "effects", "shares", "survival"
    }  # fmt: skip
    assert all(said.values())


def test_a_selection_says_when_its_metric_is_not_there() -> None:
    frame = rows(small(), {"width=4": spread(0.2, 0)})
    with pytest.raises(KeyError, match="which no run stored"):
        selection("best_on_validation").values(frame, "train_accuracy")
    with pytest.raises(KeyError, match="unknown selection 'best_on_test'"):
        selection("best_on_test")
