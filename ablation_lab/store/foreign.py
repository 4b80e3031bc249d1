"""Runs that other programs keep, as a table: MLflow, Optuna, TensorBoard, and CSV files. Read only.

In: an address such as ``results.csv``, ``mlflow:EXPERIMENT``, ``optuna:STUDY``, or a folder of
TensorBoard's logs. Out: a ``Table`` with a row for each run, and the curves where they are kept.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from ablation_lab.errors import ConfigurationError, StoreError, installing, nearest, redact
from ablation_lab.store.client import Store
from ablation_lab.store.connect import connected, file_of
from ablation_lab.store.places import validate_readable
from ablation_lab.store.runs import points_of
from ablation_lab.store.tables import Table, of_frame, read_table

MLFLOW, OPTUNA = "sqlite:///mlflow.db", "sqlite:///optuna.db"  # where both keep them by default
EVENTS = "events.out.tfevents"


def read_source(source: str, store: str | None = None) -> Table:
    """Read what a source names. Errors: ConfigurationError, StoreError."""
    kind, _, name = source.partition(":")
    if kind in TRACKERS and name:
        return TRACKERS[kind](name, store)
    path = Path(source)
    return of_tensorboard(path) if path.is_dir() else read_table(path)


@contextmanager
def copied(uri: str) -> Iterator[str]:
    """Give the address of a copy of an SQLite file, which opening would change; others as it is."""
    validate_readable(uri)
    path = file_of(uri)
    if path is None:
        yield uri
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = Path(folder, "copy.db")
        place = f"{path.resolve().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(place, uri=True)) as read,
            closing(sqlite3.connect(copy)) as written,
        ):
            read.backup(written)
        yield f"sqlite:///{copy}"


def _upgrade(uri: str) -> None:
    """Give the copy of an older version's store the tables of today."""
    try:
        with connected(uri):
            return
    except StoreError:
        command = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().rpartition("\n")[2]
            raise StoreError(f"store: its tables are not those of this MLflow: {said}") from None


def of_mlflow(experiment: str, store: str | None = None) -> Table:
    """Every run of an experiment, nested ones too: params typed back, last metrics, state, curves.

    A run that has children and no metric is their frame only, and left out.
    """
    with copied(store or MLFLOW) as uri:
        if file_of(uri):
            _upgrade(uri)
        opened = Store(uri)
        if not opened.find(experiment):
            known = [each.name for each in opened.client.search_experiments()]
            raise ConfigurationError(
                f"{redact(store or MLFLOW)}: no experiment {experiment!r}; "
                f"{nearest(experiment, known)}"
            )
        runs = list(opened.search(experiment))
        metrics = sorted({name for run in runs for name in run.data.metrics})
        ids = [run.info.run_id for run in runs]
        points = [
            (run, name, step, value)
            for name in metrics
            for run, step, value in points_of(uri, ids, name)
        ]
    parents = {run.data.tags.get("mlflow.parentRunId") for run in runs}
    runs = [run for run in runs if run.data.metrics or run.info.run_id not in parents]
    rows = {run.info.run_id: _row_of_mlflow(run) for run in runs}
    return _table(rows, f"mlflow:{experiment}", _curves(points))


def _row_of_mlflow(run: Any) -> dict[str, Any]:
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    return {**tags, **run.data.params, **run.data.metrics, "status": run.info.status.lower()}


def of_optuna(study: str, store: str | None = None) -> Table:
    """Every trial of a study: params, values, user attributes, state, intermediate values."""
    from ablation_lab.store.trials import trials_of

    rows, curves = dict[str, dict[str, Any]](), []
    with copied(store or OPTUNA) as uri:
        trials = trials_of(uri, study)
    for trial in trials:
        name = f"trial {trial.number}"
        values = trial.values or []
        measured = {"value": values[0]} if len(values) == 1 else {
            f"value_{i}": value for i, value in enumerate(values)
        }  # fmt: skip
        state = {"status": trial.state.name.lower()}
        rows[name] = {**trial.user_attrs, **trial.params, **measured, **state}
        curves += [(name, "value", at, value) for at, value in trial.intermediate_values.items()]
    return _table(rows, f"optuna:{study}", _curves(curves))


def of_tensorboard(folder: Path) -> Table:
    """Every folder with event files is a run: its name, hyperparameters in it, last scalars.

    Of a path such as ``lr=0.1,seed=3`` or ``lr_0.1/seed_3`` every part is a column.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        raise ConfigurationError(
            f"{folder}: TensorBoard's logs need the package tensorboard: "
            f"{installing('tensorboard>=2.20')}"
        ) from None
    places = sorted({path.parent for path in folder.rglob(f"*{EVENTS}*")})
    if not places:
        raise ConfigurationError(f"{folder}: no event files ({EVENTS}…) below this folder")
    rows, curves = dict[str, dict[str, Any]](), []
    for place in places:
        events = EventAccumulator(str(place), size_guidance={"scalars": 0}).Reload()
        name = place.relative_to(folder).as_posix()
        rows[name] = _parts(name)
        for tag in events.Tags()["scalars"]:
            points = events.Scalars(tag)
            rows[name][tag] = points[-1].value
            curves += [(name, tag, point.step, point.value) for point in points]
    return _table(rows, str(folder), _curves(curves))


def _parts(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"run": name}
    for part in name.replace(",", "/").split("/"):
        sign = "=" if "=" in part else "_"
        key, found_sign, value = part.rpartition(sign)
        if found_sign and key and value:
            found[key] = value
    return found


def _curves(points: list[tuple[str, str, int, float]]) -> pd.DataFrame:
    return pd.DataFrame(points, columns=["row", "metric", "step", "value"])


def _table(rows: dict[str, dict[str, Any]], name: str, curves: pd.DataFrame) -> Table:
    """Return the rows, with columns of text where what was text is none of numbers."""
    frame = pd.DataFrame(list(rows.values()), index=list(rows))
    if frame.empty:
        raise ConfigurationError(f"{name}: no run; expected one or more")
    for column in frame.select_dtypes(exclude="number"):
        frame[column] = frame[column].map(_typed)
    made = of_frame(frame, name)
    names = pd.Series(list(rows))
    return Table(made.frame, name, made.checksum, names, curves)


def _typed(value: Any) -> Any:
    """Return a parameter that was kept as text as the number that it says."""
    if not isinstance(value, str):
        return value
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    return value


TRACKERS: dict[str, Callable[[str, str | None], Table]] = {
    "mlflow": of_mlflow,
    "optuna": of_optuna,
}
