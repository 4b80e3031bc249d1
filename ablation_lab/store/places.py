"""Where a call reads and writes: refused in one line before anything is done, or not at all.

Comes in: addresses of databases and servers, files and folders, each with the setting that names
it. Goes out: one line for what is wrong. Nothing here imports MLflow, or creates anything.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.errors import StoreError, redact
from ablation_lab.store.connect import database, file_of, said

if TYPE_CHECKING:
    from ablation_lab.runner.configuration import Invocation


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
