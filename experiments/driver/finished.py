"""Which runs the store has: key → MLflow run id, quickly, and without importing MLflow.

For a database store it is one query over MLflow's tables (``runs``, ``tags``, ``experiments``),
because MLflow's own search builds whole run objects at more than a millisecond each. Any other
store is asked through MLflow. Both give the same answer; a test holds that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from experiments.errors import StoreError, shown

SQLITE = "sqlite:///"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

QUERY = text(
    """
    SELECT tags.value, runs.run_uuid, runs.status
    FROM runs
    JOIN experiments ON experiments.experiment_id = runs.experiment_id
    JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'ablation.key'
    WHERE experiments.name = :name AND runs.lifecycle_stage = 'active'
      AND runs.status IN ('FINISHED', 'FAILED')
    ORDER BY runs.start_time, runs.run_uuid
    """
)


def stored_runs(uri: str, studies: list[str]) -> dict[str, dict[str, tuple[str, str]]]:
    """Return study → key → (MLflow run id, status); a finished run hides failed ones.

    Errors: ``StoreError`` if a database store exists and cannot be read, or cannot be created.
    """
    if "://" not in uri:
        raise StoreError(
            f"tracking.uri: expected an address such as sqlite:///runs/mlflow.db, found {uri!r}"
        )
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
        _check_place(Path(uri.removeprefix(SQLITE)))
        return {study: {} for study in studies}
    if uri.startswith(DATABASES):
        return _from_database(uri, studies)
    from experiments.tracking import Tracker

    tracker = Tracker(uri, None)
    return {study: _merge(tracker.ended(study)) for study in studies}


def finished_runs(
    stored: Mapping[str, Mapping[str, tuple[str, str]]],
) -> dict[str, dict[str, str]]:
    """Keep the finished runs: study → key → MLflow run id."""
    return {
        study: {key: run for key, (run, status) in runs.items() if status == "FINISHED"}
        for study, runs in stored.items()
    }


def _check_place(path: Path) -> None:
    """Refuse a place where no store can be created; create nothing."""
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise StoreError(
            f"store {path}: cannot be created: {folder} is no folder that can be written; "
            "set tracking.uri to a place that is"
        )


def _from_database(uri: str, studies: list[str]) -> dict[str, dict[str, tuple[str, str]]]:
    engine = _engine(uri)
    try:
        with engine.connect() as connection:
            return {
                study: _merge(
                    [
                        (str(key), str(run), str(status))
                        for key, run, status in connection.execute(
                            QUERY, {"name": f"{study}.replicates"}
                        )
                    ]
                )
                for study in studies
            }
    except SQLAlchemyError as error:
        line = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        if "no such table" in line or "does not exist" in line:
            return {study: {} for study in studies}
        raise StoreError(f"store {shown(uri)}: cannot be read: {line}") from None
    finally:
        engine.dispose()


def _engine(uri: str) -> Engine:
    """Return SQLAlchemy's engine; refuse an address that it cannot read or has no driver for."""
    try:
        return create_engine(uri)
    except ArgumentError:
        raise StoreError(f"tracking.uri: no address of a database: {shown(uri)!r}") from None
    except ImportError as error:
        raise StoreError(
            f"store {shown(uri)}: its driver is not installed ({error}); "
            "PostgreSQL's is `pip install 'psycopg[binary]'`"
        ) from None


def _merge(rows: list[tuple[str, str, str]]) -> dict[str, tuple[str, str]]:
    merged: dict[str, tuple[str, str]] = {}
    for key, run, status in rows:
        if key not in merged or (status == "FINISHED" and merged[key][1] != "FINISHED"):
            merged[key] = (run, status)
    return merged
