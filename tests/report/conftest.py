"""One migrated database per session, copied for every store; one golden store and its studies."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from ablation_lab.report.study import Study, load
from tests.report.golden_store import Writer, write_store


def pytest_configure(config: pytest.Config) -> None:
    """Let one warning of MLflow about its own use of SQLAlchemy pass; all others are errors."""
    config.addinivalue_line("filterwarnings", "ignore:The ``noload`` loader strategy")


@event.listens_for(Engine, "connect")
def skip_waiting_for_the_disk(connection: Any, _: object) -> None:
    """Let SQLite not wait for the disk at each commit: half of the time of writing a store."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, migrated once: creating one takes seconds."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    with sqlite3.connect(path) as connection:
        # Only the file itself is copied, so what still lies in its log has to be written to it.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture(scope="session")
def golden_uri(template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The store with the three golden studies."""
    folder = tmp_path_factory.mktemp("golden")
    shutil.copy(template, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    write_store(uri, folder / "artifacts")
    return uri


@pytest.fixture(scope="session")
def studies(golden_uri: str) -> dict[str, Study]:
    """The golden studies of the quick profile, loaded."""
    return {study.name: study for study in load(golden_uri, "quick")}


@pytest.fixture
def new_writer(template: Path, tmp_path: Path) -> Callable[[], Writer]:
    """Makes a writer for a fresh, empty store."""

    def make() -> Writer:
        path = tmp_path / "mlflow.db"
        shutil.copy(template, path)
        return Writer(f"sqlite:///{path}", tmp_path / "artifacts")

    return make
