"""Where a call reads and writes, and where the files of a store lie.

Comes in: addresses of databases and servers, files and folders, each with the setting that names
it. Goes out: one line for what is wrong, before anything is done. Nothing here imports MLflow, or
creates anything.

MLflow writes the absolute place of its files into every experiment and every run. A store whose
folder was moved, renamed or copied would read and write at the old place. So an experiment of the
lab also knows its place as seen from the database, and whoever opens the store sets the absolute
ones right first, all of them in one transaction. A folder elsewhere, which a user chose for the
files, stays where it is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.errors import StoreError, redact
from ablation_lab.store.connect import BUSY_MILLISECONDS, database, file_of, said
from ablation_lab.store.tags import Tag

if TYPE_CHECKING:
    from ablation_lab.runner.configuration import Invocation

ABOVE = ".."
FOLDER = "artifacts"  # beside the database, unless the user chose another

EXPERIMENTS = """
SELECT e.experiment_id, e.artifact_location, t.value FROM experiments AS e
LEFT JOIN experiment_tags AS t ON t.experiment_id = e.experiment_id AND t.key = ?
"""
# experiment id, place before, place now, place seen from the database
Move = tuple[int, str, str, str]


def validate_places(invocation: Invocation) -> None:
    """Refuse a call that could not keep what it does.

    Errors: ``StoreError``.
    """
    validate_file(invocation.tracking_uri, "store", "tracking.uri")
    validate_queue(invocation.queue_uri)
    for setting, folder in (
        ("tracking.artifacts", invocation.artifacts),
        ("reports", invocation.reports),
    ):
        if folder is not None:
            validate_folder(folder, setting)


def validate_address(uri: str, setting: str, example: str) -> None:
    """Refuse what is no address of a database or server."""
    if "://" not in uri:
        found = redact(uri)
        raise StoreError(f"{setting}: expected an address such as {example}, found {found!r}")


def validate_queue(uri: str) -> None:
    """Refuse a queue whose file cannot be written, or whose server does not answer."""
    validate_address(uri, "tracking.queue", "sqlite:///runs/queue.db")
    if file_of(uri):
        validate_file(uri, "queue", "tracking.queue")
        return
    engine = database(uri, "queue", "tracking.queue")
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        raise StoreError(f"queue {redact(uri)}: cannot be opened: {said(error)}") from None
    finally:
        engine.dispose()


def validate_file(uri: str, what: str, setting: str) -> None:
    """Refuse a file of SQLite that cannot be written, or created; no other address is looked at."""
    path = file_of(uri)
    if path is None:
        return
    if not path.exists():
        _validate_place(path, f"{what} {path}: cannot be created", setting)
    elif not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        # Beside the file SQLite keeps its log.
        raise StoreError(f"{what} {path}: not writable; set {setting} to one that is")
    elif not path.is_file() or not is_sqlite(path):
        raise StoreError(f"{what} {path}: not an SQLite database; move it away, or set {setting}")


def validate_folder(path: Path, setting: str) -> None:
    """Refuse a folder in which nothing can be written."""
    _validate_place(path / "any file", f"{setting} {path}: cannot be written", setting)


def validate_readable(uri: str) -> None:
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


def _validate_place(path: Path, lead: str, setting: str) -> None:
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


def beside(database: Path, place: Path) -> str:
    """Return a place as seen from the folder of a database, if it moves with that; else in full.

    What lies below the folder does, and what was given relative to the project around it.
    """
    folder, resolved = folder_of(database), place.resolve()
    if resolved.is_relative_to(folder):
        return resolved.relative_to(folder).as_posix()
    if not place.is_absolute() and resolved.is_relative_to(folder.parent):
        return f"{ABOVE}/{resolved.relative_to(folder.parent).as_posix()}"
    return resolved.as_uri()


def folder_of(database: Path) -> Path:
    """Return the folder in which a database is, whatever links lead to it."""
    return database.resolve().parent


def settle(database: Path) -> None:
    """Have all experiments and runs of an SQLite store name the files that lie with it.

    Errors: ``StoreError`` where the store was moved and may not be written.
    """
    folder = folder_of(database)
    wait = BUSY_MILLISECONDS / 1000
    with closing(sqlite3.connect(database, timeout=wait, isolation_level=None)) as connection:
        if not any(True for _ in _moves(connection, folder)):
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            # Asked again: another process may have been quicker.
            for move in list(_moves(connection, folder)):
                _carry_out(connection, move)
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"store {database}: was moved, and its files cannot be found anew: {error}"
            ) from None


def _moves(connection: sqlite3.Connection, folder: Path) -> Iterator[Move]:
    try:
        rows = connection.execute(EXPERIMENTS, (Tag.ARTIFACTS,)).fetchall()
    except sqlite3.OperationalError:  # a store in the making has no tables yet
        return
    for experiment, location, known in rows:
        place = known if known is not None else _guess(location, folder)
        if place is None or not _moves_along(place):
            continue
        now = (folder / place).resolve().as_uri()
        if now != location:
            yield int(experiment), location, now, place


def _moves_along(place: str) -> bool:
    """Whether a place is one below the database's folder, or the project's; others are not ours."""
    if urlsplit(place).scheme or PurePosixPath(place).is_absolute():
        return False
    return ABOVE not in PurePosixPath(place).parts[1:]


def _guess(location: str, folder: Path) -> str | None:
    """Return the place of an experiment that was made before places were kept, if it moved."""
    parts = urlsplit(location)
    if parts.scheme not in ("", "file"):
        return None
    before = Path(url2pathname(parts.path) if parts.scheme else location)
    if before.parent.name != FOLDER or before.is_relative_to(folder):
        return None
    moved = (folder / FOLDER).is_dir() or not before.parent.exists()
    return f"{FOLDER}/{before.name}" if moved else None


def _carry_out(connection: sqlite3.Connection, move: Move) -> None:
    experiment, before, now, place = move
    connection.execute(
        "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (now, experiment)
    )
    connection.execute(
        "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
        "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
        (now, len(before) + 1, experiment, len(before) + 1, f"{before}/"),
    )
    connection.execute(
        "INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)",
        (Tag.ARTIFACTS, place, experiment),
    )
