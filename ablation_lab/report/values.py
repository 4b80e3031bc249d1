"""`python -m ablation_lab.report.values`: how the reference values of a project fare.

In: the address of a store and a profile. Out: kind × verdict as counts, and every value that
differs or lies outside. Exit status 0; 1 if a value is bound to nothing or its study has lost the
cell; 2 with one line on what is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ablation_lab.errors import StoreError, redact
from ablation_lab.report.__main__ import BAD_INPUT
from ablation_lab.report.reference_values import LOST, answers, value_table
from ablation_lab.report.study import load
from ablation_lab.store.declared import load_references
from ablation_lab.store.places import validate_readable
from ablation_lab.study.project import catalogue
from ablation_lab.study.reading import DeclarationError

TOLD = ("differs", "outside", "erratum not confirmed", "too few")
KINDS = ("exact", "converged", "dist", "unspecified", "erratum", "cited")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the summary; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ablation_lab.report.values", description=__doc__
    )
    parser.add_argument("--store", required=True, help="such as sqlite:///runs/mlflow.db")
    parser.add_argument("--profile", required=True, help="such as quick")
    parser.add_argument("--conf", type=Path, default=Path("conf"), help="the declarations")
    options = parser.parse_args(arguments)
    try:
        validate_readable(options.store)
        references = load_references(options.store)
        if not references:
            raise StoreError(
                f"store {redact(options.store)}: it holds no reference values; run a study first"
            )
        studies = load(options.store, options.profile)
    except (DeclarationError, StoreError) as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    table = value_table(answers(studies, references, catalogue(options.profile, [options.conf])))
    unbound = {
        reference.claim_id
        for reference in references
        if not reference.study and not reference.not_attempted
    }
    sys.stdout.write(summary(table))
    wrong = table[(table["verdict"] == LOST) | table["id"].isin(unbound)]
    for row in wrong.to_dict("records"):
        sys.stderr.write(f"not bound: {row['id']}: {row['note']}\n")
    return 1 if len(wrong) else 0


def summary(table: pd.DataFrame) -> str:
    """Counts by kind and verdict, then one line for each that a reader should look at."""
    counts = pd.crosstab(table["kind"], table["verdict"])
    counts = counts.reindex([kind for kind in KINDS if kind in counts.index])
    words = [str(word) for word in counts.columns]
    width = max(len(kind) for kind in KINDS)
    lines = [f"{len(table)} reference values"]
    for kind, row in counts.iterrows():
        told = ", ".join(f"{row[word]} {word}" for word in words if row[word])
        lines.append(f"  {kind:<{width}}  {told}")
    for word in TOLD:
        lines += [
            f"{word}: {row['id']} ({row['study']}): printed {row['printed']}; {row['note']}"
            for row in table[table["verdict"] == word].to_dict("records")
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
