"""Results of the analysis, back into MLflow: experiment ``<study>``, made for MLflow's own pages.

It holds one run per cell with what its runs came to, the report run with the report's files, and a
saved view of the run table with its charts, so that one click shows the ablation and no replicate
is in the way. Views follow what a study declares: its factors, and its metrics whatever they are.
The report asks for these runs again, to lead to them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation_lab.store.client import Store, milliseconds
from ablation_lab.store.pages import HERE
from ablation_lab.store.tags import (
    LEVELS,
    NAME,
    NOTE,
    VIEW,
    Kind,
    Tag,
    having,
    plain,
    replicates_of,
)
from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.metric import Metric
from ablation_lab.study.names import key_of

if TYPE_CHECKING:
    from mlflow.entities import Run

LOW, HIGH = "low", "high"
NOT_CONVERGED = "not_converged"
DIGITS = 4  # of a number in a column of MLflow
# MLflow's names of a chart and of a column; a contract test holds that its pages know them.
BAR = "BAR"
DESCRIPTION = "attributes.`Description`"


@dataclass(frozen=True)
class Published:
    """The experiment of a study, and the cell run of each cell that has one."""

    experiment_id: str = ""
    cell_runs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """What the runs of a cell came to.

    ``estimates`` have a metric's name, estimate and interval; ``counts`` say of how many runs;
    ``text`` is what a reader sees, each number in its metric's own format. ``seconds`` is how long
    its runs trained.
    """

    estimates: Mapping[str, tuple[float, float, float]]
    counts: Mapping[str, float]
    text: str = ""
    seconds: float = 0.0

    @property
    def numbers(self) -> dict[str, float]:
        """Every number under the name that it has in MLflow."""
        named = dict(self.counts)
        for metric, (estimate, low, high) in self.estimates.items():
            named |= {metric: estimate, f"{metric}/{LOW}": low, f"{metric}/{HIGH}": high}
        return {name: _rounded(value) for name, value in named.items() if isfinite(value)}


def _rounded(value: float) -> float:
    """A number as a column has room for it; whole numbers whole."""
    return value if value.is_integer() else float(f"{value:.{DIGITS}g}")


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

    def publish_cells(self, declaration: Declaration, cells: Mapping[str, Summary]) -> None:
        """Write cell runs with what their runs came to, and the saved view of them.

        A cell run whose cell is no longer declared, or that has other metrics, is deleted.
        """
        with self._store.alone():
            runs = list(self._store.search(declaration.study, _cells_of(declaration.profile)))
            known = {run.data.tags[Tag.CELL]: run for run in runs}
            names, kept = run_names(declaration), set()
            for cell in declaration.cells:
                summary, run = cells[cell.cell], known.get(cell.cell)
                if run is None or not set(run.data.metrics) <= set(summary.numbers):
                    run = self._create(declaration, cell)
                kept.add(run.info.run_id)
                self._fill(run, names[cell.cell], self._note(declaration, cell, summary), summary)
            for run in runs:
                if run.info.run_id not in kept:
                    self._client.delete_run(run.info.run_id)
            value = json.dumps(saved_view(declaration), sort_keys=True)
            experiment = self._store.experiment(declaration.study)
            self._client.set_experiment_tag(experiment, f"{VIEW}.{declaration.profile}", value)

    def illustrate(self, declaration: Declaration, folders: Mapping[str, Path]) -> None:
        """Put the files in the folder of a cell with the cell's run."""
        for run in self._store.search(declaration.study, _cells_of(declaration.profile)):
            if folder := folders.get(run.data.tags[Tag.CELL]):
                self._client.log_artifacts(run.info.run_id, str(folder))

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
                    profile = tag.removeprefix(f"{VIEW}.")
                    yield experiment.name, profile, experiment.experiment_id

    def cell_runs(self, study: str, profile: str) -> list[str]:
        """Return the ids of the cell runs of a study, in the order of their names."""
        runs = self._store.search(study, _cells_of(profile))
        return [run.info.run_id for run in sorted(runs, key=lambda run: run.data.tags[Tag.CELL])]

    def _create(self, declaration: Declaration, cell: Cell) -> Run:
        from mlflow.entities import Param

        tags = {
            Tag.KIND: Kind.CELL,
            Tag.PROFILE: declaration.profile,
            Tag.CELL: cell.cell,
        }
        if declaration.imported is None:
            tags[Tag.REPLICATES] = replicates_of(declaration.study)
        experiment = self._store.experiment(declaration.study)
        created = self._client.create_run(experiment, run_name=cell.cell, tags=plain(tags))
        params = [Param(key_of(name), label) for name, label in cell.factors.items()]
        self._client.log_batch(created.info.run_id, params=params)
        return created

    def _fill(self, run: Run, name: str, note: str, summary: Summary) -> None:
        """Have a run show a summary, and last as long as its runs trained."""
        from mlflow.entities import Metric as Point
        from mlflow.entities import RunTag

        tags = {NAME: name, NOTE: note}
        if run.data.metrics == summary.numbers and tags.items() <= run.data.tags.items():
            return
        now = milliseconds(time.time())
        points = [Point(each, value, now, 0) for each, value in summary.numbers.items()]
        written = [RunTag(*each) for each in tags.items()]
        self._client.log_batch(run.info.run_id, metrics=points, tags=written)
        end = run.info.start_time + milliseconds(summary.seconds)
        self._client.set_terminated(run.info.run_id, end_time=end)

    def _note(self, declaration: Declaration, cell: Cell, summary: Summary) -> str:
        """What a reader sees above a run: its numbers, and where its replicates are."""
        said = [summary.text]
        if declaration.imported is None:
            own = self._store.find(replicates_of(declaration.study))
            said.append(f"[Its replicates]({HERE.replicates(own, cell.cell)})")
        table = HERE.table(self._store.experiment(declaration.study), declaration.profile)
        return "\n\n".join([*said, f"[All cells of {declaration.study}]({table})"])


def run_names(declaration: Declaration) -> dict[str, str]:
    """Each cell by its levels, of the factors that are compared where those tell cells apart."""
    for wanted in (declaration.compared, declaration.factors):
        order = [factor.name for factor in wanted]
        names = {
            cell.cell: LEVELS.join(cell.factors[name] for name in order if name in cell.factors)
            for cell in declaration.cells
        }
        if len(set(names.values())) == len(names) and all(names.values()):
            return names
    return {cell: cell for cell in names}


def saved_view(declaration: Declaration) -> dict[str, Any]:
    """Return the run table as a reader wants it, and a chart for each metric of the study.

    It has the profile's cells, the best first, the estimate of every metric and beside them the
    levels; intervals stand in the description.
    """
    metrics, count = declaration.metrics, len(declaration.cells)
    factors = dict.fromkeys(name for cell in declaration.cells for name in cell.factors)
    return {
        "searchFilter": _cells_of(declaration.profile),
        "orderByKey": f"metrics.`{declaration.metric}`",
        "orderByAsc": not declaration.higher_is_better,
        "selectedColumns": [
            *(f"metrics.`{name}`" for name in (*(m.name for m in metrics), NOT_CONVERGED)),
            *(f"params.`{key_of(name)}`" for name in factors),
            DESCRIPTION,
        ],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunSections": [_section(metric) for metric in metrics],
        "compareRunCharts": [_chart(metric, count=count) for metric in metrics],
    }


def _section(metric: Metric) -> dict[str, Any]:
    better = "more" if metric.higher_is_better else "less"
    name = f"{metric.words} ({better} is better)"
    return {"uuid": f"section {metric.name}", "name": name, "display": True, "isReordered": False}


def _chart(metric: Metric, *, count: int) -> dict[str, Any]:
    return {
        "type": BAR,
        "uuid": f"chart {metric.name}",
        "metricSectionId": f"section {metric.name}",
        "metricKey": metric.name,
        "runsCountToCompare": count,
        "deleted": False,
        "isGenerated": False,
    }


def _cells_of(profile: str) -> str:
    return having({Tag.KIND: Kind.CELL, Tag.PROFILE: profile})
