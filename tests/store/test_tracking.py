"""What is written to MLflow reads back, and what cannot be written is one line."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from ablation_lab.errors import StoreError
from ablation_lab.store import process
from ablation_lab.store.client import Store
from ablation_lab.store.declared import declaration_of
from ablation_lab.store.runs import stored_runs
from ablation_lab.store.write import Tracker
from ablation_lab.study.files import flat
from ablation_lab.study.record import NoConvergence, Record, Status
from ablation_lab.study.run import Run, TrainerName


@pytest.fixture
def tracker(store: str, tmp_path: Path) -> Tracker:
    """Return a tracker on an empty store."""
    return Tracker(store, tmp_path / "artifacts")


@pytest.fixture
def record(make_run: Callable[..., Run]) -> Record:
    """Return what a finished run leaves."""
    return Record(
        run=make_run(replicate=3),
        status=Status.FINISHED,
        trainer=TrainerName.STACKED,
        metrics={"success": 1.0, "parameters": 13.0},
        curves={"train_loss": ((1, 0.75), (20, 0.5)), "val_accuracy": ((20, 0.25),)},
        steps=20,
        seconds=2.5,
        started=1_000_000.0,
        reason="a reason",
        provenance={"device": "cpu"},
    )


def test_a_record_reads_back(tracker: Tracker, store: str, record: Record) -> None:
    run_id = tracker.write([record])[0]
    client = MlflowClient(store)
    run = client.get_run(run_id)
    assert client.get_experiment(run.info.experiment_id).name == "small.replicates"
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "c · replicate 3"
    assert (run.info.start_time, run.info.end_time) == (1_000_000_000, 1_000_002_500)
    assert run.data.params.items() >= {"width": "c", "data.name": "xor"}.items()
    assert set(run.data.params) == {"width", *(name for name, _ in flat(record.run.config))}
    cells = client.get_experiment_by_name("small").experiment_id
    back = run.data.tags["mlflow.note.content"]
    assert back.startswith(f"[Its cell](#/experiments/{cells}/runs?workflowType=machine_learning")
    assert run.data.metrics == {
        "success": 1.0,
        "parameters": 13.0,
        "train_loss": 0.5,
        "val_accuracy": 0.25,
        "not_converged": 0.0,
        "steps": 20.0,
        "seconds": 2.5,
    }
    curve = client.get_metric_history(run_id, "train_loss")
    assert [(point.step, point.value) for point in curve] == [(1, 0.75), (20, 0.5)]
    tags = run.data.tags
    assert tags["ablation.key"] == record.run.key
    assert tags["ablation.replicate"] == "3"
    assert tags["ablation.trainer"] == "stacked"
    assert tags["ablation.driver"] == process.name()
    assert json.loads(tags["ablation.config"]) == record.run.config
    assert json.loads(tags["ablation.provenance"]) == {"device": "cpu", "reason": "a reason"}
    assert "ablation.error" not in tags


def test_what_is_not_finite_stays_so(tracker: Tracker, store: str, record: Record) -> None:
    wild = replace(
        record,
        curves={"train_loss": ((1, 0.5), (7, math.nan))},
        not_converged=NoConvergence.NON_FINITE,
        not_converged_step=7,
    )
    run = MlflowClient(store).get_run(tracker.write([wild])[0])
    assert math.isnan(run.data.metrics["train_loss"])
    assert (run.data.metrics["not_converged"], run.data.metrics["not_converged_step"]) == (1.0, 7.0)
    assert run.data.tags["ablation.nc_rule"] == "non_finite"


def test_a_failed_run_keeps_its_traceback(tracker: Tracker, store: str, record: Record) -> None:
    failed = replace(
        record, status=Status.FAILED, metrics={}, curves={}, reason="E: no", error="Traceback ..."
    )
    run_id = tracker.write([failed])[0]
    client = MlflowClient(store)
    assert client.get_run(run_id).info.status == "FAILED"
    assert client.get_run(run_id).data.tags["ablation.error"] == "E: no"
    assert "Traceback" in Path(client.download_artifacts(run_id, "traceback.txt")).read_text()
    assert tracker.finished("small") == {}
    assert stored_runs(store, ["small"]) == {"small": {record.run.key: (run_id, "FAILED")}}


def test_logits_read_back_to_the_last_bit(tracker: Tracker, record: Record) -> None:
    logits = np.random.default_rng(0).normal(size=(30, 10)).astype(np.float32)
    logits[0, 0] = np.nan
    run_id = tracker.write([replace(record, logits=logits)])[0]
    assert np.array_equal(tracker.logits(run_id), logits, equal_nan=True)


def test_cleanup_removes_half_written_runs_of_leased_cells_only(
    tracker: Tracker, store: str, record: Record
) -> None:
    whole = tracker.write([record])[0]
    client = MlflowClient(store)
    experiment = client.get_run(whole).info.experiment_id
    half = {
        cell: client.create_run(experiment, tags={"ablation.cell": cell}).info.run_id
        for cell in (record.run.cell, "of another runner")
    }
    assert tracker.cleanup("small", [record.run.cell]) == 1
    stages = {cell: client.get_run(run).info.lifecycle_stage for cell, run in half.items()}
    assert stages == {record.run.cell: "deleted", "of another runner": "active"}
    assert tracker.finished("small") == {record.run.key: whole}
    assert tracker.cleanup("small", [record.run.cell]) == 0
    assert tracker.cleanup("never_trained", ["a"]) == 0


def test_a_declaration_comes_back_and_the_last_one_counts(tracker: Tracker, store: str) -> None:
    first = {"question": "Why?", "cells": [{"cell": "a×b", "factors": {}}]}

    def declared(profile: str) -> dict[str, Any]:
        text, _ = declaration_of(Store(store), "small", profile) or ("null", "")
        return json.loads(text)

    assert declared("quick") is None
    tracker.declare("small", "quick", first)
    tracker.declare("small", "paper", {"question": "Other?"})
    assert declared("quick") == first
    tracker.declare("small", "quick", {**first, "cells": []})
    assert declared("quick") == {**first, "cells": []}
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["report (paper)", "report (quick)"]


def test_a_study_whose_experiment_was_deleted_is_refused_before_it_trains(
    tracker: Tracker, store: str, record: Record, tmp_path: Path
) -> None:
    tracker.write([record])
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("small.replicates")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(StoreError, match=r"'small.replicates' was deleted; restore it: `MLFLOW"):
        Tracker(store, tmp_path / "artifacts").declare("small", "quick", {"question": "Why?"})


@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_that_is_deleted_while_it_is_written_takes_nothing_and_says_so(
    tracker: Tracker, store: str, record: Record, empty_store: Path, replaced: bool
) -> None:
    tracker.write([record])
    path = Path(store.removeprefix("sqlite:///"))
    path.unlink()
    if replaced:
        shutil.copy(empty_store, path)
    for ask in (tracker.look, lambda: tracker.write([record])):
        with pytest.raises(StoreError, match="was deleted or replaced while it was written"):
            ask()
    assert path.exists() == replaced


def one_line(uri: str) -> str:
    with pytest.raises(StoreError) as error:
        Tracker(uri, None)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_store_below_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "deeper" / "mlflow.db"
    assert one_line(f"sqlite:///{path}").startswith(f"store {path}: cannot be created: ")


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("not a database, " * 100)
    assert one_line(f"sqlite:///{path}").startswith(f"store {path}: not an SQLite database")


def test_a_server_that_is_not_there_is_one_line_and_its_password_is_nowhere() -> None:
    # Port 9 of the loopback: nobody listens there.
    line = one_line("http://me:secret@127.0.0.1:9")
    assert line == (
        "store http://me:***@127.0.0.1:9: no server answers there; start it, or set tracking.uri"
    )


def test_a_store_of_an_older_mlflow_says_how_to_go_on(store: str) -> None:
    with sqlite3.connect(store.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    connection.close()
    line = one_line(store)
    assert "schema is not the one of this MLflow" in line
    assert f"mlflow db upgrade {store}" in line


def test_a_reader_that_comes_and_goes_leaves_the_log_of_a_store_in_use(
    tracker: Tracker, store: str, record: Record
) -> None:
    """SQLite's locks end when their process closes the file, whoever opened it.

    The next connection of another process would take itself for the last one when it closes, and
    remove the write-ahead log under its writer.
    """
    tracker.write([record])
    Tracker(store, None)
    path = store.removeprefix("sqlite:///")
    read = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM runs').close()"
    subprocess.run([sys.executable, "-c", read, path], check=True)
    assert Path(f"{path}-wal").stat().st_size > 0
