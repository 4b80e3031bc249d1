"""Where the files of a local store lie: with its database, wherever the two are now.

MLflow writes the absolute place of its files into every experiment and every run. A store whose
folder was moved, renamed or copied would read and write at the old place. So an experiment of the
lab also knows its place as seen from the database, and whoever opens the store sets the absolute
ones right first, all of them in one transaction. A folder elsewhere, which a user chose for the
files, stays where it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ablation_lab.errors import StoreError
from ablation_lab.store.connect import BUSY_MILLISECONDS
from ablation_lab.store.tags import Tag

ABOVE = ".."
FOLDER = "artifacts"  # beside the database, unless the user chose another

EXPERIMENTS = """
SELECT e.experiment_id, e.artifact_location, t.value FROM experiments AS e
LEFT JOIN experiment_tags AS t ON t.experiment_id = e.experiment_id AND t.key = ?
"""
# experiment id, place before, place now, place seen from the database
Move = tuple[int, str, str, str]


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
