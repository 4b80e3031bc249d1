"""One MLflow store: opened, or refused in one line; its experiments, runs and their files.

MLflow takes seconds to import, so it is imported when a store is opened.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from ablation_lab.errors import StoreError, redact
from ablation_lab.store.connect import (
    address,
    alone,
    connected,
    create_whole,
    file_of,
    is_database,
    use_write_ahead_log,
)
from ablation_lab.store.experiments import deleted
from ablation_lab.store.places import FOLDER, beside, folder_of, settle, validate_file
from ablation_lab.store.runs import ACTIVE
from ablation_lab.store.tags import Kind, Tag, having, plain

# Before MLflow is imported: nothing phones home.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# What fails is said at once, and tried again by whoever knows how often: not a request by itself,
# which could create a run twice. A database that does not answer is not waited for, either.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
os.environ.setdefault("PGCONNECT_TIMEOUT", "30")

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# Where a project keeps files whose database is on a server.
RUNS = Path("runs")
# By this MLflow's own server tells its store where files go; it has no other way.
ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
PAGE = 5000
SERVERS = ("http://", "https://")
# How long a server may take to say that it is there, in seconds.
PATIENCE = 30.0


class Store:
    """A connection to one MLflow store.

    Errors: ``StoreError`` of one line where the store cannot be opened, is of an older schema, or
    cannot be written.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self.uri = uri
        self.client = open_client(uri)
        self._database = file_of(uri)
        self._inode = _inode(self._database) if self._database else None
        if artifacts is None and is_database(uri):
            artifacts = (folder_of(self._database) if self._database else RUNS) / FOLDER
        self._artifacts = artifacts
        self._experiments: dict[str, str] = {}

    def settle(self) -> None:
        """See that files go to where the store lies now.

        Errors: ``StoreError`` where its file was deleted, or another put in its place: what is
        written through a connection of before would be in neither.
        """
        if self._database is None:
            return
        if _inode(self._database) != self._inode:
            raise StoreError(
                f"store {self._database}: was deleted or replaced while it was written; what was "
                "not in it yet waits in the spool beside the queue: call again"
            )
        settle(self._database)

    def look(self) -> None:
        """See that the store is there. Errors: ``StoreError``, or what a server gives."""
        self.settle()
        if self._database is None and is_database(self.uri):
            with connected(self.uri):
                pass
        elif self.uri.startswith(SERVERS):
            requests.get(f"{self.uri}/health", timeout=PATIENCE).raise_for_status()

    def alone(self) -> AbstractContextManager[None]:
        """Let no other process of the lab look for what it would create, while the body does."""
        return alone(self.uri, "lock")

    def find(self, name: str) -> str:
        """Return the id of an experiment, '' where there is none."""
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id) if found else ""

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, which is created where it does not exist.

        Errors: ``StoreError`` for one that was deleted: its name stays taken, and nothing enters.
        """
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            if found and found.lifecycle_stage != ACTIVE:
                raise StoreError(deleted(self.uri, name, found.experiment_id))
            self._experiments[name] = str(found.experiment_id) if found else self._created(name)
        return self._experiments[name]

    def search(self, experiment: str, wanted: str = "") -> Iterator[Run]:
        """Yield the active runs of an experiment that meet MLflow's filter, the earliest first."""
        found = self.find(experiment)
        token: str | None = None
        while found:
            page = self.client.search_runs(
                [found],
                wanted,
                order_by=["attributes.start_time ASC"],
                max_results=PAGE,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def report_run(self, study: str, profile: str) -> str:
        """Return the id of a study's report run, which is created where it does not exist."""
        tags = {Tag.KIND: Kind.REPORT, Tag.PROFILE: profile}
        for run in self.search(study, having(tags)):
            return str(run.info.run_id)
        created = self.client.create_run(
            self.experiment(study), run_name=f"report ({profile})", tags=plain(tags)
        )
        return str(created.info.run_id)

    def has(self, run_id: str, name: str) -> bool:
        """Whether the store has that file of a run."""
        return any(item.path == name for item in self.client.list_artifacts(run_id))

    @contextmanager
    def file(self, run_id: str, name: str) -> Iterator[Path]:
        """Give a copy of a file of a run, for as long as the body runs."""
        with tempfile.TemporaryDirectory() as folder:
            yield Path(self.client.download_artifacts(run_id, name, folder))

    def text(self, run_id: str, name: str) -> str:
        """Return a text file of a run."""
        with self.file(run_id, name) as path:
            return path.read_text(encoding="utf-8")

    def _created(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        try:
            return self._create(name)
        except MlflowException:
            # Another runner was quicker; only it knows who creates what on a server.
            if number := self.find(name):
                return number
            raise

    def _create(self, name: str) -> str:
        if self._artifacts is None:
            return str(self.client.create_experiment(name))
        place = self._artifacts / name
        tags = plain({Tag.ARTIFACTS: beside(self._database, place)}) if self._database else {}
        return str(self.client.create_experiment(name, place.resolve().as_uri(), tags))


@contextmanager
def readable(uri: str) -> Iterator[None]:
    """Say in one line which store cannot be read and why (StoreError), whoever found out."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        first = redact(str(error).splitlines()[0])
        raise StoreError(
            f"store {redact(uri)} cannot be read: {first}; check the address"
        ) from error


def _inode(path: Path) -> int | None:
    """Return what tells a file from any other that comes to lie in its place."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow counts it."""
    return int(seconds * 1000)


def open_client(uri: str) -> MlflowClient:
    """Open the store, which is created where there is none, or say in one line why it cannot be.

    MLflow itself would try again for minutes.
    """
    path = file_of(uri)
    if path is not None:
        validate_file(uri, "store", "tracking.uri")
        create_whole(path, _create)
        settle(path)
    return _opened(address(uri), redact(uri))


def _create(uri: str) -> None:
    # Only here: it imports MLflow.
    from ablation_lab.store.writers import close

    close(_client(uri))


@cache
def _opened(uri: str, named: str) -> MlflowClient:
    if uri.startswith(SERVERS):
        try:
            requests.get(f"{uri}/health", timeout=PATIENCE)
        except requests.RequestException:
            raise StoreError(
                f"store {named}: no server answers there; start it, or set tracking.uri"
            ) from None
    try:
        if not is_database(uri):
            return _client(uri)
        with connected(uri):  # MLflow would change the tables of another version
            pass
        # A file is whole already; a server's tables are made by the first who comes.
        with nullcontext() if file_of(uri) else alone(uri, "tables"):
            return _client(uri)
    except StoreError:
        raise
    except Exception as error:  # drivers raise whatever they like
        line = redact(" ".join(str(error).split()))[:300]
        raise StoreError(f"store {named}: cannot be opened: {line}") from None


def _client(uri: str) -> MlflowClient:
    """Return MLflow's client of a store that answered once; a new database has its tables then."""
    from mlflow import MlflowClient

    use_write_ahead_log()
    # What fails is raised as well, after pages of each try.
    for name in ("mlflow.store", "sqlalchemy.pool", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # MLflow makes the folder of an address that begins with sqlite:, and takes %25 for a name.
    whole = uri.replace("sqlite:", "sqlite+pysqlite:", 1) if "%" in uri else uri
    with _artifact_root(file_of(uri)):
        client = MlflowClient(whole)
        client.search_experiments(max_results=1)
    return client


@contextmanager
def _artifact_root(database: Path | None) -> Iterator[None]:
    """Have MLflow keep the files of its own first experiment beside the database.

    Its folder of today, where it would keep them, it writes into SQL as it is, quotes and all.
    """
    before = os.environ.get(ARTIFACT_ROOT)
    if database is None or before is not None:
        yield
        return
    os.environ[ARTIFACT_ROOT] = (database.parent / FOLDER).resolve().as_uri()
    try:
        yield
    finally:
        del os.environ[ARTIFACT_ROOT]
