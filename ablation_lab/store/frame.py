"""A store becomes a tidy table of declared runs.

In: the address of a store and a declaration. Out: one row per DECLARED run. A stored run belongs to
a declared run by its key alone; whatever else the store holds is listed as extra and never mixed
in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ablation_lab.store.client import Store
from ablation_lab.store.connect import is_absent
from ablation_lab.store.runs import StoredRun, by_key, points_of, runs_of, the_one_that_counts
from ablation_lab.store.tags import Tag, replicates_of
from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.names import OUTCOME_COLUMNS, RUN_COLUMNS
from ablation_lab.study.record import NOT_RUN, UNLIKE, NoConvergence, Status
from ablation_lab.study.run import TrainerName
from ablation_lab.study.selection import selection

TEXTS = (
    "study",
    "cell",
    "run_id",
    "not_converged",
    "not_converged_recorded",
    "trainer",
    "device",
    "metered_by",
    "reason",
)
# Metrics of runs that were stored under another name.
FORMER = {"nc": "not_converged", "nc_step": "not_converged_step"}
AMOUNTS = ("steps", "seconds", "cpu_seconds", "gpu_seconds", "joules")
ACCURACY_MARGIN = 0.05  # above chance, as in the rule of the run
STORED_INFINITY = 1.7976931348623157e308  # the store writes infinities as the largest double
METRICS = (
    "train_loss", "train_accuracy", "val_accuracy", "test_accuracy", "success",
    "not_converged_step", "parameters",
)  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """The declared runs, the stored runs that nobody declared, and what was wrong."""

    frame: pd.DataFrame
    extra: pd.DataFrame
    problems: tuple[str, ...]
    experiment_id: str


def load_frame(uri: str, declaration: Declaration) -> pd.DataFrame:
    """One row per declared run, read without MLflow where the store is a database."""
    tried = by_key(_runs(uri, declaration))
    return _frame(declaration, {key: the_one_that_counts(runs) for key, runs in tried.items()})


def load_runs(uri: str, declaration: Declaration) -> Loaded:
    """The declared runs with their outcome, and what else the store holds for this profile."""
    runs = _runs(uri, declaration)
    tried = by_key(runs)
    problems = []
    for cell in declaration.cells:
        for declared in cell.runs:
            finished = sum(run.is_finished for run in tried.get(declared.key, []))
            if finished > 1:
                problems.append(
                    f"{cell.cell}, replicate {declared.replicate}: {finished} finished runs with "
                    f"key {declared.key}; the earliest counts"
                )
    chosen = {key: the_one_that_counts(each) for key, each in tried.items()}
    frame = _frame(declaration, chosen)
    known = {run.key for cell in declaration.cells for run in cell.runs}
    return Loaded(
        frame=frame,
        extra=_extra(runs, known, declaration.profile),
        problems=(*problems, *_unlike(chosen), *_without_metric(frame, declaration)),
        experiment_id=Store(uri).find(replicates_of(declaration.study)),
    )


def _runs(uri: str, declaration: Declaration) -> list[StoredRun]:
    experiment = replicates_of(declaration.study)
    return [] if is_absent(uri) else runs_of(uri, [experiment])[experiment]


def _frame(declaration: Declaration, chosen: dict[str, StoredRun | None]) -> pd.DataFrame:
    rows = [row for cell in declaration.cells for row in _cell_rows(declaration, cell, chosen)]
    return with_counted_rules(typed(pd.DataFrame(rows), declaration), declaration)


def load_curves(uri: str, frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Every stored point of a metric: columns cell, replicate, run_id, step, value."""
    runs = frame.loc[frame["run_id"] != "", ["cell", "replicate", "run_id"]]
    points = points_of(uri, sorted(runs["run_id"]), metric)
    table = pd.DataFrame(points, columns=["run_id", "step", "value"])
    table["value"] = _infinities(table["value"].astype("float64"))
    table = table.drop_duplicates(["run_id", "step"], keep="last")
    joined = runs.merge(table, on="run_id").astype({"step": "int64"})
    return joined.sort_values(["cell", "replicate", "step"], kind="stable", ignore_index=True)


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
        yield {**shared, "replicate": declared.replicate, **_outcome(chosen.get(declared.key))}


def _outcome(run: StoredRun | None) -> dict[str, Any]:
    if run is None:
        return {"run_id": "", "status": Status.MISSING, "reason": NOT_RUN}
    tags = run.tags
    said = json.loads(tags.get(Tag.PROVENANCE, "{}"))
    trainer = tags.get(Tag.TRAINER, "")
    common = {
        "run_id": run.run_id,
        "trainer": trainer,
        "reason": said["reason"] if trainer == TrainerName.IMPORTED else "",
        **_cost(said, run.metrics.get("seconds")),
    }
    if run.is_finished:
        rule = tags.get(Tag.RULE, "")
        fired = {"not_converged": rule, "not_converged_recorded": rule}
        numbers = {FORMER.get(name, name): value for name, value in run.metrics.items()}
        return {**numbers, **common, "status": Status.FINISHED, **fired}
    if run.is_failed:
        reason = tags.get(Tag.ERROR) or "failed without a message"
        return {**common, "status": Status.FAILED, "reason": reason}
    reason = "still running or killed" if run.status == "RUNNING" else "killed"
    return {**common, "status": Status.MISSING, "reason": reason}


def _cost(said: dict[str, str], seconds: float | None) -> dict[str, Any]:
    """Where a run trained and what it spent there; nothing is known of runs that do not say."""
    device = said.get("device", "")
    cards = int(said.get("devices", "1")) if device.startswith("cuda") else 0
    spent: dict[str, Any] = {
        name: float(said[name]) for name in ("cpu_seconds", "joules") if name in said
    }
    on_cards = {} if seconds is None or not device else {"gpu_seconds": cards * seconds}
    return {"device": device, "metered_by": said.get("metered_by", ""), **on_cards, **spent}


def typed(runs: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """The frame of runs: its columns in their order, each of its type; what lacks is empty."""
    factors = [factor.name for factor in declaration.factors]
    fixed = {*RUN_COLUMNS, *factors, *OUTCOME_COLUMNS}
    known = dict.fromkeys((*METRICS, declaration.metric))
    seen = set(runs.columns) - fixed
    metrics = [*(m for m in known if m not in fixed), *sorted(seen - set(known))]
    columns = [*RUN_COLUMNS, *factors, *metrics, *OUTCOME_COLUMNS]
    frame = runs.reindex(columns=columns).reset_index(drop=True)
    for name in metrics:
        frame[name] = _infinities(frame[name].astype("float64"))
    for name in AMOUNTS:
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
            run.tags.get(Tag.CELL, ""),
            int(run.tags.get(Tag.REPLICATE, -1)),
            run.run_id,
            run.status.lower(),
        )
        for run in runs
        if run.tags.get(Tag.PROFILE) == profile and run.key not in declared
    )
    return pd.DataFrame(rows, columns=["cell", "replicate", "run_id", "status"])


def _unlike(chosen: Mapping[str, StoredRun | None]) -> list[str]:
    """Return how families are not repeatable, of which another training may give other numbers."""
    said = [run.tags.get(Tag.PROVENANCE, "") for run in chosen.values() if run is not None]
    return sorted({json.loads(each)[UNLIKE] for each in said if f'"{UNLIKE}"' in each})


def _without_metric(frame: pd.DataFrame, declaration: Declaration) -> list[str]:
    finished = frame[(frame["status"] == Status.FINISHED) & (frame["not_converged"] == "")]
    lacking = finished[selection(declaration.selection).values(finished, declaration.metric).isna()]
    counts = lacking.groupby("cell", sort=False).size()
    return [
        f"{cell}: {count} converged runs have no {declaration.metric}; they enter no estimate"
        for cell, count in counts.items()
    ]


def with_counted_rules(frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """The frame with the rule that counts in `not_converged`.

    `not_converged_recorded` keeps what fired.

    A run keeps the first rule of three that fired when it ended: something not finite, a training
    loss above that of guessing, an accuracy of guessing. The loss is a sign that a network only
    guesses, and a wrong one where it is sure and sometimes errs: weights drawn from N(0,1) give a
    loss of 1,500 beside an accuracy of 86 %. Where the study measures an accuracy, that says by
    itself whether the run guesses, so it decides. A success still needs both, as it was recorded.
    """
    chance, measured = declaration.chance, declaration.is_share and not declaration.is_success
    if not measured or chance is None:
        return frame
    better = frame[declaration.metric] > chance + ACCURACY_MARGIN
    decided = better & (frame["not_converged"] == NoConvergence.LOSS_AT_CHANCE)
    return frame.assign(not_converged=frame["not_converged"].mask(decided, ""))


def overruled(frame: pd.DataFrame) -> int:
    """How many runs had a loss above that of guessing, and an accuracy that is none."""
    return int(
        (
            (frame["not_converged_recorded"] == NoConvergence.LOSS_AT_CHANCE)
            & (frame["not_converged"] == "")
        ).sum()
    )
