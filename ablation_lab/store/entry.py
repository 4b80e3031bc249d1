"""A record in, an entry out: what MLflow keeps of one run, said once for every kind of store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from mlflow.entities import Metric, Param

from ablation_lab.store import process
from ablation_lab.store.store import milliseconds
from ablation_lab.study.record import Record, Status


@dataclass(frozen=True)
class Entry:
    """A run of MLflow, its files apart; times in milliseconds.

    ``metrics`` may hold several points of one key, one for each step of its curve.
    """

    name: str
    status: str
    started: int
    ended: int
    tags: dict[str, str]
    params: list[Param]
    metrics: list[Metric]


def entry_of(record: Record) -> Entry:
    """Describe a record; one that never started (its worker died) has the time of now."""
    run = record.run
    started = record.started or time.time()
    ended = milliseconds(started + record.seconds)
    return Entry(
        name=f"{run.cell} r{run.replicate}",
        status="FINISHED" if record.status is Status.FINISHED else "FAILED",
        started=milliseconds(started),
        ended=ended,
        tags=_tags(record),
        params=[Param(name, label) for name, label in run.factors.items()],
        metrics=list(_metrics(record, ended)),
    )


def _tags(record: Record) -> dict[str, str]:
    run = record.run
    tags = {
        "ablation.key": run.key,
        "ablation.study": run.study,
        "ablation.profile": run.profile,
        "ablation.cell": run.cell,
        "ablation.replicate": str(run.replicate),
        "ablation.status": record.status.value,
        "ablation.nc_rule": record.nc_rule.value,
        "ablation.trainer": record.trainer.value,
        "ablation.driver": process.name(),
        "ablation.config": json.dumps(run.config, sort_keys=True),
        "ablation.provenance": json.dumps(
            {**record.provenance, "reason": record.reason}, sort_keys=True
        ),
    }
    if run.tuned:
        tags["ablation.tuned"] = json.dumps(run.tuned, sort_keys=True)
    if record.error:
        tags["ablation.error"] = record.reason
    return tags


def _metrics(record: Record, ended: int) -> Iterator[Metric]:
    for name, points in record.curves.items():
        for step, value in points:
            yield Metric(name, value, ended, step)
    numbers = {
        **record.metrics,
        "nc": float(bool(record.nc_rule)),
        "steps": float(record.steps),
        "seconds": record.seconds,
    }
    if record.nc_step is not None:
        numbers["nc_step"] = float(record.nc_step)
    for name, value in numbers.items():
        yield Metric(name, value, ended, record.steps)
