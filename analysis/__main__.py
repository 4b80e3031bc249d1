"""`python -m analysis`: from a store to a report folder.

In: the address of a store, a profile, a folder. Out: the report, one line per study, and the path
of the page. Exit status 0, or 2 with one line on what is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from analysis.declaration import DeclarationError
from analysis.report import BASE_URL, write_report
from analysis.study import Study, UnknownStudyError, load

BAD_INPUT = 2
PUBLISHED = ("estimate", "low", "high", "n", "nc", "finished", "failed", "missing")


class StoreError(ValueError):
    """An address that names no store."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        check_store(options.store)
        studies = load(options.store, options.profile, only=options.studies)
    except (DeclarationError, UnknownStudyError, StoreError) as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    index = write_report(
        studies, profile=options.profile, reports=options.reports, base_url=options.base_url
    )
    if options.publish:
        publish(studies, store=options.store, folder=index.parent)
    sys.stdout.write("".join(f"{_line(study)}\n" for study in studies))
    sys.stdout.write(f"{index}\n")
    return 0


def check_store(address: str) -> None:
    """Refuse a store that is no database or server, or an SQLite file that is not there.

    MLflow would create a missing SQLite file and report it as empty.
    """
    if "://" not in address:
        raise StoreError(
            f"store {address!r} is no address; expected one such as sqlite:///runs/mlflow.db"
        )
    scheme, path = address.split("://", 1)
    if scheme == "sqlite" and not Path(path[1:]).is_file():
        raise StoreError(
            f"store {address}: no file {path[1:]!r}; run a study first, or fix the path"
        )


def publish(studies: Sequence[Study], *, store: str, folder: Path) -> None:
    """Write every study's cells and report files back to the store, for the MLflow UI."""
    from experiments.tracking import publish_report

    for study in studies:
        publish_report(
            tracking_uri=store,
            study=study.name,
            profile=study.declaration.profile,
            cells=published_cells(study),
            folder=folder / study.name,
        )


def published_cells(study: Study) -> list[dict[str, Any]]:
    """Per cell its name, its factors, and the finite ones of the few published numbers."""
    factors = {cell.cell: dict(cell.factors) for cell in study.declaration.cells}
    published = []
    for row in study.cells.to_dict("records"):
        numbers = {key: float(row[key]) for key in PUBLISHED}
        finite = {key: value for key, value in numbers.items() if isfinite(value)}
        published.append({"cell": row["cell"], "factors": factors[row["cell"]], **finite})
    return published


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Write the report.")
    parser.add_argument("--store", required=True, help="such as sqlite:///runs/mlflow.db")
    parser.add_argument("--profile", required=True, help="such as quick")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of reports")
    parser.add_argument("--studies", nargs="*", default=[], help="only these, in the report too")
    parser.add_argument("--publish", action="store_true", help="write cells and files to the store")
    parser.add_argument("--base-url", default=BASE_URL, help="where the MLflow server is reached")
    return parser


def _line(study: Study) -> str:
    finished = int((study.frame["status"] == "finished").sum())
    return f"{study.name}: {finished} of {len(study.frame)} runs finished"


if __name__ == "__main__":
    raise SystemExit(main())
