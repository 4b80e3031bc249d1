"""What a study came to, back into the store, where MLflow's own pages show it.

In: a study, its folder in a report. Out: runs of its cells, and its files with its report run.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablation_lab.report.figures import figures_for
from ablation_lab.report.formatting import DASH, decimals, label_of, measured_text
from ablation_lab.report.study import Study
from ablation_lab.report.text import csv_frame
from ablation_lab.statistics.outcomes import further_estimates
from ablation_lab.store.publish import Publisher, Summary, load_published
from ablation_lab.study.metric import Metric

MOST_ILLUSTRATED = 100  # cells of a study of which each has a copy of its figure
COUNTED = ("n", "not_converged", "finished", "failed", "missing")


def publish_cells(study: Study, store: str) -> Study:
    """Write a study's cells to the store; the study, which then knows their runs."""
    Publisher(store).publish_cells(study.declaration, published_cells(study))
    return study.shown_by(load_published(store, study.declaration))


def publish_files(study: Study, store: str, folder: Path) -> None:
    """Write what lies of a study in a report folder to its report run, and to the cells' runs.

    A cell has its runs as a table and, in a study of few cells, the study's figure.
    """
    publisher, own = Publisher(store), folder / study.name
    pages = [folder / f"{study.name}.{ending}" for ending in ("html", "pdf")]
    publisher.publish_report(study.name, study.declaration.profile, [*pages, own])
    figure = own / f"figure_{next(iter(figures_for(study)))}.png"
    few = len(study.declaration.cells) <= MOST_ILLUSTRATED
    with tempfile.TemporaryDirectory() as place:
        folders: dict[str, Path] = {}
        for cell, runs in study.frame.groupby("cell", sort=False):
            made = folders[str(cell)] = Path(place, str(len(folders)))
            made.mkdir()
            table = csv_frame(runs.dropna(axis="columns", how="all"))
            table.to_csv(made / "runs.csv", index=False, lineterminator="\n")
            if few:
                shutil.copy2(figure, made / figure.name)
        publisher.illustrate(study.declaration, folders)


def published_cells(study: Study) -> dict[str, Summary]:
    """What MLflow shows of every declared cell: each metric of the study, in numbers and words."""
    declaration, digits = study.declaration, decimals(study.cells, study.declaration)
    more = further_estimates(study.frame, declaration)
    first = {str(row["cell"]): row for row in study.cells.to_dict("records")}
    rows = {(cell, declaration.metric): row for cell, row in first.items()}
    rows |= {(row["cell"], row["metric"]): row for row in more.to_dict("records")}
    seconds = study.frame.groupby("cell", sort=False)["seconds"].sum()
    made = {}
    for cell, counts in first.items():
        found = [(m, rows[cell, m.name]) for m in declaration.metrics if (cell, m.name) in rows]
        made[cell] = Summary(
            estimates={
                metric.name: (row["estimate"], row["low"], row["high"]) for metric, row in found
            },
            counts={name: float(counts[name]) for name in COUNTED},
            text="; ".join(_words(row, metric, digits) for metric, row in found),
            seconds=float(seconds.get(cell, 0.0)),
        )
    return made


def _words(row: Mapping[Any, Any], metric: Metric, digits: int) -> str:
    middle, low, high = (
        measured_text(row[name], metric, digits=digits) for name in ("estimate", "low", "high")
    )
    return f"{label_of(metric)} {middle}" + ("" if low == DASH else f" [{low}, {high}]")
