"""The store becomes a table of declared runs: nothing vanishes, nothing is mixed in."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ablation_lab.report.study import Study, UnknownStudyError, load
from ablation_lab.store.declared import declarations
from ablation_lab.store.frame import load_curves, load_frame, load_runs
from ablation_lab.study.declaration import parse
from ablation_lab.study.reading import DeclarationError
from ablation_lab.study.record import Status
from tests.report.golden_store import Writer, accuracy, declaration, grid, run_key

ONE = {"width": ["8"]}


def toy(replicates: int) -> dict[str, object]:
    return declaration(
        "toy", "quick", factors=ONE, cells=grid(ONE), replicates=replicates, metric="test_accuracy"
    )


def test_every_declared_run_has_one_row(studies: dict[str, Study]) -> None:
    for study in studies.values():
        wanted = [
            (cell.cell, run.replicate) for cell in study.declaration.cells for run in cell.runs
        ]
        found = list(zip(study.frame["cell"], study.frame["replicate"], strict=True))
        assert found == wanted


def test_what_became_of_each_run(studies: dict[str, Study]) -> None:
    frame = studies["keep_prob"].frame
    deep = frame[frame["cell"] == "keep_prob=1.0,architecture=deep_50%"]
    assert list(deep["status"][:4]) == ["failed", "missing", "missing", "finished"]
    assert list(deep["reason"][:4]) == [
        "RuntimeError: out of <memory>", "still running or killed", "not run", "",
    ]  # fmt: skip
    skipped = frame[frame["status"] == Status.SKIPPED]
    assert set(skipped["reason"]) == {"needs an accelerator & time"}
    assert len(skipped) == 10
    assert (deep["run_id"] != "").tolist()[:4] == [True, True, False, True]


def test_the_columns_are_typed(studies: dict[str, Study]) -> None:
    frame = studies["keep_prob"].frame
    assert list(frame["keep_prob"].cat.categories) == ["1.0", "0.7", "0.5"]
    assert frame["keep_prob"].cat.ordered
    assert frame["test_accuracy"].dtype == "float64"
    assert frame["replicate"].dtype == "int64"
    assert set(frame["status"].cat.categories) == {s.value for s in Status}


def test_a_factor_that_does_not_apply_is_empty(new_writer: Callable[[], Writer]) -> None:
    factors = {"rule": ["none", "vote"], "members": ["3"]}
    cells = [
        {"cell": "none", "factors": {"rule": "none"}},
        {"cell": "vote", "factors": {"rule": "vote", "members": "3"}},
    ]
    made = declaration(
        "ensemble", "quick", factors=factors, cells=cells, replicates=1, metric="test_accuracy"
    )
    writer = new_writer()
    writer.declare(made)
    frame = load_frame(writer.uri, declarations(writer.uri, "quick")[0])
    assert frame["members"].isna().tolist() == [True, False]
    assert frame["status"].tolist() == ["missing", "missing"]


def test_extra_runs_are_listed_and_never_counted(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    assert study.extra["cell"].tolist() == ["keep_prob=0.1"]
    assert not study.frame["run_id"].isin(study.extra["run_id"]).any()


def test_of_two_runs_with_one_key_the_earliest_finished_counts(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    assert study.frame["test_accuracy"].iloc[0] > 0.9  # the later twin has 0.5
    assert len(study.problems) == 1
    assert "2 finished runs" in study.problems[0]


def test_a_failed_try_before_a_finished_run_is_no_problem(new_writer: Callable[[], Writer]) -> None:
    writer, made = new_writer(), toy(1)
    writer.declare(made)
    writer.run(made, "width=8", 0, error="ValueError: once", state="FAILED")
    good = writer.run(made, "width=8", 0, metrics=accuracy(0.9))
    loaded = load_runs(writer.uri, declarations(writer.uri, "quick")[0])
    assert loaded.frame["run_id"].tolist() == [good]
    assert loaded.problems == ()


def test_the_profiles_of_a_study_stay_apart(golden_uri: str) -> None:
    (study,) = load(golden_uri, "paper")
    assert study.frame["test_accuracy"].tolist() == [0.98]
    assert study.extra.empty


def test_values_that_are_not_finite_come_back(new_writer: Callable[[], Writer]) -> None:
    writer, made = new_writer(), toy(3)
    writer.declare(made)
    for replicate, loss in enumerate([np.nan, np.inf, -np.inf]):
        metrics = {**accuracy(0.1), "train_loss": loss}
        writer.run(made, "width=8", replicate, metrics=metrics, rule="non_finite")
    frame = load_frame(writer.uri, declarations(writer.uri, "quick")[0])
    np.testing.assert_array_equal(frame["train_loss"], [np.nan, np.inf, -np.inf])


def test_a_converged_run_without_the_metric_is_a_problem(new_writer: Callable[[], Writer]) -> None:
    writer, made = new_writer(), toy(2)
    writer.declare(made)
    writer.run(made, "width=8", 0, metrics={"train_loss": 0.1})
    loaded = load_runs(writer.uri, declarations(writer.uri, "quick")[0])
    assert loaded.problems == (
        "width=8: 1 converged runs have no test_accuracy; they enter no estimate",
    )


def test_the_newest_declaration_counts(new_writer: Callable[[], Writer]) -> None:
    writer = new_writer()
    writer.declare(toy(1))
    writer.declare(toy(2))
    (found,) = declarations(writer.uri, "quick")
    assert found.replicates == 2


def test_a_report_run_without_declaration_is_said(new_writer: Callable[[], Writer]) -> None:
    writer = new_writer()
    tags = {"ablation.kind": "report", "ablation.profile": "quick"}
    writer.client.create_run(writer.experiment("toy"), tags=tags)
    with pytest.raises(DeclarationError, match=r"experiment toy: 1 report runs, none with"):
        declarations(writer.uri, "quick")


def test_an_empty_store_declares_nothing(new_writer: Callable[[], Writer]) -> None:
    uri = new_writer().uri
    assert declarations(uri, "quick") == []
    with pytest.raises(UnknownStudyError, match="no study 'toy'"):
        load(uri, "quick", only=["toy"])


def test_curves_are_long_and_in_order(golden_uri: str, studies: dict[str, Study]) -> None:
    frame = studies["ladder"].frame
    curves = load_curves(golden_uri, frame, "train_loss")
    assert list(curves.columns) == ["cell", "replicate", "run_id", "step", "value"]
    assert len(curves) == 9 * 5
    one = curves[curves["run_id"] == frame["run_id"].iloc[0]]
    assert one["step"].tolist() == [1, 3, 10, 30, 100]
    assert one["value"].is_monotonic_decreasing
    assert one["value"].iloc[-1] == frame["train_loss"].iloc[0]


@pytest.mark.parametrize("name", ["keep_prob", "ladder", "xor_depth"])
def test_a_database_asked_directly_answers_as_mlflow_does(
    golden_uri: str, studies: dict[str, Study], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = studies[name].declaration
    direct = load_runs(golden_uri, made)
    curves = load_curves(golden_uri, direct.frame, "train_loss")
    monkeypatch.setattr("ablation_lab.store.runs.is_database", lambda _: False)
    through = load_runs(golden_uri, made)
    pd.testing.assert_frame_equal(direct.frame, through.frame)
    pd.testing.assert_frame_equal(direct.extra, through.extra)
    assert direct.problems == through.problems
    assert not curves.empty
    pd.testing.assert_frame_equal(curves, load_curves(golden_uri, through.frame, "train_loss"))


@pytest.mark.parametrize("direct", [True, False])
def test_both_ways_to_a_store_know_deleted_runs_and_losses_that_are_not_finite(
    new_writer: Callable[[], Writer], monkeypatch: pytest.MonkeyPatch, direct: bool
) -> None:
    writer, made = new_writer(), toy(4)
    writer.declare(made)
    losses = [np.nan, np.inf, -np.inf, 1.0]
    runs = [
        writer.run(made, "width=8", r, metrics={**accuracy(0.1), "train_loss": losses[r]})
        for r in range(4)
    ]
    writer.client.delete_run(runs[3])
    monkeypatch.setattr("ablation_lab.store.runs.is_database", lambda _: direct)
    frame = load_frame(writer.uri, declarations(writer.uri, "quick")[0])
    assert frame["run_id"].tolist() == [*runs[:3], ""]
    np.testing.assert_array_equal(frame["train_loss"], [np.nan, np.inf, -np.inf, np.nan])


def multiply(path: str, run_id: str, keys: list[str]) -> None:
    """Copy a stored run under other keys with plain SQL: a thousand runs in no time."""
    tables = {"runs": "run_uuid", "metrics": "run_uuid", "latest_metrics": "run_uuid",
              "params": "run_uuid", "tags": "run_uuid"}  # fmt: skip
    with sqlite3.connect(path) as store:
        for table, column in tables.items():
            cursor = store.execute(f"select * from {table} where {column} = ?", [run_id])
            names = [item[0] for item in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            copies = []
            for number, key in enumerate(keys):
                for row in rows:
                    copy = {**row, column: f"{number:032x}"}
                    if copy.get("key") == "ablation.key":
                        copy["value"] = key
                    copies.append(tuple(copy.values()))
            marks = ",".join("?" * len(names))
            store.executemany(f"insert into {table} values ({marks})", copies)


def test_a_thousand_runs_in_under_a_second(new_writer: Callable[[], Writer]) -> None:
    writer, made = new_writer(), toy(1_000)
    first = writer.run(made, "width=8", 0, metrics=accuracy(0.9))
    keys = [run_key(made, "width=8", replicate) for replicate in range(1, 1_000)]
    multiply(writer.uri.removeprefix("sqlite:///"), first, keys)
    found = parse(json.dumps(made), "here")
    start = time.process_time()
    frame = load_frame(writer.uri, found)
    seconds = time.process_time() - start
    assert (frame["status"] == Status.FINISHED).all()
    assert len(frame) == 1_000
    assert isinstance(frame, pd.DataFrame)
    assert seconds < 1.0
