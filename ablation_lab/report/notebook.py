"""For notebooks: a study as a tidy table, its printed table, its figure.

In: names. Out: a DataFrame that carries its declaration along, so that it can be filtered and
shown.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ablation_lab.report.canvas import figure_of
from ablation_lab.report.cross_study import Across
from ablation_lab.report.figures import points
from ablation_lab.report.study import Study, declared, load
from ablation_lab.report.tables import pivot_table, tables_for
from ablation_lab.report.tabular import markdown
from ablation_lab.store.declared import load_references
from ablation_lab.store.frame import load_frame
from ablation_lab.store.places import validate_readable
from ablation_lab.study.declaration import Declaration, declared_text, parse

STORE = "sqlite:///runs/mlflow.db"


class UnknownTableError(ValueError):
    """A table was asked for that a report does not have."""


def load_study(study: str, *, profile: str = "quick", store: str = STORE) -> pd.DataFrame:
    """One row per declared run of a study.

    Raises StoreError where there is no such store, UnknownStudyError where it does not declare the
    study for this profile.
    """
    validate_readable(store)
    (declaration,) = declared(store, profile, only=[study])
    frame = load_frame(store, declaration)
    frame.attrs["declaration"] = declared_text(declaration)
    return frame


def load_table(
    study: str | None, name: str = "main", *, profile: str = "quick", store: str = STORE
) -> str:
    """A table of a study's report as Markdown; of what stands across all studies for None.

    Raises StoreError where there is no such store, UnknownStudyError where it does not declare the
    study for this profile, UnknownTableError where its report has no such table.
    """
    validate_readable(store)
    studies = load(store, profile, only=[study] if study else [])
    if study is None:
        made = Across.over(studies, references=load_references(store)).tables
    else:
        made = tables_for(studies[0])
    known = {table.name: table for table in made}
    if name not in known:
        whose = f"study {study!r}" if study else "the report across all studies"
        raise UnknownTableError(
            f"{whose} has no table {name!r} with profile {profile!r}; it has: "
            f"{', '.join(known) or 'none'}"
        )
    return markdown(known[name])


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """The study's pivot table as text, computed from the rows given."""
    made = pivot_table(_study(frame))
    rows = [[entry.words for entry in row] for row in made.rows]
    return pd.DataFrame(rows, columns=list(made.heads))


def figure(frame: pd.DataFrame) -> Figure:
    """Estimate and interval of every cell, computed from the rows given."""
    return figure_of(points(_study(frame)))


def _study(frame: pd.DataFrame) -> Study:
    declaration = _declaration(frame)
    return Study(declaration, frame)


def _declaration(frame: pd.DataFrame) -> Declaration:
    if "declaration" not in frame.attrs:
        raise ValueError("this table does not know its study; take it from ablation_lab.load_study")
    return parse(frame.attrs["declaration"], "the table's declaration")
