"""One row per cell: which number is the headline, what qualifies it, and what the tests say."""

from __future__ import annotations

import dataclasses
import json
from math import isnan, nan

import numpy as np
import pandas as pd
import pytest
from golden_store import declaration, grid
from scipy import stats as scipy_stats

from ablation_lab.report.study import Study, summarise
from ablation_lab.report.tables import tables_for
from ablation_lab.statistics.intervals import mean_interval, paired_sign_flip
from ablation_lab.study.declaration import Declaration, parse
from ablation_lab.study.selection import SELECTIONS, selection

WIDTHS = {"width": ["4", "8", "16"]}


def small(metric: str = "test_accuracy", **changes: object) -> Declaration:
    made = declaration(
        "toy", "quick", factors=WIDTHS, cells=grid(WIDTHS),
        replicates=8, metric=metric, **{"baseline": "width=4", **changes},
    )  # fmt: skip
    return parse(json.dumps(made), "here")


def rows(
    declared: Declaration, values: dict[str, list[float]], not_converged: int = 0
) -> pd.DataFrame:
    """A frame with the values; the first `not_converged` runs of width=16 did not converge."""
    table = [
        {
            "study": "toy", "cell": cell, "replicate": r, "run_id": f"{cell}{r}",
            "status": "finished", "width": cell.split("=")[1], declared.metric: value,
            "not_converged": "loss_at_chance" if cell == "width=16" and r < not_converged else "",
            "reason": "",
        }
        for cell, each in values.items() for r, value in enumerate(each)
    ]  # fmt: skip
    return pd.DataFrame(table)


def spread(centre: float, seed: int, n: int = 8) -> list[float]:
    return list(centre + np.random.default_rng(seed).normal(0, 0.01, n))


def by_cell(frame: pd.DataFrame, declared: Declaration) -> pd.DataFrame:
    return summarise(frame, declared).set_index("cell")


def test_the_headline_is_the_mean_of_converged_runs_with_the_rest_beside_it() -> None:
    declared = small()
    values = {"width=4": spread(0.9, 0), "width=8": spread(0.9, 1), "width=16": spread(0.8, 2)}
    found = by_cell(rows(declared, values, not_converged=3), declared).loc["width=16"]
    interval = mean_interval(values["width=16"][3:])
    assert (found["estimate"], found["low"], found["high"]) == (
        interval.estimate, interval.low, interval.high,
    )  # fmt: skip
    assert (found["n"], found["not_converged"], found["finished"], found["interval"]) == (
        5,
        3,
        8,
        "t",
    )
    assert found["all_runs"] == pytest.approx((sum(values["width=16"][3:]) + 3 * 0.1) / 8)


def test_where_no_run_converged_the_headline_is_the_value_over_all_runs() -> None:
    declared = small()
    frame = rows(declared, {"width=4": spread(0.9, 0), "width=16": [0.11] * 8}, not_converged=8)
    found = by_cell(frame, declared).loc["width=16"]
    assert found["estimate"] == found["all_runs"] == pytest.approx(0.1)
    assert isnan(found["low"])
    assert found["interval"] == "none (no run converged)"
    assert (found["n"], found["not_converged"]) == (8, 8)


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
    assert found.loc["width=8", "p"] == found.loc["width=8", "minimum_p"] == 2**-7
    assert found.loc["width=8", "p_holm"] == 2 * 2**-7
    assert found.loc["width=16", "p"] == paired_sign_flip(values["width=16"], base)
    assert isnan(found.loc["width=4", "p"])
    assert set(found["test"]) == {"", "paired sign-flip"}


def test_pairs_are_runs_that_converged_in_both_cells() -> None:
    declared = small()
    values = {"width=4": spread(0.9, 0), "width=16": spread(0.8, 2)}
    found = by_cell(rows(declared, values, not_converged=3), declared).loc["width=16"]
    assert found["pairs"] == 5
    wanted = np.mean(np.array(values["width=16"][3:]) - np.array(values["width=4"][3:]))
    assert found["difference"] == pytest.approx(wanted)


def test_success_is_counted_over_finished_runs_and_tested_with_fisher() -> None:
    declared = small("success")
    values = {"width=4": [0.0] * 7 + [1.0], "width=8": [1.0] * 8, "width=16": [nan] * 3 + [1.0] * 5}
    found = by_cell(rows(declared, values, not_converged=3), declared)
    assert (found.loc["width=16", "successes"], found.loc["width=16", "n"]) == (5, 8)
    assert found.loc["width=16", "not_converged"] == 3
    assert found.loc["width=8", "p"] == pytest.approx(
        scipy_stats.fisher_exact([[8, 0], [1, 7]]).pvalue
    )
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


def test_three_pairs_can_never_mark_a_best_cell() -> None:
    declared = small()
    values = {"width=4": spread(0.5, 0, 3), "width=8": spread(0.9, 1, 3)}
    assert not summarise(rows(declared, values), declared)["best"].any()


def test_lower_can_be_better() -> None:
    declared = small("train_loss", higher_is_better=False, chance=None)
    values = {"width=4": spread(0.9, 0), "width=8": spread(0.2, 1), "width=16": spread(0.5, 2)}
    found = by_cell(rows(declared, values), declared)
    assert found.index[found["best"]].tolist() == ["width=8"]


def test_the_order_of_runs_changes_nothing(studies: dict[str, Study]) -> None:
    for study in studies.values():
        shuffled = study.frame.sample(frac=1, random_state=3)
        pd.testing.assert_frame_equal(summarise(shuffled, study.declaration), study.cells)


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
    assert {"main", "cells", "comparisons", "attribution", "effects", "shares"} == set(said)
    assert all(said.values())


def test_a_selection_says_when_its_metric_is_not_there() -> None:
    frame = rows(small(), {"width=4": spread(0.2, 0)})
    with pytest.raises(KeyError, match="which no run stored"):
        selection("best_on_validation").values(frame, "train_accuracy")
    with pytest.raises(KeyError, match="unknown selection 'best_on_test'"):
        selection("best_on_test")
