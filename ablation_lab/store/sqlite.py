"""SQLite as the store: quick commits, and readers beside the writer.

Tracking and queue take many small transactions. With a rollback journal each waits for the disk
twice; with a write-ahead log and ``synchronous=NORMAL`` none does, readers never block the writer,
and a killed process still loses nothing (only a power cut may lose the last moments, never the
file).
"""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

BUSY_MILLISECONDS = 60_000


def is_database(path: Path) -> bool:
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
