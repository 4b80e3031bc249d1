"""What a study came to, back into the store, where MLflow's own pages show it.

In: a study, its folder in a report. Out: runs of its cells, and its files with its report run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablation_lab.report.formatting import DASH, decimals, label_of, measured_text
from ablation_lab.report.study import Study
from ablation_lab.statistics.outcomes import further_estimates
from ablation_lab.store.publish import Publisher, Summary, load_published
from ablation_lab.study.metric import Metric

COUNTED = ("n", "not_converged", "finished", "failed", "missing")


def publish_cells(study: Study, store: str) -> Study:
    """Write a study's cells to the store; the study, which then knows their runs."""
    Publisher(store).publish_cells(study.declaration, published_cells(study))
    return study.shown_by(load_published(store, study.declaration))


def publish_files(study: Study, store: str, folder: Path) -> None:
    """Write a study's page, paper and files, which lie in a report folder, to its report run."""
    pages = [folder / f"{study.name}.{ending}" for ending in ("html", "pdf")]
    files = [*pages, folder / study.name]
    Publisher(store).publish_report(study.name, study.declaration.profile, files)


def published_cells(study: Study) -> dict[str, Summary]:
    """What MLflow shows of every declared cell: each metric of the study, in numbers and words."""
    declaration, digits = study.declaration, decimals(study.cells, study.declaration)
    more = further_estimates(study.frame, declaration)
    first = {str(row["cell"]): row for row in study.cells.to_dict("records")}
    rows = {(cell, declaration.metric): row for cell, row in first.items()}
    rows |= {(row["cell"], row["metric"]): row for row in more.to_dict("records")}
    made = {}
    for cell, counts in first.items():
        found = [(m, rows[cell, m.name]) for m in declaration.metrics if (cell, m.name) in rows]
        made[cell] = Summary(
            estimates={
                metric.name: (row["estimate"], row["low"], row["high"]) for metric, row in found
            },
            counts={name: float(counts[name]) for name in COUNTED},
            text="; ".join(_words(row, metric, digits) for metric, row in found),
        )
    return made


def _words(row: Mapping[Any, Any], metric: Metric, digits: int) -> str:
    middle, low, high = (
        measured_text(row[name], metric, digits=digits) for name in ("estimate", "low", "high")
    )
    return f"{label_of(metric)} {middle}" + ("" if low == DASH else f" [{low}, {high}]")
