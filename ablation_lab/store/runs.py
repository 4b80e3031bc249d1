"""The runs of a store, many at once: the only place that asks MLflow's tables.

In: the address of a store, names of experiments or run ids. Out: `StoredRun`s, the run that counts
for each key, points of metrics. A database is asked directly and without importing MLflow, whose
own search takes most of a millisecond for each run, a few queries over its tables much less. Any
other store is asked through MLflow; a test holds that both give the same.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

from sqlalchemy import Connection, Select, and_, column, inspect, select, table

from ablation_lab.store.connect import connected, is_absent, is_database
from ablation_lab.store.places import validate_address, validate_file
from ablation_lab.store.tags import PREFIX, Tag, replicates_of

AT_ONCE = 500  # ids or names in one query: every database allows as many parameters
EXPERIMENTS = table("experiments", *map(column, ("experiment_id", "name", "lifecycle_stage")))
RUNS = table(
    "runs",
    *map(column, ("run_uuid", "experiment_id", "status", "start_time", "end_time",
                  "lifecycle_stage")),
)  # fmt: skip
TAGS = table("tags", *map(column, ("run_uuid", "key", "value")))
LATEST = table("latest_metrics", *map(column, ("run_uuid", "key", "value", "is_nan")))
POINTS = table("metrics", *map(column, ("run_uuid", "key", "value", "is_nan", "step", "timestamp")))
FINISHED, FAILED = "FINISHED", "FAILED"
ACTIVE = "active"


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
    def key(self) -> str:
        """The key under which it was trained; '' where it has none."""
        return self.tags.get(Tag.KEY, "")

    @property
    def is_finished(self) -> bool:
        """Whether it ended well, to MLflow and in our own words."""
        return self.status == FINISHED and self._said in (None, "finished")

    @property
    def is_failed(self) -> bool:
        """Whether it ended with an error."""
        return self.status == FAILED or (self.status == FINISHED and self._said == "failed")

    @property
    def age(self) -> tuple[int, str]:
        """What runs are sorted by: when it ended, or began where it has not ended."""
        return (self.end_time or self.start_time, self.run_id)

    @property
    def _said(self) -> str | None:
        return self.tags.get(Tag.STATUS)


def the_one_that_counts(runs: Iterable[StoredRun]) -> StoredRun | None:
    """The earliest finished run; else the latest failed one; else the latest of any state."""
    ordered = sorted(runs, key=lambda run: run.age)
    if finished := [run for run in ordered if run.is_finished]:
        return finished[0]
    rest = [run for run in ordered if run.is_failed] or ordered
    return rest[-1] if rest else None


def by_key(runs: Iterable[StoredRun]) -> dict[str, list[StoredRun]]:
    """Runs by the key under which they were trained."""
    found: dict[str, list[StoredRun]] = defaultdict(list)
    for run in runs:
        found[run.key].append(run)
    return found


def stored_runs(uri: str, studies: Sequence[str]) -> dict[str, dict[str, tuple[str, str]]]:
    """Return study → key → (MLflow run id, status) of the run that counts, of those that ended.

    Errors: ``StoreError`` if a database store exists and cannot be read, is of an older schema, or
    cannot be created.
    """
    validate_address(uri, "tracking.uri", "sqlite:///runs/mlflow.db")
    if is_absent(uri):
        validate_file(uri, "store", "tracking.uri")
        return {study: {} for study in studies}
    names = {replicates_of(study): study for study in studies}
    found = runs_of(uri, list(names), tags=(Tag.KEY, Tag.STATUS), metrics=False)
    ended: dict[str, dict[str, tuple[str, str]]] = {study: {} for study in studies}
    for name, runs in found.items():
        over = (run for run in runs if run.key and (run.is_finished or run.is_failed))
        for key, tried in by_key(over).items():
            if run := the_one_that_counts(tried):
                ended[names[name]][key] = (run.run_id, FINISHED if run.is_finished else FAILED)
    return ended


def finished_runs(
    stored: Mapping[str, Mapping[str, tuple[str, str]]],
) -> dict[str, dict[str, str]]:
    """Keep the finished runs: study → key → MLflow run id."""
    return {
        study: {key: run for key, (run, status) in runs.items() if status == FINISHED}
        for study, runs in stored.items()
    }


def count_finished(uri: str, study: str, profile: str) -> int:
    """Return how many runs of a study have finished under a profile."""
    name = replicates_of(study)
    runs = runs_of(uri, [name], tags=(Tag.STATUS, Tag.PROFILE), metrics=False)[name]
    return sum(run.is_finished and run.tags.get(Tag.PROFILE) == profile for run in runs)


def runs_of(
    uri: str, experiments: Sequence[str], *, tags: Collection[str] = (), metrics: bool = True
) -> dict[str, list[StoredRun]]:
    """Every run of these experiments that is not deleted, by experiment, in the order of run ids.

    ``tags`` are those that are wanted, all of the lab's where none is named.
    """
    if not is_database(uri):
        return {name: _asked(uri, name, tags, metrics) for name in experiments}
    with connected(uri) as connection:
        found: dict[str, list[StoredRun]] = {name: [] for name in experiments}
        if inspect(connection).has_table(RUNS.name):
            for start in range(0, len(experiments), AT_ONCE):
                some = experiments[start : start + AT_ONCE]
                found |= _queried(connection, some, tags, metrics)
        return found


def rows_digest(uri: str, experiments: Sequence[str]) -> str:
    """A digest of all runs of experiments with their tags and last metrics; '' of a server.

    Points of curves are left out: they are written before the run that has them ends.
    """
    if not is_database(uri):
        return ""
    digest = hashlib.sha256()
    run, named = RUNS.c, EXPERIMENTS.c
    with connected(uri) as connection:
        for name in experiments:
            mine = select(named.experiment_id).where(named.name == name).scalar_subquery()
            own = run.experiment_id == mine
            queries = [select(*run).where(own).order_by(run.run_uuid)]
            for rows in (TAGS, LATEST):
                joined = select(*rows.c).join_from(rows, RUNS, rows.c.run_uuid == run.run_uuid)
                queries.append(joined.where(own).order_by(rows.c.run_uuid, rows.c.key))
            for query in queries:
                digest.update(repr([tuple(row) for row in rows_of(connection, query)]).encode())
    return digest.hexdigest()


def points_of(uri: str, runs: Sequence[str], metric: str) -> list[tuple[str, int, float]]:
    """Every stored point (run, step, value) of a metric, by run and in the order of writing."""
    if not is_database(uri):
        from ablation_lab.store.client import Store

        client = Store(uri).client
        return [(r, p.step, p.value) for r in runs for p in client.get_metric_history(r, metric)]
    point = POINTS.c
    found: list[tuple[str, int, float]] = []
    with connected(uri) as connection:
        for start in range(0, len(runs), AT_ONCE):
            wanted = (
                select(point.run_uuid, point.step, point.value, point.is_nan)
                .where(point.key == metric, point.run_uuid.in_(runs[start : start + AT_ONCE]))
                .order_by(point.run_uuid, point.timestamp, point.step, point.value)
            )
            found += [
                (run, int(step), nan if is_nan else float(value))
                for run, step, value, is_nan in rows_of(connection, wanted)
            ]
    return found


def _queried(
    connection: Connection, experiments: Sequence[str], tags: Collection[str], metrics: bool
) -> dict[str, list[StoredRun]]:
    kept: dict[str, dict[str, str]] = defaultdict(dict)
    last: dict[str, dict[str, float]] = defaultdict(dict)
    run, tag, latest = RUNS.c, TAGS.c, LATEST.c
    named = select(EXPERIMENTS.c.experiment_id, EXPERIMENTS.c.name)
    names = dict(rows_of(connection, named.where(EXPERIMENTS.c.name.in_(experiments))))
    mine = and_(run.experiment_id.in_(list(names)), run.lifecycle_stage == ACTIVE)
    tagged = (
        select(tag.run_uuid, tag.key, tag.value)
        .join_from(TAGS, RUNS, tag.run_uuid == run.run_uuid)
        .where(mine, tag.key.in_(list(tags)) if tags else tag.key.like(f"{PREFIX}%"))
    )
    for run_id, key, value in rows_of(connection, tagged):
        kept[run_id][key] = value
    if metrics:
        measured = (
            select(latest.run_uuid, latest.key, latest.value, latest.is_nan)
            .join_from(LATEST, RUNS, latest.run_uuid == run.run_uuid)
            .where(mine)
        )
        for run_id, key, number, is_nan in rows_of(connection, measured):
            last[run_id][key] = nan if is_nan else float(number)
    found: dict[str, list[StoredRun]] = {name: [] for name in experiments}
    whole = select(run.experiment_id, run.run_uuid, run.status, run.start_time, run.end_time)
    rows = rows_of(connection, whole.where(mine).order_by(run.run_uuid))
    for experiment, run_id, status, start, end in rows:
        told = kept.get(run_id, {}), last.get(run_id, {})
        found[names[experiment]].append(StoredRun(run_id, status, start, end, *told))
    return found


def rows_of(connection: Connection, query: Select[Any]) -> Sequence[Any]:
    """The rows of a query. Any: columns of tables that are only named have no types."""
    return connection.execute(query).all()


def _asked(uri: str, experiment: str, tags: Collection[str], metrics: bool) -> list[StoredRun]:
    from ablation_lab.store.client import Store

    runs = [
        StoredRun(
            run.info.run_id,
            run.info.status,
            run.info.start_time,
            run.info.end_time,
            {
                name: value
                for name, value in run.data.tags.items()
                if (name in tags if tags else name.startswith(PREFIX))
            },
            run.data.metrics if metrics else {},
        )
        for run in Store(uri).search(experiment)
    ]
    return sorted(runs, key=lambda run: run.run_id)
