"""Results of the analysis, back into MLflow: experiment ``<study>``, made for MLflow's own pages.

It holds one run per cell with its aggregated metrics, the report run with the report's files, and a
saved view of the run table, so that one click shows the ablation and no replicate is in the way.
The report asks for these runs again, to lead to them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablation_lab.store.client import Store, milliseconds
from ablation_lab.store.tags import VIEW, Kind, Tag, having, plain, replicates_of
from ablation_lab.study.declaration import Declaration

COLUMNS = ("estimate", "low", "high", "n", "not_converged")


@dataclass(frozen=True)
class Published:
    """The experiment of a study, and the cell run of each cell that has one."""

    experiment_id: str = ""
    cell_runs: Mapping[str, str] = field(default_factory=dict)


def load_published(uri: str, declaration: Declaration) -> Published:
    """The newest cell run of every declared cell, in declared order."""
    store = Store(uri)
    runs = list(store.search(declaration.study, _cells_of(declaration.profile)))
    runs.sort(key=lambda run: (run.info.start_time, run.info.run_id))
    known = {run.data.tags.get(Tag.CELL, ""): run.info.run_id for run in runs}
    declared = [cell.cell for cell in declaration.cells]
    return Published(store.find(declaration.study), {c: known[c] for c in declared if c in known})


class Publisher:
    """Writes cell runs, report files and views to a store, and finds them again."""

    def __init__(self, uri: str) -> None:
        self._store = Store(uri)
        self._client = self._store.client

    def publish_cells(self, study: str, profile: str, cells: Sequence[Mapping[str, Any]]) -> None:
        """Write cell runs with their aggregated metrics, and the saved view of them.

        A cell run whose cell is no longer declared is deleted.
        """
        runs = list(self._store.search(study, _cells_of(profile)))
        known = {run.data.tags[Tag.CELL]: run.info.run_id for run in runs}
        for cell in cells:
            self._write_cell(study, profile, cell, known.pop(str(cell["cell"]), None))
        for run_id in known.values():
            self._client.delete_run(run_id)
        experiment = self._store.experiment(study)
        value = json.dumps(saved_view(profile, cells), sort_keys=True)
        self._client.set_experiment_tag(experiment, f"{VIEW}.{profile}", value)

    def publish_report(self, study: str, profile: str, files: Sequence[Path]) -> None:
        """Write the report's files, and whole folders of them, as artifacts of the report run."""
        self._store.settle()
        report = self._store.report_run(study, profile)
        for path in files:
            if path.is_dir():
                self._client.log_artifacts(report, str(path), "report")
            else:
                self._client.log_artifact(report, str(path), "report")
        self._client.set_terminated(report)

    def views(self) -> Iterator[tuple[str, str, str]]:
        """Yield study, profile and experiment id of every saved view in the store."""
        for experiment in self._client.search_experiments(order_by=["name"]):
            for tag in sorted(experiment.tags):
                if tag.startswith(f"{VIEW}."):
                    yield (
                        experiment.name,
                        tag.removeprefix(f"{VIEW}."),
                        experiment.experiment_id,
                    )

    def cell_runs(self, study: str, profile: str) -> list[str]:
        """Return the ids of the cell runs of a study, in the order of their names."""
        runs = self._store.search(study, _cells_of(profile))
        return [run.info.run_id for run in sorted(runs, key=lambda run: run.data.tags[Tag.CELL])]

    def _write_cell(
        self, study: str, profile: str, cell: Mapping[str, Any], run_id: str | None
    ) -> None:
        from mlflow.entities import Metric, Param

        name = str(cell["cell"])
        if run_id is None:
            tags = {
                Tag.KIND: Kind.CELL,
                Tag.PROFILE: profile,
                Tag.CELL: name,
                Tag.REPLICATES: replicates_of(study),
            }
            experiment = self._store.experiment(study)
            created = self._client.create_run(experiment, run_name=name, tags=plain(tags))
            run_id = str(created.info.run_id)
            params = [Param(factor, str(label)) for factor, label in cell["factors"].items()]
            self._client.log_batch(run_id, params=params)
        now = milliseconds(time.time())
        numbers = {key: value for key, value in cell.items() if isinstance(value, float)}
        metrics = [Metric(key, value, now, 0) for key, value in numbers.items()]
        self._client.log_batch(run_id, metrics=metrics)
        self._client.set_terminated(run_id)


def saved_view(profile: str, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the run table as a reader wants it: this profile's cells, factors and estimates."""
    factors = dict.fromkeys(name for cell in cells for name in cell["factors"])
    columns = [f"params.`{name}`" for name in factors]
    return {
        "searchFilter": _cells_of(profile),
        "orderByKey": "metrics.`estimate`",
        "orderByAsc": False,
        "selectedColumns": [*columns, *(f"metrics.`{name}`" for name in COLUMNS)],
    }


def _cells_of(profile: str) -> str:
    return having({Tag.KIND: Kind.CELL, Tag.PROFILE: profile})
