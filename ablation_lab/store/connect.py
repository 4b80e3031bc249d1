"""Databases behind addresses: opened as MLflow and Optuna open them, locked, and created.

Comes in: an address. Goes out: an engine or a connection, or one line for what is wrong. Nothing
here imports MLflow. What is created is whole: a file of SQLite is made aside and renamed, a server
takes its tables in transactions, and one process at a time does either. Who is killed meanwhile
leaves nothing behind that is in the way.

SQLite writes ahead: tracking and queue take many small transactions, and with a rollback journal
each waits for the disk twice. With a write-ahead log and ``synchronous=NORMAL`` none does, readers
never block the writer, and a killed process still loses nothing (only a power cut may lose the last
moments, never the file).
"""

from __future__ import annotations

import hashlib
import re
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ablation_lab.errors import StoreError, installing, redact

SQLITE = "sqlite:///"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
BUSY_MILLISECONDS = 60_000
# How long others wait for who creates or opens something, in seconds.
PATIENCE = 60.0
# MLflow's migrations name each the revision that it follows; a database names its own.
MIGRATIONS = Path("store", "db_migrations", "versions")
REVISIONS = "alembic_version"
REVISION = re.compile(r"^revision\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)
FOLLOWED = re.compile(r"^down_revision\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)


def is_database(uri: str) -> bool:
    """Whether the store is a database that can be asked directly."""
    return uri.startswith(DATABASES)


def given_path(text: str) -> Path:
    """Return a path as it was given, with the user's own folder for a ``~`` at its beginning."""
    return Path(text).expanduser() if text.startswith("~/") else Path(text)


def file_of(uri: str) -> Path | None:
    """Return the file of an SQLite database, None for any other address."""
    if not uri.startswith(SQLITE):
        return None
    return given_path(unquote(uri.removeprefix(SQLITE).partition("?")[0]))


def address_of(path: Path) -> str:
    """Return the address of an SQLite database, whatever letters its path has."""
    return str(URL.create("sqlite", database=str(path)))


def address(uri: str) -> str:
    """Return an address that means the same in every folder."""
    path = file_of(uri)
    return uri if path is None else address_of(path.absolute())


def is_absent(uri: str) -> bool:
    """Say whether an address is that of a file which does not exist yet."""
    path = file_of(uri)
    return path is not None and not path.exists()


def spool_of(tracking_uri: str, queue_uri: str) -> Path:
    """Return how the spools begin of what goes to a store by way of a queue: beside the queue."""
    path = file_of(queue_uri)
    digest = hashlib.sha256(f"{tracking_uri}\n{queue_uri}".encode()).hexdigest()[:12]
    return (path.parent if path else Path("runs")) / "spool" / digest


def spools(tracking_uri: str, queue_uri: str) -> list[Path]:
    """Return the spools that there are, of runners that live and of those that left theirs."""
    place = spool_of(tracking_uri, queue_uri)
    return sorted(place.parent.glob(f"{place.name}-*"))


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
def alone(uri: str, what: str, *, of: str = "", patience: float = PATIENCE) -> Iterator[None]:
    """Let one process at a time do ``what`` (a word), of something by name, with a database.

    The lock is a file beside that of SQLite; on PostgreSQL it is an advisory lock. A process that
    dies lets go of both.
    Errors: ``StoreError`` where another process keeps the file for ``patience`` seconds.
    """
    if path := file_of(uri):
        try:
            with FileLock(f"{path}.{what}", timeout=patience):
                yield
        except Timeout:
            raise StoreError(
                f"{path}.{what}: another process has held this lock for {patience:.0f} s; end it"
            ) from None
    elif uri.startswith("postgresql"):
        digest = hashlib.sha256(f"{what} {of}".encode()).digest()
        number = int.from_bytes(digest[:8], "big", signed=True)
        with engine_of(uri) as engine, engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(number)))
            yield
    else:
        yield


def create_whole(path: Path, create: Callable[[str], None]) -> None:
    """Have a database of SQLite at ``path`` that is all there, or none.

    ``create`` makes it at the address that it is given, and closes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if _has_content(path):
        return
    with alone(address_of(path), "lock"):
        if _has_content(path):
            return
        aside = path.with_name(f"{path.name}.new")
        for left in (path, aside):
            # A log that outlived its file would be read into the next one of its name.
            for end in ("", "-wal", "-shm", "-journal"):
                left.with_name(f"{left.name}{end}").unlink(missing_ok=True)
        create(address_of(aside.absolute()))
        aside.replace(path)


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def database(uri: str, what: str, setting: str) -> Engine:
    """Return SQLAlchemy's engine; refuse an address that it cannot read or has no driver for."""
    try:
        return create_engine(address(uri))
    except ArgumentError:
        raise StoreError(f"{setting}: no address of a database: {redact(uri)!r}") from None
    except ImportError as error:
        raise StoreError(
            f"{what} {redact(uri)}: its driver is not installed ({error}); "
            f"PostgreSQL's comes with: {installing('psycopg[binary]')}"
        ) from None


@contextmanager
def engine_of(uri: str) -> Iterator[Engine]:
    """Open a database for a moment, without MLflow or Optuna."""
    engine = database(uri, "store", "tracking.uri")
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def connected(uri: str) -> Iterator[Connection]:
    """Connect to the database of a store that is to be read, without MLflow.

    Errors: ``StoreError`` where there is none, or its tables are those of another MLflow.
    """
    try:
        with engine_of(uri) as engine, engine.connect() as connection:
            validate_schema(connection, uri)
            yield connection
    except SQLAlchemyError as error:
        raise StoreError(f"store {redact(uri)}: cannot be read: {said(error)}") from error


def said(error: SQLAlchemyError) -> str:
    """Return in one line what a database said."""
    return redact(" ".join(str(getattr(error, "orig", None) or error).split()))[:200]


def validate_schema(connection: Connection, uri: str) -> None:
    """Refuse a store whose tables are those of another MLflow; one without tables gets them.

    MLflow would change them, or fail half-way. An experiment is the last thing that a new store
    gets, so one without any was left by a process that died.
    """
    tables = inspect(connection).get_table_names()
    if REVISIONS not in tables:
        return
    found = connection.execute(text(f"SELECT version_num FROM {REVISIONS}")).scalar()
    if not newest() or found == newest():
        return
    if "runs" in tables and ("experiments" not in tables or _is_empty(connection, "experiments")):
        raise StoreError(f"store {redact(uri)}: {_half_made(uri)}")
    raise StoreError(
        f"store {redact(uri)}: its schema is not the one of this MLflow; if it is older, back it "
        f"up, then run `mlflow db upgrade {redact(uri)}`"
    )


def _is_empty(connection: Connection, table: str) -> bool:
    return connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).first() is None


def _half_made(uri: str) -> str:
    path = file_of(uri)
    mend = f"delete it (`rm {shlex.quote(str(path))}*`)" if path else "drop the database, create it"
    return f"was left half made by a process that died, and holds no run; {mend} and call again"


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
