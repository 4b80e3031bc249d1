"""Which runs stand behind each cell, with the way to each of them.

In: a Study and the server's address. Out: one `CellRuns` per declared cell: no entry of a table is
further than one step from its runs.
"""

from __future__ import annotations

import pandas as pd

from ablation_lab.report.document import CellRuns, Link
from ablation_lab.report.links import Server
from ablation_lab.report.study import Study
from ablation_lab.study.record import Status

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
            f"{row['replicate']}{_mark(row['status'], row['nc_rule'])}",
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
        return " n/c" if rule else ""
    return f" {status}"
