"""The quick question to the store has the answer that MLflow's client gives."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ablation_lab.errors import StoreError
from ablation_lab.store import runs as module
from ablation_lab.store.connect import newest
from ablation_lab.store.runs import finished_runs, stored_runs
from ablation_lab.store.write import Tracker
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName

Write = Callable[..., str]


@pytest.fixture
def tracker(store: str, tmp_path: Path) -> Tracker:
    """Return a tracker on an empty store."""
    return Tracker(store, tmp_path / "artifacts")


@pytest.fixture
def write(tracker: Tracker, make_run: Callable[..., Run]) -> Write:
    """Return a function that writes a run and gives back its MLflow run id."""

    def write_run(
        key: str, *, study: str = "small", status: Status = Status.FINISHED, started: float = 1.0
    ) -> str:
        run = replace(make_run(), key=key, study=study)
        return tracker.write([Record(run, status, TrainerName.SINGLE, started=started)])[0]

    return write_run


def answer(store: str, *, studies: tuple[str, ...] = ("small",)) -> dict[str, dict[str, object]]:
    """Return the quick answer, after checking that MLflow's client gives the same."""
    quick = stored_runs(store, list(studies))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "is_database", lambda _: False)
        assert stored_runs(store, list(studies)) == quick
    return {study: dict(runs) for study, runs in quick.items()}


def test_finished_and_failed_runs(store: str, write: Write) -> None:
    one, two = write("a"), write("b", status=Status.FAILED)
    found = answer(store)
    assert found == {"small": {"a": (one, "FINISHED"), "b": (two, "FAILED")}}
    assert finished_runs(stored_runs(store, ["small"])) == {"small": {"a": one}}


def test_deleted_and_running_runs_do_not_count(store: str, write: Write) -> None:
    client = MlflowClient(store)
    kept = write("a")
    client.delete_run(write("b"))
    experiment = client.get_run(kept).info.experiment_id
    client.create_run(experiment, tags={"ablation.key": "c"})
    client.set_terminated(client.create_run(experiment).info.run_id)
    assert answer(store) == {"small": {"a": (kept, "FINISHED")}}


def test_a_finished_run_hides_failed_ones(store: str, write: Write) -> None:
    write("a", status=Status.FAILED, started=1.0)
    good = write("a", started=2.0)
    write("a", status=Status.FAILED, started=3.0)
    assert answer(store) == {"small": {"a": (good, "FINISHED")}}


def test_of_two_finished_runs_the_first_counts(store: str, write: Write) -> None:
    first = write("a", started=5.0)
    write("a", started=6.0)
    assert answer(store) == {"small": {"a": (first, "FINISHED")}}


def test_studies_do_not_mix(store: str, write: Write) -> None:
    one, two = write("a", study="one"), write("a", study="two")
    assert answer(store, studies=("one", "two", "three")) == {
        "one": {"a": (one, "FINISHED")},
        "two": {"a": (two, "FINISHED")},
        "three": {},
    }


def test_a_store_that_does_not_exist_yet_is_empty_and_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "none" / "mlflow.db"
    assert stored_runs(f"sqlite:///{path}", ["a"]) == {"a": {}}
    assert not path.parent.exists()


def test_a_database_without_tables_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    sqlite3.connect(path).close()
    path.touch()
    assert stored_runs(f"sqlite:///{path}", ["a"]) == {"a": {}}


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("not a database, " * 100)
    with pytest.raises(StoreError, match="cannot be read: file is not a database") as error:
        stored_runs(f"sqlite:///{path}", ["a"])
    assert "\n" not in str(error.value)


def test_the_newest_schema_is_that_of_a_new_store(store: str) -> None:
    with sqlite3.connect(store.removeprefix("sqlite:///")) as connection:
        ((found,),) = connection.execute("SELECT version_num FROM alembic_version")
    connection.close()
    assert newest() == found
