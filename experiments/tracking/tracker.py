"""Records in, tracked runs out: experiment ``<study>.replicates``, one run per trained run.

Written in few calls, from the driver, while workers train.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import Metric, Param
from numpy.typing import NDArray

from experiments import process
from experiments.record import Record, Status
from experiments.tracking.store import Store, milliseconds, of_kind

LOGITS = "test_logits.npz"
DECLARATION = "declaration.json"


class Tracker:
    """Writes runs to a store, and knows which it has."""

    def __init__(self, uri: str, artifacts: Path | None) -> None:
        self._store = Store(uri, artifacts)
        self._client = self._store.client
        self._driver = process.name()

    def finished(self, study: str) -> dict[str, str]:
        """Return key → MLflow run id of every finished run of the study."""
        return {key: run for key, run, status in self.ended(study) if status == "FINISHED"}

    def ended(self, study: str) -> list[tuple[str, str, str]]:
        """Return key, MLflow run id and status of every run of the study that ended."""
        return [
            (run.data.tags["ablation.key"], run.info.run_id, run.info.status)
            for run in self._store.search(f"{study}.replicates", "tags.`ablation.key` LIKE '%'")
            if run.info.status in ("FINISHED", "FAILED")
        ]

    def sweep(self, study: str) -> int:
        """Delete runs whose writer died half-way (they hold no result); return their number."""
        swept = 0
        for run in self._store.search(f"{study}.replicates", "attributes.status = 'RUNNING'"):
            if process.is_alive(run.data.tags.get("ablation.driver", "")) is False:
                self._client.delete_run(run.info.run_id)
                swept += 1
        return swept

    def declare(self, study: str, profile: str, declaration: Mapping[str, Any]) -> None:
        """Keep the declared grid with the study's report run, if it changed."""
        run = self._store.report_run(study, profile)
        text = json.dumps(declaration, sort_keys=True, indent=1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / DECLARATION
            path.write_text(text, encoding="utf-8")
            self._client.log_artifact(run, str(path))
        self._client.set_tag(run, "mlflow.note.content", declaration["question"])

    def declared(self, study: str, profile: str) -> dict[str, Any] | None:
        """Return the declared grid that the store holds, or None."""
        runs = self._store.search(study, of_kind("report", profile))
        for run in runs:
            names = [entry.path for entry in self._client.list_artifacts(run.info.run_id)]
            if DECLARATION in names:
                path = self._client.download_artifacts(run.info.run_id, DECLARATION)
                value: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
                return value
        return None

    def write(self, record: Record) -> str:
        """Track one record; return its MLflow run id. Three calls, and the logits if kept."""
        run = record.run
        created = self._client.create_run(
            self._store.experiment(f"{run.study}.replicates"),
            start_time=milliseconds(record.started),
            run_name=f"{run.cell} r{run.replicate}",
            tags=self._tags(record),
        )
        run_id = created.info.run_id
        if record.logits is not None:
            self._write_logits(run_id, record.logits)
        if record.error:
            self._client.log_text(run_id, record.error, "traceback.txt")
        ended = milliseconds(record.started + record.seconds)
        self._client.log_batch(
            run_id,
            metrics=list(_metrics(record, ended)),
            params=[Param(name, label) for name, label in run.factors.items()],
        )
        status = "FINISHED" if record.status is Status.FINISHED else "FAILED"
        self._client.set_terminated(run_id, status, ended)
        return str(run_id)

    def logits(self, run_id: str) -> NDArray[np.float32]:
        """Return the stored test logits (N, C) of a member of ensembles."""
        path = self._client.download_artifacts(run_id, LOGITS)
        with np.load(path, allow_pickle=False) as stored:
            values: NDArray[np.float32] = stored["logits"]
        return values

    def _write_logits(self, run_id: str, logits: NDArray[np.float32]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / LOGITS
            np.savez_compressed(path, logits=logits)
            self._client.log_artifact(run_id, str(path))

    def _tags(self, record: Record) -> dict[str, str]:
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
            "ablation.driver": self._driver,
            "ablation.config": json.dumps(run.config, sort_keys=True),
            "ablation.provenance": json.dumps(
                {**record.provenance, "reason": record.reason}, sort_keys=True
            ),
        }
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
