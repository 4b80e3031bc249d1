"""`python -m analysis`: from a store to a report folder.

In: the address of a store, a profile, a folder. Out: the report, one line per study, and the path
of the page. Exit status 0, or 2 with one line on what is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.declaration import DeclarationError
from analysis.report import BASE_URL, write_report
from analysis.study import Study, UnknownStudyError, load

BAD_INPUT = 2


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Write the report.")
    parser.add_argument("--store", required=True, help="such as sqlite:///runs/mlflow.db")
    parser.add_argument("--profile", required=True, help="such as quick")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of reports")
    parser.add_argument("--studies", nargs="*", default=[], help="only these, in the report too")
    parser.add_argument("--base-url", default=BASE_URL, help="where the MLflow server is reached")
    return parser


def _line(study: Study) -> str:
    finished = int((study.frame["status"] == "finished").sum())
    return f"{study.name}: {finished} of {len(study.frame)} runs finished"


if __name__ == "__main__":
    raise SystemExit(main())
