"""What all tests share: one migrated MLflow database per session, copied for every store."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import hypothesis
import pytest

# One thread, as in the lab's own workers: on a loaded machine several wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A loaded machine is no failure, and the same code gives the same result every time.
hypothesis.settings.register_profile("lab", deadline=None, derandomize=True, max_examples=30)
hypothesis.settings.load_profile("lab")


def pytest_configure(config: pytest.Config) -> None:
    """Let one warning of MLflow about its own use of SQLAlchemy pass; all others are errors."""
    config.addinivalue_line("filterwarnings", "ignore:The ``noload`` loader strategy")


# Folders and files whose tests share things that take seconds to make.
SHARING = (
    "experiments/cli",
    "analysis",
    "experiments/data",
    "experiments/tracking/test_postgres",
    "experiments/engines",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep tests that share a costly fixture in one process of pytest, if it has several."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here).as_posix()
        for name in SHARING:
            if place.startswith(name):
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with MLflow's tables and no run; creating one takes seconds."""
    from experiments.tracking import Tracker

    path = tmp_path_factory.mktemp("empty_store") / "mlflow.db"
    Tracker(f"sqlite:///{path}", None)
    with sqlite3.connect(path) as connection:
        # Only the file itself is copied, so what still lies in its log has to be written to it.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    """Return the address of a fresh, empty store in the test's own folder."""
    path = tmp_path / "mlflow.db"
    shutil.copy(empty_store, path)
    return f"sqlite:///{path}"
