"""For notebooks: one study, from its store or from results that exist, with all that is said of it.

In: a name, a table of pandas, an experiment of somebody else's. Out: a ``Study``, whose numbers
stay numbers and whose tables and figures are those of the report.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ablation_lab.report.contrast_rows import contrasts
from ablation_lab.report.cross_study import Across
from ablation_lab.report.figure_runs import forest, paired_lines, rain_clouds
from ablation_lab.report.figures import Drawing, figures_for
from ablation_lab.report.report import write_report
from ablation_lab.report.study import Study as Stored
from ablation_lab.report.study import declared, load, load_one, of_imported
from ablation_lab.report.tables import tables_for
from ablation_lab.report.tabular import Table as Printed
from ablation_lab.report.tabular import markdown
from ablation_lab.store.declared import load_references
from ablation_lab.store.foreign import of_mlflow, of_optuna
from ablation_lab.store.importing import imported
from ablation_lab.store.inferred import Asked
from ablation_lab.store.places import validate_readable
from ablation_lab.store.tables import Table, melted, of_frame, read_table
from ablation_lab.study.metric import Direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STORE = "sqlite:///runs/mlflow.db"
OF_RUNS: Mapping[str, Drawing] = {"rain": rain_clouds, "pairs": paired_lines, "forest": forest}


class UnknownTableError(ValueError):
    """A table or figure was asked for that a study does not have."""


class Study:
    """One study, whoever trained it: its runs, cells, tests, tables, figures and report."""

    def __init__(self, stored: Stored, store: str = "") -> None:
        """Wrap what was read; ``load`` and the others read it."""
        self._stored, self._store = stored, store

    @classmethod
    def load(cls, name: str, *, profile: str = "quick", store: str = STORE) -> Study:
        """Read a study of a store.

        Raises StoreError where there is no such store, UnknownStudyError where it does not declare
        the study for this profile.
        """
        validate_readable(store)
        (declaration,) = declared(store, profile, only=[name])
        return cls(load_one(store, declaration), store)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        factors: Sequence[str] | Mapping[str, str],
        metric: str | Sequence[str],
        direction: str = "",
        wide: Mapping[str, str] | None = None,
        study: str = "table",
        **asked: Any,
    ) -> Study:
        """Make a study of a table with a row for each run.

        ``factors`` and ``metric`` name columns, the first metric is compared; ``direction`` is
        maximize or minimize where its name does not say it. Further: ``replicate``, ``task``,
        ``baseline``, ``title``, ``rows``, ``columns``, ``chance``, ``equivalence``. ``wide`` maps a
        new column to the columns that are its values: ``{"seed": "acc_*"}``.
        Raises ConfigurationError for columns and rows that are wrong.
        """
        table = of_frame(frame)
        return cls._of(table, factors, metric, direction, wide=wide, study=study, **asked)

    @classmethod
    def from_csv(cls, path: str | Path, **asked: Any) -> Study:
        """Make a study of somebody's CSV file, as ``from_frame`` does of a table."""
        return cls._of(read_table(Path(path)), **{"study": Path(path).stem, **_asked(asked)})

    @classmethod
    def from_mlflow(cls, experiment: str, *, store: str | None = None, **asked: Any) -> Study:
        """Make a study of the runs of an MLflow experiment, which is only read."""
        return cls._of(of_mlflow(experiment, store), **{"study": experiment, **_asked(asked)})

    @classmethod
    def from_optuna(cls, study: str, *, store: str | None = None, **asked: Any) -> Study:
        """Make a study of the trials of an Optuna study, which is only read."""
        return cls._of(of_optuna(study, store), **{"study": study, **_asked(asked)})

    @classmethod
    def _of(
        cls,
        table: Table,
        factors: Sequence[str] | Mapping[str, str],
        metrics: str | Sequence[str],
        direction: str = "",
        *,
        wide: Mapping[str, str] | None = None,
        **asked: Any,
    ) -> Study:
        names = [metrics] if isinstance(metrics, str) else list(metrics)
        for name, pattern in (wide or {}).items():
            table = melted(table, name, pattern, names[0])
        ways: dict[str, Direction | None] = dict.fromkeys(names)
        if direction:
            ways[names[0]] = Direction(direction)
        labels = factors if isinstance(factors, Mapping) else dict.fromkeys(factors, "")
        return cls(of_imported(imported(table, Asked(factors=labels, metrics=ways, **asked))))

    @property
    def name(self) -> str:
        """The study's name."""
        return self._stored.name

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each run; factors that are numbers are numeric, no column is empty."""
        frame = self._stored.frame.copy()
        for factor in self._stored.declaration.factors:
            plain = frame[factor.name].astype(object)
            frame[factor.name] = pd.to_numeric(plain) if factor.numeric else frame[factor.name]
        empty = [name for name in frame if (frame[name].isna() | (frame[name] == "")).all()]
        return frame.drop(columns=[n for n in empty if n != self._stored.declaration.metric])

    @property
    def curves(self) -> pd.DataFrame:
        """The points that runs logged along the way: cell, replicate, step, value, metric."""
        return self._stored.curves.drop(columns="run_id")

    @property
    def cells(self) -> pd.DataFrame:
        """A row for each cell: estimate, interval, counts, comparison with the baseline."""
        return self._stored.cells.dropna(axis="columns", how="all")

    @property
    def tables(self) -> list[str]:
        """The names of its tables."""
        return list(self._tables)

    @property
    def figures(self) -> list[str]:
        """The kinds of its figures, those of the report first."""
        return list(self._drawings)

    def comparisons(self) -> pd.DataFrame:
        """Every primary contrast: difference, interval, p, verdict."""
        return contrasts(self._stored)

    def table(self, name: str = "main") -> pd.DataFrame:
        """A table of the report as text. Raises UnknownTableError."""
        made = _one(self._tables, name, f"study {self.name!r} has no table")
        rows = [[entry.words for entry in row] for row in made.rows]
        return pd.DataFrame(rows, columns=list(made.heads))

    def markdown(self, name: str = "main") -> str:
        """A table of the report as Markdown, with caption and notes. Raises UnknownTableError."""
        return markdown(_one(self._tables, name, f"study {self.name!r} has no table"))

    def figure(self, kind: str = "", *, ax: Axes | None = None) -> Axes:
        """Draw a figure, on ``ax`` where it is given; the first of its kinds without a name.

        Raises UnknownTableError, and ValueError where the study has nothing for this kind.
        """
        drawings = self._drawings
        kind = kind or next(iter(drawings))
        draw: Drawing = _one(drawings, kind, f"study {self.name!r} has no figure")
        return draw(self._stored, ax=ax)

    def where(self, **levels: Any) -> Study:
        """The same study of the runs with these levels, or of these replicates."""
        frame = self._stored.frame
        for name, wanted in levels.items():
            listed = wanted if isinstance(wanted, list | tuple | range) else [wanted]
            frame = frame[frame[name].astype(str).isin([str(each) for each in listed])]
        return Study(replace(self._stored, frame=frame), self._store)

    def report(self, folder: str | Path = "reports") -> Path:
        """Write its report into a folder; return the path of the page."""
        profile = self._stored.declaration.profile
        return write_report([self._stored], profile=profile, reports=Path(folder), beside=True)

    def plan(self) -> str:
        """Say what `ablation plan` says of it, in the project of this folder."""
        return self._called("plan")

    def run(self) -> Study:
        """Train what is missing of it, in the project of this folder; the study with its runs."""
        self._called("run")
        return Study.load(self.name, profile=self._stored.declaration.profile, store=self._store)

    def _called(self, verb: str) -> str:
        if self._stored.declaration.imported:
            raise ValueError(f"study {self.name!r} was imported: nothing here trains its runs")
        words = [f"study={self.name}", f"profile={self._stored.declaration.profile}"]
        # By the environment, where other users of the machine do not see a password.
        words += ["tracking.uri=${oc.env:MLFLOW_TRACKING_URI}"]
        environment = os.environ | {"MLFLOW_TRACKING_URI": self._store}
        command = [sys.executable, "-m", "ablation_lab", verb, *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or done.stdout)
        return done.stdout

    @property
    def _tables(self) -> dict[str, Printed]:
        return {table.name: table for table in tables_for(self._stored)}

    @property
    def _drawings(self) -> dict[str, Drawing]:
        return {**figures_for(self._stored), **OF_RUNS}

    def _repr_html_(self) -> str:
        declaration = self._stored.declaration
        table = self._tables.get("main") or next(iter(self._tables.values()))
        head = pd.Series([declaration.title, declaration.question, table.caption])
        title, question, caption = head.str.replace("&", "&amp;").str.replace("<", "&lt;")
        shown = self.table(table.name).to_html(index=False)
        return f"<h3>{title}</h3><p>{question}</p>{shown}<p><small>{caption}</small></p>"

    def __repr__(self) -> str:
        """Say its name, and how many runs it has."""
        return f"<Study {self.name}: {len(self._stored.frame)} runs in {len(self.cells)} cells>"

    def __dir__(self) -> list[str]:
        """Name what is public."""
        return [name for name in object.__dir__(self) if not name.startswith("_")]


def across(name: str, *, profile: str = "quick", store: str = STORE) -> str:
    """A table of what stands across all studies of a store, as Markdown.

    Raises StoreError where there is no such store, UnknownTableError where there is no such table.
    """
    validate_readable(store)
    made = Across.over(load(store, profile), references=load_references(store)).tables
    known = {table.name: table for table in made}
    return markdown(_one(known, name, f"profile {profile!r} has no table across all studies"))


def _one(known: Mapping[str, Any], name: str, lack: str) -> Any:
    if name not in known:
        raise UnknownTableError(f"{lack} {name!r}; it has: {', '.join(known) or 'none'}")
    return known[name]


def _asked(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of ``from_frame`` as those of what it calls."""
    return {"metrics" if name == "metric" else name: value for name, value in asked.items()}
