"""A project whose folder was moved goes on where it is, and the old place stays gone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.lab import ALL, Lab

PLACES = """
SELECT artifact_location FROM experiments WHERE experiment_id <> 0
UNION ALL SELECT artifact_uri FROM runs
"""
GONE = """
UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid IN (?, ?)
"""


def some_missing(lab: Lab) -> None:
    """Delete a member of ensembles, which has a file, and an ensemble that reads other files."""
    runs = {run.name: run.run_id for run in lab.runs("gain")}
    with closing(sqlite3.connect(lab.folder / "runs" / "mlflow.db")) as store:
        store.execute(GONE, (runs["size=1", 3], runs["size=2", 0]))
        store.commit()


@pytest.mark.parametrize(
    "uri", ["", "sqlite:///runs/mlflow.db", "sqlite:///conf/../runs/mlflow.db"]
)
def test_a_project_that_was_moved_trains_what_is_missing_and_reports_all(
    lab: Lab, tmp_path: Path, uri: str
) -> None:
    some_missing(lab)
    moved = lab.moved(tmp_path.with_name(f"{tmp_path.name} Labor (Kopie) ü"))
    stores = {"MLFLOW_TRACKING_URI": uri} if uri else {}
    outcome = moved.call(*ALL, **stores)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0].startswith("3 studies, 10 cells, 22 runs: 20 done, 2 to do")
    assert not tmp_path.exists()
    with closing(sqlite3.connect(moved.folder / "runs" / "mlflow.db")) as store:
        places = [place for (place,) in store.execute(PLACES)]
    assert all(place.startswith(f"{moved.folder.as_uri()}/runs/artifacts/") for place in places)
    # The other studies' declarations and figures were read from where they are now.
    for study in ("gain", "width", "my_study"):
        assert (moved.folder / "reports" / "smoke" / study / "runs.csv").exists()
    again = moved.call(*ALL, **stores)
    assert again.out.splitlines()[0] == "3 studies, 10 cells, 22 runs: 22 done, nothing to do"
