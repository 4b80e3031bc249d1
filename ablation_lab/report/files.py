"""The folder of a study in a report: its data, its tables, its figures.

In: a study. Out: runs.csv, cells.csv, comparisons.csv, the numbers that a text may use, a file of
every table in three formats and of every figure in two.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ablation_lab.report.canvas import Drawn, save
from ablation_lab.report.contrast_rows import contrasts
from ablation_lab.report.figures import figures_for
from ablation_lab.report.numbers import numbers_of, write_numbers
from ablation_lab.report.study import Study
from ablation_lab.report.tables import tables_for
from ablation_lab.report.tabular import Table, write_table
from ablation_lab.report.text import csv_frame
from ablation_lab.statistics.outcomes import further_estimates

COUNTED = ("steps", "parameters", "not_converged", "not_converged_step", "successes")


def write_study(study: Study, folder: Path) -> tuple[list[Table], list[Drawn]]:
    """Write runs.csv, cells.csv, comparisons.csv, the tables and the figures."""
    folder.mkdir(parents=True)
    data = {
        "runs": whole_numbers(study.frame),
        "cells": whole_numbers(with_further(study)),
        "comparisons": contrasts(study),
    }
    for name, table in data.items():
        if len(table):
            csv_frame(table).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    write_numbers(numbers_of(study), folder)
    tables = tables_for(study)
    for made in tables:
        write_table(made, folder)
    drawings = figures_for(study).items()
    return tables, [save(draw(study), folder, name) for name, draw in drawings]


def with_further(study: Study) -> pd.DataFrame:
    """The cells by the metric that they are compared by, then by the further ones."""
    more = further_estimates(study.frame, study.declaration)
    return pd.concat([study.cells, more], ignore_index=True) if len(more) else study.cells


def whole_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its counting columns written as whole numbers."""
    counted = [name for name in table.select_dtypes("number") if name in COUNTED]
    whole = [name for name in counted if (table[name].dropna() % 1 == 0).all()]
    return table.astype(dict.fromkeys(whole, "Int64"))
