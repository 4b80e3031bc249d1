"""Where a call reads and writes: opened, or refused in one line before anything is done.

Comes in: addresses of databases and servers, files and folders, each with the setting that names
it. Goes out: an engine, or one line for what is wrong. Nothing here imports MLflow, or creates
anything.

SQLite writes ahead: tracking and queue take many small transactions, and with a rollback journal
each waits for the disk twice. With a write-ahead log and ``synchronous=NORMAL`` none does, readers
never block the writer, and a killed process still loses nothing (only a power cut may lose the last
moments, never the file).
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ablation_lab.errors import StoreError, installing, redact

if TYPE_CHECKING:
    from ablation_lab.runner.configuration import Invocation

SQLITE = "sqlite:///"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
BUSY_MILLISECONDS = 60_000
# MLflow's migrations name each the revision that it follows; a database names its own.
MIGRATIONS = Path("store", "db_migrations", "versions")
REVISIONS = "alembic_version"
REVISION = re.compile(r"^revision\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)
FOLLOWED = re.compile(r"^down_revision\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)


def is_database(uri: str) -> bool:
    """Whether the store is a database that can be asked directly."""
    return uri.startswith(DATABASES)


def file_of(uri: str) -> Path | None:
    """Return the file of an SQLite database, None for any other address."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def is_absent(uri: str) -> bool:
    """Say whether an address is that of a file which does not exist yet."""
    path = file_of(uri)
    return path is not None and not path.exists()


def refuse_places(invocation: Invocation) -> None:
    """Refuse a call that could not keep what it does.

    Errors: ``StoreError``.
    """
    refuse_file(invocation.tracking_uri, "store", "tracking.uri")
    refuse_queue(invocation.queue_uri)
    for setting, folder in (
        ("tracking.artifacts", invocation.artifacts),
        ("reports", invocation.reports),
    ):
        if folder is not None:
            refuse_folder(folder, setting)


def refuse_no_address(uri: str, setting: str, example: str) -> None:
    """Refuse what is no address of a database or server."""
    if "://" not in uri:
        found = redact(uri)
        raise StoreError(f"{setting}: expected an address such as {example}, found {found!r}")


def refuse_queue(uri: str) -> None:
    """Refuse a queue whose file cannot be written, or whose server does not answer."""
    refuse_no_address(uri, "tracking.queue", "sqlite:///runs/queue.db")
    if file_of(uri):
        refuse_file(uri, "queue", "tracking.queue")
        return
    engine = database(uri, "queue", "tracking.queue")
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        raise StoreError(f"queue {redact(uri)}: cannot be opened: {said(error)}") from None
    finally:
        engine.dispose()


def refuse_file(uri: str, what: str, setting: str) -> None:
    """Refuse a file of SQLite that cannot be written, or created; no other address is looked at."""
    path = file_of(uri)
    if path is None:
        return
    if not path.exists():
        _refuse_place(path, f"{what} {path}: cannot be created", setting)
    elif not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        # Beside the file SQLite keeps its log.
        raise StoreError(f"{what} {path}: not writable; set {setting} to one that is")
    elif not path.is_file() or not is_sqlite(path):
        raise StoreError(f"{what} {path}: not an SQLite database; move it away, or set {setting}")


def refuse_folder(path: Path, setting: str) -> None:
    """Refuse a folder in which nothing can be written."""
    _refuse_place(path / "any file", f"{setting} {path}: cannot be written", setting)


def refuse_unreadable(uri: str) -> None:
    """Refuse a store to be read that is no address, or an SQLite file that is not there or is none.

    MLflow would create a missing SQLite file, and try for minutes to open one that is no database.
    """
    if "://" not in uri:
        raise StoreError(
            f"store {redact(uri)!r} is no address; expected one such as sqlite:///runs/mlflow.db"
        )
    path = file_of(uri)
    if path is None:
        return
    if not path.is_file():
        raise StoreError(f"store {uri}: no file {str(path)!r}; run a study first, or fix the path")
    if not is_sqlite(path):
        raise StoreError(f"store {uri} cannot be read: the file is no SQLite database")


def _refuse_place(path: Path, lead: str, setting: str) -> None:
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise StoreError(
            f"{lead}: {folder} is no folder that can be written; set {setting} to a place that is"
        )


def is_sqlite(path: Path) -> bool:
    """Whether a file is a database of SQLite; an empty one can become one.

    SQLite is asked, as it alone may open such a file: its locks would end with any other reader in
    this process, and then another process may remove the log under a writer.
    """
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB
    finally:
        connection.close()
    return True


@cache
def use_write_ahead_log() -> None:
    """Have every SQLite connection that this process opens through SQLAlchemy write ahead."""
    event.listen(Engine, "connect", _on_connect)


def _on_connect(connection: Any, record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()


@contextmanager
def alone(file: str, *, patience: float = BUSY_MILLISECONDS / 1000) -> Iterator[None]:
    """Let one process at a time do what the body does; others wait ``patience`` seconds.

    The lock is an empty database of SQLite, which lets go of it when its process dies.
    """
    lock = sqlite3.connect(file, timeout=patience)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        lock.close()


def database(uri: str, what: str, setting: str) -> Engine:
    """Return SQLAlchemy's engine; refuse an address that it cannot read or has no driver for."""
    try:
        return create_engine(uri)
    except ArgumentError:
        raise StoreError(f"{setting}: no address of a database: {redact(uri)!r}") from None
    except ImportError as error:
        raise StoreError(
            f"{what} {redact(uri)}: its driver is not installed ({error}); "
            f"PostgreSQL's comes with: {installing('psycopg[binary]')}"
        ) from None


@contextmanager
def connected(uri: str) -> Iterator[Connection]:
    """Connect to the database of a store that is to be read, without MLflow.

    Errors: ``StoreError`` where there is none, or its tables are those of another MLflow.
    """
    engine = database(uri, "store", "tracking.uri")
    try:
        with engine.connect() as connection:
            refuse_older(connection, uri)
            yield connection
    except SQLAlchemyError as error:
        raise StoreError(f"store {redact(uri)}: cannot be read: {said(error)}") from error
    finally:
        engine.dispose()


def said(error: SQLAlchemyError) -> str:
    """Return in one line what a database said."""
    return redact(" ".join(str(getattr(error, "orig", None) or error).split()))[:200]


def refuse_older(connection: Connection, uri: str) -> None:
    """Refuse a store whose tables are those of another MLflow; one without tables gets them.

    MLflow says so itself when it opens a store, but that is seconds later, after workers have
    started.
    """
    if not inspect(connection).has_table(REVISIONS):
        return
    found = connection.execute(text(f"SELECT version_num FROM {REVISIONS}")).scalar()
    if newest() and found != newest():
        raise StoreError(f"store {redact(uri)}: {older(uri)}")


def older(uri: str) -> str:
    """Say what is wrong with such a store, and what to do."""
    advice = f"back it up, then run `mlflow db upgrade {redact(uri)}`"
    return f"its schema is not the one of this MLflow; if it is older, {advice}"


@cache
def newest() -> str:
    """Return the revision that no other follows; '' where it is not to be found."""
    spec = find_spec("mlflow")
    if spec is None or spec.origin is None:
        return ""
    files = (Path(spec.origin).parent / MIGRATIONS).glob("*.py")
    texts = [path.read_text(encoding="utf-8") for path in files]
    known = {name for each in texts for name in REVISION.findall(each)}
    last = known - {name for each in texts for name in FOLLOWED.findall(each)}
    return last.pop() if len(last) == 1 else ""
