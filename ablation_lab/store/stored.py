"""Many runs of a database store at once, without building MLflow's objects.

In: the address of a database and an experiment, or run ids. Out: `StoredRun`s, and points of
metrics. MLflow's own search takes most of a millisecond for each run, a few queries over its tables
much less. `frame.py` alone calls this, and asks MLflow where a store is no database; a test holds
that both answers agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import nan
from typing import Any

from sqlalchemy import Connection, Select, and_, column, create_engine, select, table

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
AT_ONCE = 500  # run ids in one query: every database allows as many parameters
RUNS = table(
    "runs",
    *map(column, ("run_uuid", "experiment_id", "status", "start_time", "end_time",
                  "lifecycle_stage")),
)  # fmt: skip
TAGS = table("tags", *map(column, ("run_uuid", "key", "value")))
LATEST = table("latest_metrics", *map(column, ("run_uuid", "key", "value", "is_nan")))
POINTS = table("metrics", *map(column, ("run_uuid", "key", "value", "is_nan", "step", "timestamp")))


@dataclass(frozen=True)
class StoredRun:
    """A run as the store has it: times in milliseconds, our own tags, the last value by metric."""

    run_id: str
    status: str
    start_time: int
    end_time: int | None
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether it ended well, to MLflow and in our own words."""
        return self.status == "FINISHED" and self._said in (None, "finished")

    @property
    def is_failed(self) -> bool:
        """Whether it ended with an error."""
        return self.status == "FAILED" or (self.status == "FINISHED" and self._said == "failed")

    @property
    def age(self) -> tuple[int, str]:
        """What runs are sorted by: when it ended, or began where it has not ended."""
        return (self.end_time or self.start_time, self.run_id)

    @property
    def _said(self) -> str | None:
        return self.tags.get("ablation.status")


def is_database(uri: str) -> bool:
    """Whether the store is a database that can be asked directly."""
    return uri.startswith(DATABASES)


def runs_of(uri: str, experiment_id: str) -> list[StoredRun]:
    """Every run of an experiment that is not deleted, by run id."""
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    metrics: dict[str, dict[str, float]] = defaultdict(dict)
    run, tag, latest = RUNS.c, TAGS.c, LATEST.c
    mine = and_(run.experiment_id == int(experiment_id), run.lifecycle_stage == "active")
    whole = select(run.run_uuid, run.status, run.start_time, run.end_time).where(mine)
    tagged = (
        select(tag.run_uuid, tag.key, tag.value)
        .join_from(TAGS, RUNS, tag.run_uuid == run.run_uuid)
        .where(mine, tag.key.like("ablation.%"))
    )
    measured = (
        select(latest.run_uuid, latest.key, latest.value, latest.is_nan)
        .join_from(LATEST, RUNS, latest.run_uuid == run.run_uuid)
        .where(mine)
    )
    with _connected(uri) as connection:
        rows = _rows(connection, whole.order_by(run.run_uuid))
        for name, key, value in _rows(connection, tagged):
            tags[name][key] = value
        for name, key, number, is_nan in _rows(connection, measured):
            metrics[name][key] = nan if is_nan else float(number)
    return [
        StoredRun(run_id, status, start, end, tags[run_id], metrics[run_id])
        for run_id, status, start, end in rows
    ]


def points_of(uri: str, runs: Sequence[str], metric: str) -> list[tuple[str, int, float]]:
    """Every stored point (run, step, value) of a metric, by run and in the order of writing."""
    point = POINTS.c
    found: list[tuple[str, int, float]] = []
    with _connected(uri) as connection:
        for start in range(0, len(runs), AT_ONCE):
            wanted = (
                select(point.run_uuid, point.step, point.value, point.is_nan)
                .where(point.key == metric, point.run_uuid.in_(runs[start : start + AT_ONCE]))
                .order_by(point.run_uuid, point.timestamp, point.step, point.value)
            )
            found += [
                (run, int(step), nan if is_nan else float(value))
                for run, step, value, is_nan in _rows(connection, wanted)
            ]
    return found


def _rows(connection: Connection, query: Select[Any]) -> Sequence[Any]:
    """The rows of a query. Any: columns of tables that are only named have no types."""
    return connection.execute(query).all()


@contextmanager
def _connected(uri: str) -> Iterator[Connection]:
    engine = create_engine(uri)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
