"""The only reader of MLflow: a store becomes a tidy table of declared runs.

In: the address of a database store. Out: declarations, and for each one row per DECLARED run. A
stored run belongs to a declared run by its key alone; whatever else the store holds is listed as
extra and never mixed in.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ablation_lab.errors import StoreError
from ablation_lab.store.artifacts import artifact_text, has_artifact
from ablation_lab.store.convergence import with_counted_rules
from ablation_lab.store.stored import StoredRun, is_database, points_of, runs_of
from ablation_lab.study.declaration import (
    OUTCOME_COLUMNS,
    RUN_COLUMNS,
    Cell,
    Declaration,
    DeclarationError,
    parse,
)
from ablation_lab.study.record import NOT_RUN, Status
from ablation_lab.study.selection_rules import selection

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 5_000
TEXTS = ("study", "cell", "run_id", "nc_rule", "nc_recorded", "trainer", "device", "reason")
DECLARATION = "declaration.json"
STORED_INFINITY = 1.7976931348623157e308  # the store writes infinities as the largest double
METRICS = (
    "train_loss", "train_accuracy", "val_accuracy", "test_accuracy", "success", "nc", "nc_step",
    "parameters",
)  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """The declared runs, the stored runs that nobody declared, and what was wrong."""

    frame: pd.DataFrame
    extra: pd.DataFrame
    problems: tuple[str, ...]
    experiment_id: str


@contextmanager
def readable(uri: str) -> Iterator[None]:
    """Say in one line which store cannot be read and why (StoreError), whoever found out."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        first = str(error).splitlines()[0]
        raise StoreError(f"store {uri} cannot be read: {first}; check the address") from error


def declarations(uri: str, profile: str) -> list[Declaration]:
    """Every study that the store declares for a profile, sorted by name.

    Raises DeclarationError where report runs exist and none carries a readable declaration.
    """
    client = open_store(uri)
    found = []
    for experiment in sorted(client.search_experiments(), key=lambda e: str(e.name)):
        if str(experiment.name).endswith(".replicates"):
            continue
        wanted = f"tags.`ablation.kind` = 'report' and tags.`ablation.profile` = '{profile}'"
        runs = list(search_runs(client, experiment.experiment_id, wanted))
        if runs:
            found.append(_newest_declaration(client, str(experiment.name), runs))
    return found


def load_frame(uri: str, declaration: Declaration) -> pd.DataFrame:
    """One row per declared run: `load_runs(uri, declaration).frame`."""
    return load_runs(uri, declaration).frame


def load_runs(uri: str, declaration: Declaration) -> Loaded:
    """The declared runs with their outcome, and what else the store holds for this profile."""
    client = open_store(uri)
    experiment = client.get_experiment_by_name(f"{declaration.study}.replicates")
    runs = _stored(uri, client, experiment.experiment_id) if experiment else []
    by_key: dict[str, list[StoredRun]] = defaultdict(list)
    for run in runs:
        by_key[run.tags.get("ablation.key", "")].append(run)
    chosen, problems = {}, []
    for cell in declaration.cells:
        for declared in cell.runs:
            chosen[declared.key] = _choose(by_key.get(declared.key, []))
            finished = sum(run.is_finished for run in by_key.get(declared.key, []))
            if finished > 1:
                problems.append(
                    f"{cell.cell}, replicate {declared.replicate}: {finished} finished runs with "
                    f"key {declared.key}; the earliest counts"
                )
    rows = [row for cell in declaration.cells for row in _cell_rows(declaration, cell, chosen)]
    frame = with_counted_rules(_typed(rows, declaration), declaration)
    return Loaded(
        frame=frame,
        extra=_extra(runs, set(chosen), declaration.profile),
        problems=(*problems, *_without_metric(frame, declaration)),
        experiment_id=experiment.experiment_id if experiment else "",
    )


def load_curves(uri: str, frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Every stored point of a metric: columns cell, replicate, run_id, step, value."""
    runs = frame.loc[frame["run_id"] != "", ["cell", "replicate", "run_id"]]
    points = _points(uri, sorted(runs["run_id"]), metric)
    table = pd.DataFrame(points, columns=["run_id", "step", "value"])
    table["value"] = _infinities(table["value"].astype("float64"))
    table = table.drop_duplicates(["run_id", "step"], keep="last")
    joined = runs.merge(table, on="run_id").astype({"step": "int64"})
    return joined.sort_values(["cell", "replicate", "step"], kind="stable", ignore_index=True)


def _points(uri: str, runs: Sequence[str], metric: str) -> list[tuple[str, int, float]]:
    """Every point of these runs, by run: from a database at once, from a server run by run."""
    if is_database(uri):
        return points_of(uri, runs, metric)
    client = open_store(uri)
    return [(r, p.step, p.value) for r in runs for p in client.get_metric_history(r, metric)]


def open_store(uri: str) -> MlflowClient:
    """A client of the store."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def search_runs(client: MlflowClient, experiment_id: str, wanted: str) -> Iterator[Run]:
    """Every run of an experiment that answers the filter, page by page."""
    token = None
    while True:
        page = client.search_runs([experiment_id], wanted, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _stored(uri: str, client: MlflowClient, experiment_id: str) -> list[StoredRun]:
    """Every run of an experiment: from a database at once, from a server through MLflow."""
    if is_database(uri):
        return runs_of(uri, experiment_id)
    return [_plain(run) for run in search_runs(client, experiment_id, "")]


def _plain(run: Run) -> StoredRun:
    info = run.info
    return StoredRun(
        info.run_id, info.status, info.start_time, info.end_time, run.data.tags, run.data.metrics
    )


def _newest_declaration(client: MlflowClient, study: str, runs: Sequence[Run]) -> Declaration:
    for run in sorted(runs, key=lambda r: (-r.info.start_time, r.info.run_id)):
        if has_artifact(client, run.info.run_id, DECLARATION):
            text = artifact_text(client, run.info.run_id, DECLARATION)
            return parse(text, f"experiment {study}, run {run.info.run_id}")
    raise DeclarationError(
        f"experiment {study}: {len(runs)} report runs, none with {DECLARATION}; run the study again"
    )


def _choose(runs: Sequence[StoredRun]) -> StoredRun | None:
    """The earliest finished run; else the latest failed one; else the latest of any state."""
    ordered = sorted(runs, key=lambda run: run.age)
    if finished := [run for run in ordered if run.is_finished]:
        return finished[0]
    rest = [run for run in ordered if run.is_failed] or ordered
    return rest[-1] if rest else None


def _cell_rows(
    declaration: Declaration, cell: Cell, chosen: dict[str, StoredRun | None]
) -> Iterator[dict[str, Any]]:
    shared = {"study": declaration.study, "cell": cell.cell, **cell.factors}
    if cell.skipped is not None:
        for replicate in [run.replicate for run in cell.runs] or [0]:
            skipped = {"run_id": "", "status": Status.SKIPPED, "reason": cell.skipped}
            yield {**shared, "replicate": replicate, **skipped}
        return
    for declared in cell.runs:
        yield {**shared, "replicate": declared.replicate, **_outcome(chosen[declared.key])}


def _outcome(run: StoredRun | None) -> dict[str, Any]:
    if run is None:
        return {"run_id": "", "status": Status.MISSING, "reason": NOT_RUN}
    tags = run.tags
    common = {
        "run_id": run.run_id,
        "trainer": tags.get("ablation.trainer", ""),
        "device": json.loads(tags.get("ablation.provenance", "{}")).get("device", ""),
    }
    if run.is_finished:
        rule = tags.get("ablation.nc_rule", "")
        fired = {"nc_rule": rule, "nc_recorded": rule}
        return {**run.metrics, **common, "status": Status.FINISHED, **fired}
    if run.is_failed:
        reason = tags.get("ablation.error") or "failed without a message"
        return {**common, "status": Status.FAILED, "reason": reason}
    reason = "still running or killed" if run.status == "RUNNING" else "killed"
    return {**common, "status": Status.MISSING, "reason": reason}


def _typed(rows: list[dict[str, Any]], declaration: Declaration) -> pd.DataFrame:
    factors = [factor.name for factor in declaration.factors]
    fixed = {*RUN_COLUMNS, *factors, *OUTCOME_COLUMNS}
    known = dict.fromkeys((*METRICS, declaration.metric))
    seen = {name for row in rows for name in row} - fixed
    metrics = [*(m for m in known if m not in fixed), *sorted(seen - set(known))]
    columns = [*RUN_COLUMNS, *factors, *metrics, *OUTCOME_COLUMNS]
    frame = pd.DataFrame(rows, columns=columns)
    for name in metrics:
        frame[name] = _infinities(frame[name].astype("float64"))
    for name in ("steps", "seconds"):
        frame[name] = frame[name].astype("float64")
    for name in TEXTS:
        frame[name] = frame[name].astype("object").fillna("")
    frame["replicate"] = frame["replicate"].astype("int64")
    frame["status"] = pd.Categorical(frame["status"], categories=[s.value for s in Status])
    for factor in declaration.factors:
        frame[factor.name] = pd.Categorical(
            frame[factor.name], categories=list(factor.levels), ordered=True
        )
    return frame


def _infinities(values: pd.Series[float]) -> pd.Series[float]:
    return values.mask(values >= STORED_INFINITY, np.inf).mask(values <= -STORED_INFINITY, -np.inf)


def _extra(runs: Sequence[StoredRun], declared: set[str], profile: str) -> pd.DataFrame:
    """Runs of this profile (the other profile's are its own business) that nobody declared."""
    rows = sorted(
        (
            run.tags.get("ablation.cell", ""),
            int(run.tags.get("ablation.replicate", -1)),
            run.run_id,
            run.status.lower(),
        )
        for run in runs
        if run.tags.get("ablation.profile") == profile
        and run.tags.get("ablation.key", "") not in declared
    )
    return pd.DataFrame(rows, columns=["cell", "replicate", "run_id", "status"])


def _without_metric(frame: pd.DataFrame, declaration: Declaration) -> list[str]:
    finished = frame[(frame["status"] == Status.FINISHED) & (frame["nc_rule"] == "")]
    lacking = finished[selection(declaration.selection).values(finished, declaration.metric).isna()]
    counts = lacking.groupby("cell", sort=False).size()
    return [
        f"{cell}: {count} converged runs have no {declaration.metric}; they enter no estimate"
        for cell, count in counts.items()
    ]
