"""`python -m ablation_lab.report`: from a store to a report folder.

In: the address of a store, a profile, a folder. Out: the report, one line per study, and the path
of the page. Exit status 0, or 2 with one line on what is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ablation_lab.ending import carried_out
from ablation_lab.errors import StoreError
from ablation_lab.output import warn
from ablation_lab.report.document import Summary
from ablation_lab.report.kept import Kept
from ablation_lab.report.paper import ReportError
from ablation_lab.report.report import BASE_URL, write_report
from ablation_lab.report.study import UnknownStudyError, stored
from ablation_lab.store.declared import load_references
from ablation_lab.store.experiments import validate_experiments
from ablation_lab.store.places import validate_readable
from ablation_lab.study.names import Language
from ablation_lab.study.project import Listed

BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None, *, listed: Sequence[Listed] | None = None) -> int:
    """Write the report; returns the exit status.

    `listed` are all studies that the project declares, where the report is about all of it.
    """
    options = _parser().parse_args(arguments)
    if options.listed:
        listed = [Listed(**each) for each in json.load(sys.stdin)]
    try:
        validate_readable(options.store)
        validate_experiments(options.store, options.studies)
        studies = stored(options.store, options.profile, only=options.studies)
        references = load_references(options.store)
    except (UnknownStudyError, StoreError) as error:
        warn(f"error: {error}")
        return BAD_INPUT
    if listed is None:  # a report on chosen studies is silent about all others
        references = tuple(value for value in references if value.study in options.studies)
    try:
        index = write_report(
            studies,
            profile=options.profile,
            reports=options.reports,
            base_url=options.base_url,
            references=references,
            listed=listed or (),
            beside=bool(options.studies),
            order=options.order,
            publish=options.store if options.publish else "",
            language=options.language,
        )
    except (ReportError, StoreError) as error:
        warn(f"error: {error}; the report that was there is untouched")
        return BAD_INPUT
    kept = Kept(index.parent)
    sys.stdout.write("".join(f"{_line(kept.summary(study.name))}\n" for study in studies))
    sys.stdout.write(f"{index}\n")
    return 0


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
    parser.add_argument(
        "--listed", action="store_true", help="list those that have no run: JSON on standard input"
    )
    parser.add_argument("--publish", action="store_true", help="write cells and files to the store")
    parser.add_argument("--language", default=Language.ENGLISH, choices=list(Language))
    parser.add_argument("--base-url", default=BASE_URL, help="where the MLflow server is reached")
    return parser


def _line(card: Summary) -> str:
    needed, finished, *_ = card.counts
    return f"{card.name}: {finished} of {needed} runs finished"


if __name__ == "__main__":
    raise SystemExit(carried_out(main, mendable=lambda _: ""))
