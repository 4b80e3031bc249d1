"""Results that exist as a study: what becomes of rows, cells, replicates, metrics and levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.report.study import Study, of_imported
from ablation_lab.statistics.planning import Procedure
from ablation_lab.store.importing import imported
from ablation_lab.store.inferred import Asked
from ablation_lab.store.tables import of_frame
from ablation_lab.study.metric import Direction, MetricKind
from ablation_lab.study.schema import Design


def rows(seeds: int = 7, **changes: Any) -> pd.DataFrame:
    draws = np.random.default_rng(2)
    made = [
        {
            "lr": lr,
            "keep": keep,
            "seed": seed,
            "acc": 0.8 + 0.1 * (lr == 0.1) + draws.normal(0, 0.01),
        }
        for lr in (0.1, 0.01)
        for keep in (1.0, 0.5)
        for seed in range(seeds)
    ]
    return pd.DataFrame(made).assign(**changes)


def study(frame: pd.DataFrame, **asked: Any) -> Study:
    given = {"factors": {"lr": "", "keep": ""}, "metrics": {"acc": None}, "replicate": "seed"}
    return of_imported(imported(of_frame(frame, "r.csv"), Asked(study="r", **{**given, **asked})))


def test_rows_become_declared_runs_in_cells() -> None:
    made = study(rows(), baseline={"lr": "0.01", "keep": 1})
    assert [cell.cell for cell in made.declaration.cells][:2] == [
        "lr=0.1,keep=1.0",
        "lr=0.1,keep=0.5",
    ]
    assert (made.frame["status"] == "finished").all()
    assert made.declaration.baseline == "lr=0.01,keep=1.0"
    assert made.declaration.primary.kind is MetricKind.SHARE
    verdicts = {each.first.cell: each.standing.value for each in made.comparisons}
    assert verdicts["lr=0.1,keep=1.0"] == "better"
    assert made.comparisons[0].test == Procedure.SIGN_FLIPS
    assert made.factorial is not None


@pytest.mark.parametrize(
    ("frame", "replicate"),
    [
        (rows().iloc[:-2], "seed"),
        (rows(), ""),
        (rows(seed=range(28)), "seed"),
        (rows(seed=[*range(27), None]), "seed"),
    ],
)
def test_without_the_same_replicates_in_every_cell_tests_are_unpaired(
    frame: pd.DataFrame, replicate: str
) -> None:
    made = study(frame, replicate=replicate, baseline={"lr": 0.01, "keep": 1})
    assert not made.declaration.paired
    assert {each.test for each in made.comparisons} == {Procedure.WELCH}
    assert made.factorial is None
    assert len(made.frame) == len(frame)
    assert made.comparisons[0].standing == "better"


def test_seeds_may_be_names_or_huge_numbers() -> None:
    named = study(rows(2, seed=["a", "b"] * 4))
    assert named.frame["replicate"].tolist() == [0, 1] * 4
    assert named.declaration.paired
    huge = study(rows(2, seed=[2**31 + 5, 7] * 4))
    assert set(huge.frame["replicate"]) == {7, 2**31 + 5}


def test_rows_that_stand_twice_are_refused_and_named() -> None:
    twice = pd.concat([rows(), rows().iloc[[3]]], ignore_index=True)
    with pytest.raises(ConfigurationError) as refusal:
        study(twice)
    assert "r.csv: row 3 and row 28 are both lr=0.1,keep=1.0, seed=3;" in str(refusal.value)


def test_a_run_without_a_value_failed_and_one_that_is_not_finite_counts_at_worst() -> None:
    frame = rows(4, loss=1.0)
    frame.loc[0, "loss"], frame.loc[1, "loss"] = None, np.inf
    made = study(frame, metrics={"loss": None})
    assert made.frame["status"].tolist()[:2] == ["failed", "finished"]
    assert made.frame["reason"][0] == "no value of loss"
    assert made.frame["not_converged"].tolist()[:3] == ["", "non_finite", ""]
    assert made.cells["estimate"][0] == 1.0  # the median, where one counts as infinite
    assert made.outcomes["lr=0.1,keep=1.0"].values[1] == np.inf


def test_states_of_trackers_are_kept() -> None:
    made = study(rows(2, State=["finished", "crashed", "killed", *["finished"] * 5]))
    assert made.frame["status"].tolist()[:3] == ["finished", "failed", "missing"]
    assert made.frame["reason"][1] == "crashed"
    # Another column of that name says nothing of the end.
    assert (study(rows(2, State="Bavaria")).frame["status"] == "finished").all()


def test_chance_says_which_runs_only_guess() -> None:
    frame = rows(3)
    frame.loc[2, "acc"] = 0.12
    made = study(frame, chance=0.1)
    assert made.frame["not_converged"].tolist()[:3] == ["", "", "accuracy_at_chance"]


@pytest.mark.parametrize(
    ("column", "values", "direction", "kind"),
    [
        ("val/acc", 0.5, Direction.MAXIMIZE, MetricKind.SHARE),
        ("Top1 Acc (%)", 91.2, Direction.MAXIMIZE, MetricKind.PLAIN),
        ("test_loss", 2.5, Direction.MINIMIZE, MetricKind.LOSS),
        ("nll", -2.5, Direction.MINIMIZE, MetricKind.PLAIN),
        ("test_accuracy", 0.5, Direction.MAXIMIZE, MetricKind.SHARE),
    ],
)
def test_a_metric_is_described_by_its_name_and_values(
    column: str, values: float, direction: Direction, kind: MetricKind
) -> None:
    primary = study(rows(**{column: values}), metrics={column: None}).declaration.primary
    assert (primary.direction, primary.kind) == (direction, kind)
    assert primary.words == column.replace("_", " ") or primary.label == column


def test_a_metric_that_says_nothing_is_asked_about() -> None:
    with pytest.raises(ConfigurationError, match=r"is more or less of 'zeta' better.*--maximize"):
        study(rows(zeta=1.0), metrics={"zeta": None})
    made = study(rows(zeta=1.0), metrics={"zeta": Direction.MINIMIZE, "acc": None})
    assert [m.name for m in made.declaration.metrics] == ["zeta", "acc"]


def test_levels_keep_the_order_of_a_table_written_cell_by_cell_and_ascend_elsewhere() -> None:
    assert study(rows()).declaration.factor("lr").levels == ("0.1", "0.01")
    mixed = study(rows().sample(frac=1, random_state=0)).declaration
    assert mixed.factor("lr").levels == ("0.01", "0.1")
    assert mixed.cells[0].cell == "lr=0.01,keep=0.5"


def test_a_factor_may_lack_in_some_cells_and_may_be_called_like_our_columns() -> None:
    frame = rows(2).assign(steps=["", "", "a", "a", "b", "b", "b", "b"])
    frame = frame.drop(index=[6, 7])
    made = study(frame, factors={"steps": "", "lr": "learning rate"})
    assert [cell.factors for cell in made.declaration.cells] == [
        {"lr": "0.1"},
        {"steps_": "a", "lr": "0.1"},
        {"steps_": "b", "lr": "0.01"},
    ]
    assert [f.label for f in made.declaration.factors] == ["steps", "learning rate"]


def test_single_changes_of_a_full_model_are_found() -> None:
    frame = rows()[lambda t: (t.lr == 0.1) | (t.keep == 1.0)]
    made = study(frame, baseline={"lr": 0.1, "keep": 1})
    assert made.declaration.design is Design.ONE_AT_A_TIME
    assert {each.change.factor for each in made.attributions} == {"lr", "keep"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"factors": {"lrr": ""}}, "r.csv: no column 'lrr'; nearest: 'lr'"),
        ({"factors": {}}, "expected at least one factor"),
        ({"metrics": {"lr": Direction.MAXIMIZE}}, "column 'lr' is asked for twice"),
        ({"baseline": {"lr": "0.2"}}, "baseline: lr: unknown level '0.2'; nearest: "),
        ({"baseline": {"depth": "2"}}, "baseline: unknown factor 'depth'"),
        ({"factors": {"acc": ""}, "metrics": {"lr": Direction.MAXIMIZE}, "replicate": "ac"},
         "no column 'ac'"),
    ],
)  # fmt: skip
def test_names_that_are_wrong_are_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^r\.csv: [^\n]+$") as refusal:
        study(rows(), **asked)
    assert said in str(refusal.value)


def test_a_column_of_measurements_is_no_factor() -> None:
    frame = pd.DataFrame({"x": np.arange(6000) / 7, "acc": 0.5})
    with pytest.raises(ConfigurationError, match="6,000 combinations of x; expected at most 5,000"):
        study(frame, factors={"x": ""}, replicate="")
