"""Where a call writes: looked at before anything is done, so that a refused call leaves nothing.

Comes in: files, folders and addresses of databases, each with the setting that names it. Goes out:
nothing, or one line for the first that cannot be written. Nothing is created.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ablation_lab.errors import StoreError, installing, redact
from ablation_lab.store.sqlite import is_database

if TYPE_CHECKING:
    from ablation_lab.runner.configuration import Invocation

SQLITE = "sqlite:///"


def refuse_places(invocation: Invocation) -> None:
    """Refuse a call that could not keep what it does.

    Errors: ``StoreError``.
    """
    if invocation.tracking_uri.startswith(SQLITE):
        refuse_file(invocation.tracking_uri, "store", "tracking.uri")
    refuse_queue(invocation.queue_uri)
    for setting, folder in (
        ("tracking.artifacts", invocation.artifacts),
        ("reports", invocation.reports),
    ):
        if folder is not None:
            refuse_folder(folder, setting)


def refuse_queue(uri: str) -> None:
    """Refuse a queue whose file cannot be written, or whose server does not answer."""
    if "://" not in uri:
        raise StoreError(
            f"tracking.queue: expected an address such as sqlite:///runs/queue.db, found {uri!r}"
        )
    if uri.startswith(SQLITE):
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
    """Refuse a database of SQLite that cannot be written, or created where there is none."""
    path = Path(uri.removeprefix(SQLITE))
    if is_absent(uri):
        _refuse_place(path, f"{what} {path}: cannot be created", setting)
    elif not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        # Beside the file SQLite keeps its log.
        raise StoreError(f"{what} {path}: not writable; set {setting} to one that is")
    elif not path.is_file() or not is_database(path):
        raise StoreError(f"{what} {path}: not an SQLite database; move it away, or set {setting}")


def is_absent(uri: str) -> bool:
    """Say whether an address is that of a file which does not exist yet."""
    return uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists()


def refuse_folder(path: Path, setting: str) -> None:
    """Refuse a folder in which nothing can be written."""
    _refuse_place(path / "any file", f"{setting} {path}: cannot be written", setting)


def _refuse_place(path: Path, lead: str, setting: str) -> None:
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise StoreError(
            f"{lead}: {folder} is no folder that can be written; set {setting} to a place that is"
        )


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


def said(error: SQLAlchemyError) -> str:
    """Return in one line what a database said."""
    return " ".join(str(getattr(error, "orig", None) or error).split())[:200]
