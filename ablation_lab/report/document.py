"""The report as plain values: the one model behind the HTML page and the paper.

In: studies, and the address of the MLflow server that `make serve` starts. Out: the shapes of a
frozen tree, `Document`, that `page.py` fills and the two templates place, and its links: no entry
of a table is further than one step from its runs. Templates compute nothing, so that page and paper
cannot disagree.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pandas as pd

from ablation_lab.report.canvas import Drawn
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Table
from ablation_lab.store.publish import Published
from ablation_lab.store.tags import Tag, having
from ablation_lab.study.record import Status

COUNTS = ("declared", "finished", "not converged", "failed", "missing", "skipped", "extra")


@dataclass(frozen=True)
class Link:
    """Words and the address they lead to."""

    text: str
    address: str


@dataclass(frozen=True)
class CellRuns:
    """The runs of one cell: its place in the report, and where MLflow shows it.

    `served` leads to the cell run and to all replicates, `runs` to the first replicates; `numbers`
    are the first digits of every run id.
    """

    cell: str
    anchor: str
    served: tuple[Link, ...]
    runs: tuple[Link, ...]
    more: int
    said: str
    numbers: tuple[str, ...]
    unlisted: int


@dataclass(frozen=True)
class Picture:
    """A drawn figure: what it shows, its file, an address without one, inches across and down.

    `rule` says which state of a run is shown, empty where it is the whole training.
    """

    name: str
    says: str
    rule: str
    file: str
    data: str
    width: float
    height: float

    @property
    def caption(self) -> str:
        """What it shows, and of which state of a run."""
        return f"{self.says} {self.rule}".strip()


@dataclass(frozen=True)
class Written:
    """The tables and figures of a study that lie in the report folder."""

    tables: tuple[Table, ...]
    figures: tuple[Drawn, ...]


@dataclass(frozen=True)
class Section:
    """One study of the report.

    `lacking` says which cells have no result, and why; `bound` which reference values it answers.
    """

    name: str
    title: str
    question: str
    source: str
    setup: str
    finding: str
    counts: tuple[int, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    cells: tuple[CellRuns, ...]
    served: tuple[Link, ...]
    problems: tuple[str, ...]
    lacking: tuple[str, ...]
    threats: tuple[str, ...]
    bound: str

    @property
    def anchors(self) -> dict[str, str]:
        """The anchor of each cell's runs."""
        return {cell.cell: cell.anchor for cell in self.cells}


@dataclass(frozen=True)
class Fact:
    """One line of the provenance: what, and its value."""

    name: str
    value: str


@dataclass(frozen=True)
class Document:
    """The whole report; `totals` are in the order of `COUNTS`, `lacking` says what is missing.

    `untrained` has a row for each study of which runs have no result, `accuracies` one for each
    accuracy among the reference values; `others` are studies that have a page beside this one.
    """

    profile: str
    title: str
    abstract: tuple[str, ...]
    findings: tuple[str, ...]
    studies: tuple[Section, ...]
    totals: tuple[int, ...]
    methods: tuple[str, ...]
    untrained: Table | None
    values: Table | None
    accuracies: Table | None
    verdicts: Table | None
    threats: tuple[str, ...]
    facts: tuple[Fact, ...]
    references: tuple[str, ...]
    lacking: tuple[str, ...]
    others: tuple[str, ...]
    columns: tuple[str, ...] = COUNTS


MOST_COMPARED = 100  # the compare page takes its runs in the address, which a browser limits


@dataclass(frozen=True)
class Server:
    """The MLflow server at an address."""

    base_url: str

    def run(self, experiment: str, run: str) -> str:
        """The page of one run."""
        return f"{self._runs(experiment)}/{run}"

    def replicates(self, experiment: str, cell: str) -> str:
        """The table of all runs of a cell."""
        wanted = quote(having({Tag.CELL: cell}))
        return f"{self._runs(experiment)}?workflowType=machine_learning&searchFilter={wanted}"

    def study(self, published: Published, profile: str) -> tuple[Link, ...]:
        """The table, the charts and the comparison of a study's cells; none where none is shown."""
        if not published.cell_runs:
            return ()
        table = (
            f"{self._runs(published.experiment_id)}"
            f"?workflowType=machine_learning&viewStateShareKey={quote(profile)}"
        )
        # In the order of the cells' names, as `make serve` prints it.
        runs = [run for _, run in sorted(published.cell_runs.items())][:MOST_COMPARED]
        chosen = f"runs={_json(runs)}&experiments={_json([published.experiment_id])}"
        return (
            Link("table", table),
            Link("charts", f"{table}&compareRunsMode=CHART"),
            Link("compare", f"{self.base_url.rstrip('/')}/#/compare-runs?{chosen}"),
        )

    def _runs(self, experiment: str) -> str:
        return f"{self.base_url.rstrip('/')}/#/experiments/{experiment}/runs"


def _json(values: Sequence[str]) -> str:
    return quote(json.dumps(list(values), separators=(",", ":")))


LISTED_RUNS = 20
PRINTED_NUMBERS = 2  # in the paper; all of them stand in runs.csv
DIGITS = 8  # enough to tell runs apart; the whole ids stand in runs.csv


def cell_runs(study: Study, server: Server) -> tuple[CellRuns, ...]:
    """The runs of every declared cell, in declared order."""
    parts = {str(name): part for name, part in study.frame.groupby("cell", sort=False)}
    reasons = dict(zip(study.cells["cell"], study.cells["reason"], strict=True))
    return tuple(
        _one_cell(
            study,
            server,
            cell.cell,
            parts.get(cell.cell),
            anchor=f"{study.name}-{i}",
            said=str(reasons[cell.cell]),
        )
        for i, cell in enumerate(study.declaration.cells)
    )


def _one_cell(
    study: Study, server: Server, cell: str, part: pd.DataFrame | None, *, anchor: str, said: str
) -> CellRuns:
    kept = study.frame.iloc[:0] if part is None else part[part["run_id"] != ""]
    rows = kept.sort_values("replicate").to_dict("records")
    links = tuple(
        Link(
            f"{row['replicate']}{_mark(row['status'], row['not_converged'])}",
            server.run(study.experiment_id, row["run_id"]),
        )
        for row in rows[:LISTED_RUNS]
    )
    return CellRuns(
        cell=cell,
        anchor=anchor,
        served=_served(study, server, cell, bool(rows)),
        runs=links,
        more=len(rows) - len(links),
        said=said,
        numbers=tuple(str(row["run_id"])[:DIGITS] for row in rows[:PRINTED_NUMBERS]),
        unlisted=max(len(rows) - PRINTED_NUMBERS, 0),
    )


def _served(study: Study, server: Server, cell: str, has_runs: bool) -> tuple[Link, ...]:
    links = []
    if cell in study.published.cell_runs:
        run = study.published.cell_runs[cell]
        links.append(Link("cell run", server.run(study.published.experiment_id, run)))
    if has_runs:
        links.append(Link("all replicates", server.replicates(study.experiment_id, cell)))
    return tuple(links)


def _mark(status: str, rule: str) -> str:
    if status == Status.FINISHED:
        return " not converged" if rule else ""
    return f" {status}"
