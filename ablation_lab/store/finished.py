"""Which runs the store has: key → MLflow run id, quickly, and without importing MLflow.

For a database store it is one query over MLflow's tables (``runs``, ``tags``, ``experiments``),
because MLflow's own search builds whole run objects at more than a millisecond each. Any other
store is asked through MLflow. Both give the same answer; a test holds that.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.errors import StoreError, redact
from ablation_lab.store.places import database, is_absent, refuse_file, said
from ablation_lab.store.schema import refuse_older

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

    Errors: ``StoreError`` if a database store exists and cannot be read, is of an older schema, or
    cannot be created.
    """
    if "://" not in uri:
        raise StoreError(
            f"tracking.uri: expected an address such as sqlite:///runs/mlflow.db, found {uri!r}"
        )
    if is_absent(uri):
        refuse_file(uri, "store", "tracking.uri")
        return {study: {} for study in studies}
    if uri.startswith(DATABASES):
        return _from_database(uri, studies)
    from ablation_lab.store.tracker import Tracker

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


def _from_database(uri: str, studies: list[str]) -> dict[str, dict[str, tuple[str, str]]]:
    engine = database(uri, "store", "tracking.uri")
    try:
        with engine.connect() as connection:
            refuse_older(connection, uri)
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
        line = said(error)
        if "no such table" in line or "does not exist" in line:
            return {study: {} for study in studies}
        raise StoreError(f"store {redact(uri)}: cannot be read: {line}") from None
    finally:
        engine.dispose()


def _merge(rows: list[tuple[str, str, str]]) -> dict[str, tuple[str, str]]:
    merged: dict[str, tuple[str, str]] = {}
    for key, run, status in rows:
        if key not in merged or (status == "FINISHED" and merged[key][1] != "FINISHED"):
            merged[key] = (run, status)
    return merged
