"""Where MLflow shows what a report tells: no table entry is further than a step from its runs.

In: studies, and the address of the MLflow server that `ablation serve` starts. Out: links.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pandas as pd

from ablation_lab.report.study import Study
from ablation_lab.store.publish import Published
from ablation_lab.store.tags import Tag, having
from ablation_lab.study.record import Status

MOST_COMPARED = 100  # the compare page takes its runs in the address, which a browser limits
LISTED_RUNS = 20
PRINTED_NUMBERS = 2  # in the paper; all of them stand in runs.csv
DIGITS = 8  # enough to tell runs apart; the whole ids stand in runs.csv


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
        # In the order of the cells' names, as `ablation serve` prints it.
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


def cell_runs(study: Study, server: Server) -> tuple[CellRuns, ...]:
    """The runs of every declared cell, in declared order."""
    stored = study.frame[study.frame["run_id"] != ""].sort_values("replicate")
    parts = {str(name): part for name, part in stored.groupby("cell", sort=False)}
    reasons = dict(zip(study.cells["cell"], study.cells["reason"], strict=True))
    nothing = stored.iloc[:0]
    return tuple(
        _one_cell(
            study, server, cell.cell, parts.get(cell.cell, nothing),
            anchor=f"{study.name}-{i}", said=str(reasons[cell.cell]),
        )
        for i, cell in enumerate(study.declaration.cells)
    )  # fmt: skip


def _one_cell(
    study: Study, server: Server, cell: str, stored: pd.DataFrame, *, anchor: str, said: str
) -> CellRuns:
    listed = stored[:LISTED_RUNS].to_dict("records")
    served = []
    if cell in study.published.cell_runs:
        run = study.published.cell_runs[cell]
        served.append(Link("cell run", server.run(study.published.experiment_id, run)))
    if listed:
        served.append(Link("all replicates", server.replicates(study.experiment_id, cell)))
    return CellRuns(
        cell=cell,
        anchor=anchor,
        served=tuple(served),
        runs=tuple(
            Link(
                f"{row['replicate']}{_mark(row['status'], row['not_converged'])}",
                server.run(study.experiment_id, row["run_id"]),
            )
            for row in listed
        ),
        more=len(stored) - len(listed),
        said=said,
        numbers=tuple(str(run_id)[:DIGITS] for run_id in stored["run_id"][:PRINTED_NUMBERS]),
        unlisted=max(len(stored) - PRINTED_NUMBERS, 0),
    )


def _mark(status: str, rule: str) -> str:
    if status == Status.FINISHED:
        return " not converged" if rule else ""
    return f" {status}"
