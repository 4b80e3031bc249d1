"""`ablation import`: results that exist become a study with a report, at once.

In: the place of somebody's results, and what its columns are. Out: the study in the store of the
project, or of this folder where it is none.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ablation_lab.errors import ConfigurationError
from ablation_lab.output import say
from ablation_lab.runner.declaring import provenance
from ablation_lab.store.client import Store
from ablation_lab.store.foreign import read_source
from ablation_lab.store.imported import keep_imported
from ablation_lab.store.importing import ImportedStudy, imported
from ablation_lab.store.inferred import PROFILE, Asked
from ablation_lab.store.places import validate_file, validate_folder
from ablation_lab.store.tables import Table, melted
from ablation_lab.study.files import read_yaml
from ablation_lab.study.metric import Direction
from ablation_lab.study.names import NOT_IN_FILES, wrong_study
from ablation_lab.study.reading import read_model
from ablation_lab.study.references import ReferenceValue, read_references
from ablation_lab.study.schema import Design, SelectionRule

STORE = "sqlite:///runs/mlflow.db"
PLACES = ("tracking.uri", "tracking.artifacts", "reports")


def import_results(
    options: argparse.Namespace, folder: Path, words: Sequence[str]
) -> tuple[str, ...]:
    """Import a source into a project's store; return the words that report it."""
    source, *settings = words
    study = imported(*asked_of(read_source(source, options.store), options, source))
    os.chdir(folder)
    places = _places(folder, settings)
    uri, reports = places["tracking.uri"], places["reports"]
    validate_file(uri, "store", "tracking.uri")
    validate_folder(Path(reports), "reports")
    artifacts = places.get("tracking.artifacts")
    keep_imported(Store(uri, Path(artifacts) if artifacts else None), study)
    for line in said_of(study):
        say(line)
    where = ("--store", uri, "--profile", PROFILE, "--reports", reports)
    return (*where, "--publish", "--studies", study.declaration.study)


def asked_of(table: Table, options: argparse.Namespace, source: str) -> tuple[Table, Asked]:
    """Return the table, made long where it is wide, and what was asked of it."""
    metrics = dict(_direction(word) for word in _list(options.metric))
    first = next(iter(metrics), "")
    if options.direction and first:
        metrics[first] = Direction(options.direction)
    table = long(table, options, first)
    asked = Asked(
        study=options.study or study_name(source),
        factors=dict(_labelled(word) for word in _list(options.factors)),
        metrics=metrics,
        replicate=options.replicate or "",
        task=options.task or "",
        baseline=dict(_pair(word, "--baseline", "lr=0.1") for word in _list(options.baseline)),
        title=options.title or "",
        rows=_list(options.rows),
        columns=_list(options.columns),
        chance=options.chance,
        equivalence=options.equivalence,
        references=_references(options.references),
        provenance={**provenance(), "command": f"ablation import {shlex.join(options.typed)}"},
        **_given(options, "design", "selection"),
    )
    if said := wrong_study(asked.study):
        raise ConfigurationError(f"--study: {said}")
    return table, asked


def long(table: Table, options: argparse.Namespace, metric: str) -> Table:
    """Return a table with the columns as rows that are asked for."""
    for word in options.wide or ():
        name, pattern = _pair(word, "--wide", "seed=acc_*")
        table = melted(table, name, pattern, metric)
    return table


def said_of(study: ImportedStudy) -> tuple[str, ...]:
    """Say what was understood of a source: its runs, pairs and metrics."""
    declaration, runs = study.declaration, study.frame
    counts = runs.groupby("cell", sort=False).size()
    each = f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()} to {counts.max()}"
    pairs = "paired by replicate" if declaration.paired else "not paired, so tests are unpaired"
    ways = ", ".join(f"{m.name}: {'more' if m.higher_is_better else 'less'} is better"
                     for m in declaration.metrics)  # fmt: skip
    lost = (runs["status"] == "failed").sum()
    failed = (f"{lost} of them failed: they have no value, or ended badly",) if lost else ()
    cells = f"{len(declaration.cells)} cells of {each} runs"
    return f"{declaration.imported}", f"{cells}, {pairs}; {ways}", *failed


def study_name(source: str) -> str:
    """Return the name of a study for a source: that of its file, or of its experiment."""
    kind, _, name = source.rpartition(":")
    stem = Path(source).stem if not kind or len(kind) == 1 else name
    return NOT_IN_FILES.sub("_", stem).strip(" .-~") or "results"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what may be said of the columns of a source."""
    add = parser.add_argument
    add("--factors", metavar="A,B", help="columns that were varied; lr:rate gives lr a label")
    add("--metric", metavar="M,N", help="columns of results, the first compared; N:minimize")
    way = parser.add_mutually_exclusive_group()
    for word in Direction:
        way.add_argument(
            f"--{word}", dest="direction", action="store_const", const=word.value,
            help=f"{word} the first metric",
        )  # fmt: skip
    add("--into", metavar="STUDY", help="count rows as runs of a declared study")
    add("--replicate", metavar="SEED", help="the column that tells runs of a cell apart")
    add("--task", metavar="A", help="the factor whose levels methods are compared on: data sets")
    add("--baseline", metavar="A=X,B=Y", help="levels that cells are compared with")
    add("--study", metavar="NAME", help="the study's name; without it, the file's")
    add("--title", metavar="TEXT", help="the heading of the report")
    add("--wide", metavar="A=acc_*", action="append", help="columns of one metric; * is level A")
    add("--store", metavar="ADDRESS", help="of MLflow's or Optuna's runs")
    add("--rows", metavar="A", help="factors of the main table's rows")
    add("--columns", metavar="B", help="factors of its columns")
    add("--design", metavar="NAME", choices=[*Design], help="such as ladder or one_at_a_time")
    add("--selection", metavar="NAME", choices=[*SelectionRule], help="such as last_epoch")
    add("--chance", metavar="SHARE", type=float, help="the accuracy of guessing")
    add("--equivalence", metavar="BAND", type=float, help="of 'as good as'")
    add("--references", metavar="FILE", help="reference values, as in conf/references")


def _list(words: str | None) -> list[str]:
    return [word.strip() for word in (words or "").split(",") if word.strip()]


def _labelled(word: str) -> tuple[str, str]:
    name, _, label = word.partition(":")
    return name, label


def _direction(word: str) -> tuple[str, Direction | None]:
    name, _, way = word.rpartition(":")
    return (name, Direction(way)) if name and way in [*Direction] else (word, None)


def _pair(word: str, option: str, example: str) -> tuple[str, str]:
    name, sign, value = word.partition("=")
    if not (name and sign and value):
        raise ConfigurationError(f"{option}: expected NAME=VALUE such as {example}, found {word!r}")
    return name, value


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _references(file: str | None) -> tuple[ReferenceValue, ...]:
    if not file:
        return ()
    path = Path(file)
    if not path.is_file():
        raise ConfigurationError(f"--references: no file {file!r}")
    return read_references({path.stem: read_yaml(path)}, {path.stem: path})


def _places(folder: Path, settings: Sequence[str]) -> Mapping[str, str]:
    """Return where the store and the reports are: as a project says, else in this folder."""
    if (folder / "conf" / "study").is_dir():
        return _of_project(folder, settings)
    found = {"tracking.uri": os.environ.get("MLFLOW_TRACKING_URI", STORE), "reports": "reports"}
    for word in settings:
        name, value = _pair(word, "command line", "reports=reports")
        if name not in PLACES:
            raise ConfigurationError(f"command line: {word!r}: expected one of {', '.join(PLACES)}")
        found[name] = value
    return found


def _of_project(folder: Path, settings: Sequence[str]) -> Mapping[str, str]:
    from ablation_lab.runner.composition import compose
    from ablation_lab.runner.configuration import Tracking
    from ablation_lab.study.project import open_project

    config = compose(open_project(folder), ["study=[]", *settings])
    tracking = read_model(Tracking, dict(config.tracking), "config.yaml")
    found = {"tracking.uri": tracking.uri, "reports": str(config.reports or "reports")}
    return found | ({"tracking.artifacts": str(tracking.artifacts)} if tracking.artifacts else {})
