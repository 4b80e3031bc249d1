"""`python -m ablation_lab.report`: from a store to a report folder.

In: the address of a store, a profile, a folder. Out: the report, one line per study, and the path
of the page. Exit status 0, or 2 with one line on what is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablation_lab.ending import carried_out
from ablation_lab.errors import StoreError
from ablation_lab.report.formatting import DASH, decimals, label_of, measured_text
from ablation_lab.report.paper import ReportError
from ablation_lab.report.report import BASE_URL, write_report
from ablation_lab.report.study import Study, UnknownStudyError, load
from ablation_lab.statistics.outcomes import further_estimates
from ablation_lab.store.declared import load_references
from ablation_lab.store.experiments import validate_experiments
from ablation_lab.store.places import validate_readable
from ablation_lab.store.publish import Publisher, Summary, load_published
from ablation_lab.study.metric import Metric
from ablation_lab.study.project import catalogue

BAD_INPUT = 2
COUNTED = ("n", "not_converged", "finished", "failed", "missing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        validate_readable(options.store)
        validate_experiments(options.store, options.studies)
        studies = load(options.store, options.profile, only=options.studies)
        references = load_references(options.store)
    except (UnknownStudyError, StoreError) as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    if not options.conf:  # a report on chosen studies is silent about all others
        references = tuple(value for value in references if value.study in options.studies)
    try:
        if options.publish:
            studies = publish_cells(studies, store=options.store)
        index = write_report(
            studies,
            profile=options.profile,
            reports=options.reports,
            base_url=options.base_url,
            references=references,
            listed=catalogue(options.profile, [options.conf]) if options.conf else (),
            beside=bool(options.studies),
            order=options.order,
        )
    except ReportError as error:
        sys.stderr.write(f"{error}; the report that was there is untouched\n")
        return BAD_INPUT
    if options.publish:
        publish_files(studies, store=options.store, folder=index.parent)
    sys.stdout.write("".join(f"{_line(study)}\n" for study in studies))
    sys.stdout.write(f"{index}\n")
    return 0


def publish_cells(studies: Sequence[Study], *, store: str) -> list[Study]:
    """Write every study's cells to the store; the studies, which then know their cell runs."""
    publisher = Publisher(store)
    for study in studies:
        publisher.publish_cells(study.declaration, published_cells(study))
    return [replace(study, published=load_published(store, study.declaration)) for study in studies]


def publish_files(studies: Sequence[Study], *, store: str, folder: Path) -> None:
    """Write each study's page, paper and files to the study's report run."""
    publisher = Publisher(store)
    values = folder / "values.csv"
    shared = [values] if values.exists() else []
    for study in studies:
        pages = [folder / f"{study.name}.{ending}" for ending in ("html", "pdf")]
        publisher.publish_report(
            study.name, study.declaration.profile, [*shared, *pages, folder / study.name]
        )


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ablation_lab.report", description="Write the report."
    )
    store = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///runs/mlflow.db")
    parser.add_argument("--store", default=store, help="such as sqlite:///runs/mlflow.db")
    parser.add_argument("--profile", required=True, help="such as quick")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of reports")
    parser.add_argument("--studies", nargs="*", default=[], help="only these, in the report too")
    parser.add_argument("--order", nargs="*", default=[], help="studies that come first, in order")
    parser.add_argument("--conf", type=Path, help="list what is declared here and has no run")
    parser.add_argument("--publish", action="store_true", help="write cells and files to the store")
    parser.add_argument("--base-url", default=BASE_URL, help="where the MLflow server is reached")
    return parser


def _line(study: Study) -> str:
    finished = int((study.frame["status"] == "finished").sum())
    needed = int((study.frame["status"] != "not needed").sum())
    return f"{study.name}: {finished} of {needed} runs finished"


if __name__ == "__main__":
    raise SystemExit(carried_out(main, mendable=lambda _: ""))
