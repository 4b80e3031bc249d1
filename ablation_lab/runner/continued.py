"""`ablation import FILE --into STUDY`: rows count as finished runs of a study that trains the rest.

In: a table whose columns are called like the factors and metrics of a declared study. Out: runs in
the store under the keys of the declared runs that they are said to be, marked with their row and
the checksum of the file. What has no row, or no value in it, is trained by the next call. They are
written before the study is declared for the first time, so that its protocol is not sealed as fixed
beforehand.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.output import say
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.declaring import keep_declarations
from ablation_lab.runner.nuisances import with_choices
from ablation_lab.runner.planning import count, without_finished
from ablation_lab.runner.session import declare_studies, read_store
from ablation_lab.store.importing import ImportedStudy, imported
from ablation_lab.store.inferred import Asked, equal_levels
from ablation_lab.store.places import validate_places
from ablation_lab.store.tables import Table
from ablation_lab.store.write import Tracker
from ablation_lab.study.declare import Declared
from ablation_lab.study.record import Curve, NoConvergence, Record, Status, command
from ablation_lab.study.run import Run, TrainerName
from ablation_lab.training.values import thinned

# What a study says itself.
SAID_BY_STUDY = (
    *("factors", "metric", "direction", "task", "baseline", "study", "title", "rows", "columns"),
    *("design", "selection", "chance", "equivalence", "references"),
)


@dataclass(frozen=True)
class Found:
    """The declared runs that rows of a table are, with the rows, and what is known of each row."""

    table: Table
    study: ImportedStudy
    rows: Mapping[str, dict[str, Any]]
    runs: tuple[Run, ...]

    def records(self, runs: tuple[Run, ...]) -> Iterator[Record]:
        """Yield the rows of these runs as records."""
        curves = _curves(self.study.curves)
        for run in runs:
            row = self.rows[run.key]
            yield self._record(run, row, curves.get(row["run_id"], {}))

    def _record(self, run: Run, row: Mapping[str, Any], curves: Mapping[str, Curve]) -> Record:
        values = {name: row[name] for name in run.metrics if name not in curves}
        origin = f"{self.study.declaration.imported}: {row['run_id']}"
        return Record(
            run=run,
            status=Status.FINISHED,
            trainer=TrainerName.IMPORTED,
            metrics={name: value for name, value in values.items() if not pd.isna(value)},
            curves=curves,
            not_converged=NoConvergence(row["not_converged"]),
            reason=f"imported from {origin}",
        )


def import_into(options: argparse.Namespace, call: Invocation, table: Table) -> tuple[str, ...]:
    """Keep the rows of a table as runs of the call's study; return the words that report it."""
    given = [name for name in SAID_BY_STUDY if getattr(options, name) is not None]
    if given:
        raise ConfigurationError(
            f"--into: study {options.into!r} says what columns are; leave out --{given[0]}"
        )
    (declared,) = with_choices(call, declare_studies(call))
    found = found_in(table, declared, options.replicate or "")
    validate_places(call)
    new = without_finished(found.runs, read_store(call))
    Tracker(call.tracking_uri, call.artifacts).write(list(found.records(new)))
    keep_declarations(call, (declared,))
    for line in _said(found, new, declared, call.profile):
        say(line)
    where = ("--store", call.tracking_uri, "--profile", call.profile)
    reports = str(call.reports or "reports")
    return (*where, "--reports", reports, "--studies", declared.study.name)


def found_in(table: Table, declared: Declared, replicate: str) -> Found:
    """Return the declared runs that rows with a value are.

    Errors: ConfigurationError for a level or replicate that the study does not have.
    """
    study = declared.study
    names = dict.fromkeys(name for run in declared.runs for name in run.factors)
    ways = {metric.name: metric.direction for metric in (study.metric, *study.further)}
    made = imported(
        table, Asked(study=study.name, factors=dict.fromkeys(names, ""), metrics=ways,
                     replicate=replicate)
    )  # fmt: skip
    runs = {_place(run.factors, run.replicate): run for run in declared.runs}
    levels = {name: _declared_levels(table, name, declared, made) for name in names}
    order = _replicates(made.frame["replicate"], declared)
    rows: dict[str, dict[str, Any]] = {}
    for found in made.frame.to_dict("records"):
        row = {str(name): value for name, value in found.items()}
        cell = {name: levels[name][row[name]] for name in names if not pd.isna(row[name])}
        run = runs.get(_place(cell, order[row["replicate"]]))
        if run is None:
            raise _no_run(table, row, cell, declared)
        if row["status"] == Status.FINISHED:
            rows[run.key] = row
    return Found(table, made, rows, tuple(run for run in declared.runs if run.key in rows))


def _place(levels: Mapping[str, str], replicate: int) -> tuple[frozenset[tuple[str, str]], int]:
    return frozenset(levels.items()), replicate


def _declared_levels(
    table: Table, name: str, declared: Declared, made: ImportedStudy
) -> dict[str, str]:
    """Return the declared level of each level of a column: 0.10 is 0.1."""
    known = list(dict.fromkeys(run.factors[name] for run in declared.runs if name in run.factors))
    found = {}
    for level in made.declaration.factor(name).levels:
        same = next((each for each in known if equal_levels(each, level)), None)
        if same is None:
            raise ConfigurationError(
                f"{table.name}: column {name!r}: unknown level {level!r} of study "
                f"{declared.study.name}; {nearest(level, known)}"
            )
        found[level] = same
    return found


def _replicates(given: pd.Series[int], declared: Declared) -> dict[int, int]:
    """Return which replicates rows are: as numbered where the study counts so far, else in order.

    One seed is one replicate in every cell.
    """
    names = sorted(set(given))
    counted = {run.replicate for run in declared.runs}
    return {name: name if counted.issuperset(names) else n for n, name in enumerate(names)}


def _no_run(
    table: Table, row: Mapping[str, Any], cell: Mapping[str, str], declared: Declared
) -> ConfigurationError:
    where = f"{table.name}: {row['run_id']}: {', '.join(f'{n}={x}' for n, x in cell.items())}"
    most = 1 + max(run.replicate for run in declared.runs)
    return ConfigurationError(
        f"{where}: study {declared.study.name} has no such cell, or no more than "
        f"{count(most, 'replicate')} of it in profile {declared.profile}; declare them, or leave "
        "the row out"
    )


def _curves(points: pd.DataFrame) -> dict[str, dict[str, Curve]]:
    """Return the curves of each row by name; a value without course is none."""
    found: dict[str, dict[str, Curve]] = {}
    for (row, name), part in points.groupby(["run_id", "metric"], sort=False):
        if len(part) > 1:
            steps = part["step"].astype(int)
            found.setdefault(str(row), {})[str(name)] = thinned(
                tuple(zip(steps, part["value"], strict=True))
            )
    return found


def _said(found: Found, new: tuple[Run, ...], declared: Declared, profile: str) -> Iterator[str]:
    """Say what became of the rows, and what is left to train."""
    rows, kept = len(found.study.frame), len(found.runs)
    yield f"{found.study.declaration.imported}"
    known = f", {kept - len(new)} were there already" if kept > len(new) else ""
    lost = f"; {count(rows - kept, 'row')} without a value: trained like any other" * (rows > kept)
    yield f"{declared.study.name}: {count(len(new), 'run')} imported{known}{lost}"
    yield f"{command(declared.study.name, profile)} trains what is missing"
