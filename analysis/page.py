"""What the report shows, as plain values: the model behind the HTML page and the paper.

In: studies and the drawn figures. Out: a `Page`. Templates only place what stands here; they
compute nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from analysis.frame import Status
from analysis.study import Study
from analysis.tables import tables_for
from analysis.tabular import Table
from analysis.wording import decimals, estimate_text, metric_label

LISTED_RUNS = 20
COUNTS = ("declared", "finished", "n/c", "failed", "missing", "skipped", "extra")
SHOWN = {
    "points": "Estimate and 95 % interval of every cell; grey dots are single runs.",
    "heat": "Estimate at every place of the table.",
    "ladder": "Ours with its 95 % interval (dot) beside the printed value (diamond).",
    "training": "Training: median and the band that holds 80 % of the runs.",
}


@dataclass(frozen=True)
class Link:
    """Words and the address they lead to."""

    text: str
    address: str


@dataclass(frozen=True)
class CellRuns:
    """The runs of one cell: an anchor, links to the first of them, and a link to all."""

    cell: str
    anchor: str
    runs: tuple[Link, ...]
    more: int
    all_runs: Link
    said: str


@dataclass(frozen=True)
class Picture:
    """A drawn figure: what it shows, its file, and an address that needs no file."""

    name: str
    says: str
    file: str
    data: str


@dataclass(frozen=True)
class StudyPage:
    """One study of the report."""

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
    problems: tuple[str, ...]
    provenance: str

    @property
    def anchors(self) -> dict[str, str]:
        """The anchor of each cell's runs."""
        return {cell.cell: cell.anchor for cell in self.cells}


@dataclass(frozen=True)
class Page:
    """The whole report; `totals` are in the order of `COUNTS`."""

    profile: str
    title: str
    studies: tuple[StudyPage, ...]
    totals: tuple[int, ...]
    columns: tuple[str, ...] = COUNTS

    @property
    def summary(self) -> str:
        """The run counts in one sentence."""
        declared, finished, nc, failed, missing, skipped, extra = self.totals
        text = (
            f"{len(self.studies)} studies declare {declared} runs: {finished} finished "
            f"({nc} of them did not converge), {failed} failed, {missing} are missing"
        )
        return f"{text}, {skipped} were skipped with a reason; {extra} stored runs are extra."


def page(
    studies: Sequence[Study],
    *,
    profile: str,
    base_url: str,
    folder: Path,
    drawn: Sequence[Sequence[str]],
) -> Page:
    """The model of the report; `drawn` names the figures that lie in `folder/<study>/`."""
    made = tuple(
        study_page(study, base_url=base_url, folder=folder, names=names)
        for study, names in zip(studies, drawn, strict=True)
    )
    counts = [study.counts for study in made]
    totals = tuple(sum(column) for column in zip(*counts, strict=True)) or (0,) * len(COUNTS)
    return Page(profile, f"Ablation report, profile {profile}", made, totals)


def study_page(study: Study, *, base_url: str, folder: Path, names: Sequence[str]) -> StudyPage:
    """The model of one study."""
    declaration = study.declaration
    return StudyPage(
        name=study.name,
        title=declaration.title,
        question=declaration.question,
        source=declaration.source,
        setup=declaration.setup,
        finding=finding(study),
        counts=_counts(study),
        tables=tuple(tables_for(study)),
        pictures=tuple(_picture(folder, study.name, name) for name in names),
        cells=_cell_runs(study, base_url),
        problems=problems(study),
        provenance=json.dumps(declaration.provenance, indent=2, sort_keys=True, default=str),
    )


def finding(study: Study) -> str:
    """The best cell in one sentence, and whether a test sets it apart; empty without results."""
    declaration = study.declaration
    cells = study.cells.dropna(subset=["estimate"])
    if cells.empty:
        return ""
    if (cells["nc"] == cells["finished"]).all():
        return "No finished run converged."
    ordered = cells.sort_values(
        "estimate", ascending=not declaration.higher_is_better, kind="stable"
    )
    row = {str(name): value for name, value in ordered.iloc[0].items()}
    text = estimate_text(row, declaration, digits=decimals(study.cells, declaration))
    metric = metric_label(declaration)
    if len(cells) == 1:
        return f"{metric[:1].upper()}{metric[1:]} of {row['cell']}: {text}."
    word = "Highest" if declaration.higher_is_better else "Lowest"
    apart = "better than the runner-up" if row["best"] else "not set apart from the runner-up"
    return f"{word} {metric}: {text} for {row['cell']}, {apart} by the corrected test."


def problems(study: Study) -> tuple[str, ...]:
    """Everything that a reader must know before believing the tables, in plain sentences."""
    said = list(study.problems)
    if not study.experiment_id:
        said.append(f"The store has no experiment {study.name}.replicates: no run was started.")
    for row in study.cells.to_dict("records"):
        if row["reason"]:
            said.append(f"{row['cell']}: {row['reason']}")
    said += [f"{e.cell}: excluded: {e.reason}" for e in study.declaration.excluded]
    if len(study.extra):
        said.append(f"{len(study.extra)} stored runs have a key that is not declared; not used: ")
        said[-1] += ", ".join(sorted(set(study.extra["cell"])))
    return tuple(said)


def _counts(study: Study) -> tuple[int, ...]:
    status = study.frame["status"]
    by_status = {each: int((status == each).sum()) for each in Status}
    return (
        len(study.frame),
        by_status[Status.FINISHED],
        int(study.cells["nc"].sum()),
        by_status[Status.FAILED],
        by_status[Status.MISSING],
        by_status[Status.SKIPPED],
        len(study.extra),
    )


def _picture(folder: Path, study: str, name: str) -> Picture:
    file = f"{study}/figure_{name}.svg"
    data = base64.b64encode((folder / file).read_bytes()).decode()
    says = SHOWN.get(name) or f"Estimate and 95 % interval by {name.removeprefix('by_')}."
    return Picture(name, says, file, f"data:image/svg+xml;base64,{data}")


def _cell_runs(study: Study, base_url: str) -> tuple[CellRuns, ...]:
    root = f"{base_url.rstrip('/')}/#/experiments/{study.experiment_id}/runs"
    parts = {str(name): part for name, part in study.frame.groupby("cell", sort=False)}
    reasons = dict(zip(study.cells["cell"], study.cells["reason"], strict=True))
    return tuple(
        _one_cell(cell.cell, parts.get(cell.cell), root, f"{study.name}-{i}", reasons[cell.cell])
        for i, cell in enumerate(study.declaration.cells)
    )


def _one_cell(cell: str, part: pd.DataFrame | None, root: str, anchor: str, said: str) -> CellRuns:
    rows = (
        []
        if part is None
        else part[part["run_id"] != ""].sort_values("replicate").to_dict("records")
    )
    links = tuple(
        Link(f"{row['replicate']}{_mark(row['status'], row['nc_rule'])}", f"{root}/{row['run_id']}")
        for row in rows[:LISTED_RUNS]
    )
    wanted = quote(f"tags.`ablation.cell` = '{cell}'")
    address = f"{root}?workflowType=machine_learning&searchFilter={wanted}"
    return CellRuns(
        cell, anchor, links, len(rows) - len(links), Link("all in MLflow", address), said
    )


def _mark(status: str, rule: str) -> str:
    if status == Status.FINISHED:
        return " n/c" if rule else ""
    return f" {status}"
