"""A store's files lie with it, wherever it is: nothing points back to where it was."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ablation_lab.errors import StoreError
from ablation_lab.store.connect import given_path
from ablation_lab.store.places import settle, validate_readable
from ablation_lab.store.runs import stored_runs
from ablation_lab.store.tags import Tag
from ablation_lab.store.trials import open_storage
from ablation_lab.store.write import Tracker
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName

# MLflow keeps open what a process has opened once, so whoever comes later is another process.
WRITE = """
import sys, pickle
from pathlib import Path
from ablation_lab.store.write import Tracker
record, artifacts = pickle.load(sys.stdin.buffer)
tracker = Tracker(sys.argv[1], artifacts)
tracker.declare("small", "smoke", {"question": "Again?"})
print(*tracker.write([record]))
"""
READ = """
import sys
from ablation_lab.store.client import Store
store = Store(sys.argv[1])
print(store.text(sys.argv[2], "traceback.txt"))
"""


@pytest.fixture
def record(make_run: Callable[..., Run]) -> Record:
    """Return what a run with a file leaves."""
    return Record(
        run=make_run(),
        status=Status.FAILED,
        trainer=TrainerName.SINGLE,
        reason="no",
        error="Traceback of it",
    )


@pytest.fixture
def project(empty_store: Path, tmp_path: Path, record: Record) -> Path:
    """Return a folder with runs/, in which a declaration and a run with a file are stored."""
    folder = tmp_path / "Lab (copy) ü [1] #2, it's & 100%"
    (folder / "runs").mkdir(parents=True)
    shutil.copy(empty_store, folder / "runs" / "mlflow.db")
    tracker = Tracker(uri_of(folder), folder / "runs" / "artifacts")
    tracker.declare("small", "smoke", {"question": "Why?"})
    tracker.write([record])
    checkpoint(folder)
    return folder


def uri_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'runs' / 'mlflow.db'}"


def checkpoint(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def query(folder: Path, text: str) -> list[str]:
    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as connection:
        return [value for (value,) in connection.execute(text)]


def places(folder: Path) -> list[str]:
    """Return every place of files that the store names, but for MLflow's default experiment."""
    return [
        *query(folder, "SELECT artifact_location FROM experiments WHERE experiment_id <> '0'"),
        *query(folder, "SELECT artifact_uri FROM runs"),
    ]


def in_another_process(code: str, *arguments: str, given: bytes = b"", cwd: Path) -> str:
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=given,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def write_again(uri: str, record: Record, *, cwd: Path) -> str:
    given = pickle.dumps((record, Path("runs", "artifacts")))
    return in_another_process(WRITE, uri, given=given, cwd=cwd)


def failed_run(folder: Path) -> str:
    (run_id,) = query(folder, "SELECT run_uuid FROM runs WHERE status = 'FAILED'")
    return run_id


@pytest.mark.parametrize("relative", [True, False])
def test_a_store_that_was_moved_is_read_and_written_where_it_is(
    project: Path, tmp_path: Path, record: Record, relative: bool
) -> None:
    moved = tmp_path / "elsewhere ä" / "lab"
    moved.parent.mkdir()
    before = failed_run(project)
    project.rename(moved)
    uri = "sqlite:///runs/mlflow.db" if relative else uri_of(moved)
    assert in_another_process(READ, uri, before, cwd=moved) == "Traceback of it"
    after = write_again(uri, record, cwd=moved)
    assert in_another_process(READ, uri, after, cwd=moved) == "Traceback of it"
    assert all(place.startswith(f"{moved.as_uri()}/runs/artifacts/") for place in places(moved))
    assert len(list((moved / "runs" / "artifacts").rglob("traceback.txt"))) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere ä"]


def test_a_copy_has_its_own_files_while_the_first_store_is_still_there(
    project: Path, tmp_path: Path, record: Record
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    known = set(project.rglob("*"))
    run_id = write_again(uri_of(copy), record, cwd=copy)
    assert set(project.rglob("*")) == known
    assert list(copy.glob(f"runs/artifacts/small.replicates/{run_id}/artifacts/*"))
    assert all(place.startswith(copy.as_uri()) for place in places(copy))
    assert all(place.startswith(project.as_uri()) for place in places(project))


def test_a_link_to_a_store_is_the_store(project: Path, tmp_path: Path, record: Record) -> None:
    known = places(project)
    (tmp_path / "link").symlink_to(project, target_is_directory=True)
    run_id = write_again(uri_of(tmp_path / "link"), record, cwd=tmp_path / "link")
    assert set(known) <= set(places(project))
    assert all(place.startswith(project.as_uri()) for place in places(project))
    assert in_another_process(READ, uri_of(project), run_id, cwd=tmp_path) == "Traceback of it"


def test_a_store_of_earlier_code_is_set_right_too(project: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(project / "runs" / "mlflow.db")) as connection:
        connection.execute("DELETE FROM experiment_tags WHERE key = ?", (Tag.ARTIFACTS,))
        connection.commit()
    run_id, moved = failed_run(project), tmp_path / "moved"
    project.rename(moved)
    assert in_another_process(READ, uri_of(moved), run_id, cwd=moved) == "Traceback of it"
    assert all(place.startswith(moved.as_uri()) for place in places(moved))


def test_files_elsewhere_stay_elsewhere(empty_store: Path, tmp_path: Path, record: Record) -> None:
    folder, far = tmp_path / "lab", tmp_path / "far"
    (folder / "runs").mkdir(parents=True)
    shutil.copy(empty_store, folder / "runs" / "mlflow.db")
    (run_id,) = Tracker(uri_of(folder), far).write([record])
    checkpoint(folder)
    known, moved = places(folder), tmp_path / "moved"
    folder.rename(moved)
    assert in_another_process(READ, uri_of(moved), run_id, cwd=moved) == "Traceback of it"
    assert places(moved) == known


def test_a_link_to_the_file_alone_leads_to_the_files_beside_it(
    project: Path, tmp_path: Path, record: Record
) -> None:
    known = places(project)
    (tmp_path / "elsewhere" / "artifacts").mkdir(parents=True)
    link = tmp_path / "elsewhere" / "lab.db"
    link.symlink_to(project / "runs" / "mlflow.db")
    settle(link)
    assert places(project) == known
    (run_id,) = Tracker(f"sqlite:///{link}", None).write([record])
    assert list(project.glob(f"runs/artifacts/small.replicates/{run_id}/artifacts/*"))
    assert list((tmp_path / "elsewhere" / "artifacts").iterdir()) == []


@pytest.mark.parametrize("given", ["files", "runs/deep/files", "."])
def test_a_folder_that_was_given_relative_to_the_project_moves_with_it(
    empty_store: Path,
    tmp_path: Path,
    record: Record,
    given: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, moved = tmp_path / "lab", tmp_path / "moved ü"
    (folder / "runs").mkdir(parents=True)
    shutil.copy(empty_store, folder / "runs" / "mlflow.db")
    monkeypatch.chdir(folder)
    (run_id,) = Tracker("sqlite:///runs/mlflow.db", Path(given)).write([record])
    checkpoint(folder)
    monkeypatch.chdir(tmp_path)
    folder.rename(moved)
    settle(moved / "runs" / "mlflow.db")
    now = (moved / given).resolve().as_uri()
    assert all(place.startswith(f"{now}/small") for place in places(moved))
    assert in_another_process(READ, uri_of(moved), run_id, cwd=tmp_path) == "Traceback of it"


def test_a_tilde_is_the_folder_of_the_user(
    project: Path, tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(project))
    monkeypatch.chdir(tmp_path)
    uri = "sqlite:///~/runs/mlflow.db"
    (run_id,) = Tracker(uri, given_path("~/runs/artifacts")).write([record])
    assert stored_runs(uri, ["small"]) == stored_runs(uri_of(project), ["small"])
    assert list(project.glob(f"runs/artifacts/small.replicates/{run_id}/artifacts/*"))
    validate_readable(uri)
    open_storage("sqlite:///~/runs/queue.db")
    assert (project / "runs" / "queue.db").exists()
    assert not (tmp_path / "~").exists()
    assert given_path("~x") == Path("~x")


def test_what_lies_right_is_not_written(project: Path) -> None:
    database = project / "runs" / "mlflow.db"
    before = database.read_bytes()
    settle(database)
    assert database.read_bytes() == before


@pytest.mark.parametrize("place", ["../../far", "/far"])
def test_a_place_outside_the_store_is_not_believed(project: Path, place: str) -> None:
    with closing(sqlite3.connect(project / "runs" / "mlflow.db")) as connection:
        connection.execute(
            "UPDATE experiment_tags SET value = ? WHERE key = ?", (place, Tag.ARTIFACTS)
        )
        connection.commit()
    known = places(project)
    settle(project / "runs" / "mlflow.db")
    assert places(project) == known


def test_a_moved_store_that_cannot_be_written_is_one_line(project: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    project.rename(moved)
    database = moved / "runs" / "mlflow.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    with pytest.raises(StoreError, match="was moved, and its files cannot be found anew: no"):
        settle(database)
    assert all(not place.startswith(moved.as_uri()) for place in places(moved))
