"""Where MLflow shows what a report tells: no table entry is further than a step from its runs.

In: studies, and the address of the MLflow server that `ablation serve` starts. Out: links.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ablation_lab.report.language import tr, tr_known
from ablation_lab.report.study import Study
from ablation_lab.store.pages import Link, Server
from ablation_lab.study.record import Status

LISTED_RUNS = 20
PRINTED_NUMBERS = 2  # in the paper; all of them stand in runs.csv
DIGITS = 8  # enough to tell runs apart; the whole ids stand in runs.csv


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


def cell_runs(study: Study, server: Server) -> tuple[CellRuns, ...]:
    """The runs of every declared cell, in declared order."""
    is_ours = (study.frame["run_id"] != "") & (study.declaration.imported is None)
    stored = study.frame[is_ours].sort_values("replicate")
    parts = {str(name): part for name, part in stored.groupby("cell", sort=False)}
    why = map(tr_known, map(str, study.cells["reason"]))
    reasons = dict(zip(study.cells["cell"], why, strict=True))
    nothing = stored.iloc[:0]
    return tuple(
        _one_cell(
            study, server, cell.cell, parts.get(cell.cell, nothing),
            anchor=f"{study.name}-{i}", said=_said(study, cell.cell, reasons[cell.cell]),
        )
        for i, cell in enumerate(study.declaration.cells)
    )  # fmt: skip


def _said(study: Study, cell: str, reason: str) -> str:
    """Why a cell lacks runs, and which rows its runs were, where they were imported."""
    if study.declaration.imported is None:
        return reason
    rows = study.frame.loc[study.frame["cell"] == cell, "run_id"]
    more = tr(" and {n} more", n=len(rows) - LISTED_RUNS) if len(rows) > LISTED_RUNS else ""
    return "; ".join(filter(None, (reason, f"{', '.join(rows[:LISTED_RUNS])}{more}")))


def _one_cell(
    study: Study, server: Server, cell: str, stored: pd.DataFrame, *, anchor: str, said: str
) -> CellRuns:
    listed = stored[:LISTED_RUNS].to_dict("records")
    served = []
    if cell in study.published.cell_runs:
        run = study.published.cell_runs[cell]
        served.append(Link(tr("cell run"), server.run(study.published.experiment_id, run)))
    if listed:
        served.append(Link(tr("all replicates"), server.replicates(study.experiment_id, cell)))
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
        return tr(" not converged") if rule else ""
    return f" {tr_known(status)}"
