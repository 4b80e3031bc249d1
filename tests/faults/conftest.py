"""A lab with empty stores, and what an undisturbed call gives."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ablation_lab.store.trials import open_storage
from tests.cli.lab import Lab
from tests.engines.conftest import fake_torch, jobs, ray_token  # noqa: F401 - for all of this folder
from tests.faults.lab import EVERY, Many, Results

# The long form alone, of ``make faults``: many kills of each kind, disks, clusters.
LONG = [f"test_{name}.py" for name in ("disk", "kills", "ray", "server", "slurm")]
collect_ignore = [] if "ABLATION_KILLS" in os.environ else LONG


@pytest.fixture(scope="session")
def empty_stores(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store and a queue that hold nothing; creating them takes seconds."""
    folder = tmp_path_factory.mktemp("empty_stores")
    open_storage(f"sqlite:///{folder / 'queue.db'}").engine.dispose()
    with closing(sqlite3.connect(folder / "queue.db")) as queue:
        queue.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(empty_store, folder)
    return folder


def many_in(folder: Path, empty_stores: Path) -> Many:
    """Return the study of many runs in a folder, on empty SQLite stores."""
    lab = Lab(folder)
    shutil.copytree(empty_stores, folder / "runs")
    runs = f"sqlite:///{folder / 'runs'}"
    return Many(lab, f"{runs}/mlflow.db", f"{runs}/queue.db")


@pytest.fixture
def many(empty_stores: Path, tmp_path: Path) -> Many:
    """Return the study of many runs in a folder of the test's own."""
    return many_in(tmp_path, empty_stores)


@pytest.fixture
def lab(many: Many) -> Lab:
    """Return the folder of that study."""
    return many.lab


@pytest.fixture(scope="session")
def undisturbed(empty_stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return what every run measures in a call that nothing disturbs."""
    many = many_in(tmp_path_factory.mktemp("undisturbed"), empty_stores)
    outcome = many.call()
    assert (outcome.status, outcome.err) == (0, "")
    results = many.results()
    assert sorted(results) == EVERY
    many.assert_whole(results)
    return results
