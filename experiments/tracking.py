"""The only writer of MLflow: records in, tracked runs out.

Experiment ``<study>.replicates`` holds one run per trained run; experiment ``<study>`` holds one
run per cell with its aggregated metrics, and the report run that carries the declaration and the
report's files. Written in few calls, from the driver, while workers train.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Before MLflow is imported: nothing phones home.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, ViewType
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray

from experiments import process
from experiments.errors import StoreError
from experiments.record import Record, Status
from experiments.sqlite import use_write_ahead_log

PAGE = 5000
LOGITS = "test_logits.npz"
DECLARATION = "declaration.json"


class Tracker:
    """A connection to one MLflow store.

    Errors: ``StoreError`` of one line where the store cannot be opened, is of an older schema, or
    cannot be written.
    """

    def __init__(self, uri: str, artifacts: Path | None) -> None:
        self.uri = uri
        self._artifacts = artifacts
        self._experiments: dict[str, str] = {}
        self._client = _open(uri)
        self._driver = process.name()

    def finished(self, study: str) -> dict[str, str]:
        """Return key → MLflow run id of every finished run of the study."""
        return {key: run for key, run, status in self.ended(study) if status == "FINISHED"}

    def ended(self, study: str) -> list[tuple[str, str, str]]:
        """Return key, MLflow run id and status of every run of the study that ended."""
        return [
            (run.data.tags["ablation.key"], run.info.run_id, run.info.status)
            for run in self._search(f"{study}.replicates", "tags.`ablation.key` LIKE '%'")
            if run.info.status in ("FINISHED", "FAILED")
        ]

    def sweep(self, study: str) -> int:
        """Delete runs whose writer died half-way (they hold no result); return their number."""
        swept = 0
        for run in self._search(f"{study}.replicates", "attributes.status = 'RUNNING'"):
            if process.is_alive(run.data.tags.get("ablation.driver", "")) is False:
                self._client.delete_run(run.info.run_id)
                swept += 1
        return swept

    def declare(self, study: str, profile: str, declaration: Mapping[str, Any]) -> None:
        """Keep the declared grid with the study's report run, if it changed."""
        run = self._report_run(study, profile)
        text = json.dumps(declaration, sort_keys=True, indent=1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / DECLARATION
            path.write_text(text, encoding="utf-8")
            self._client.log_artifact(run, str(path))
        self._client.set_tag(run, "mlflow.note.content", declaration["question"])

    def declared(self, study: str, profile: str) -> dict[str, Any] | None:
        """Return the declared grid that the store holds, or None."""
        runs = self._search(study, _kind("report", profile))
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
            self._experiment(f"{run.study}.replicates"),
            start_time=_milliseconds(record.started),
            run_name=f"{run.cell} r{run.replicate}",
            tags=self._tags(record),
        )
        run_id = created.info.run_id
        if record.logits is not None:
            self._write_logits(run_id, record.logits)
        if record.error:
            self._client.log_text(run_id, record.error, "traceback.txt")
        ended = _milliseconds(record.started + record.seconds)
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

    def publish(
        self, study: str, profile: str, cells: Sequence[Mapping[str, Any]], folder: Path
    ) -> None:
        """Write cell runs with their aggregated metrics, and the report's files as artifacts."""
        known = {
            run.data.tags["ablation.cell"]: run.info.run_id
            for run in self._search(study, _kind("cell", profile))
        }
        for cell in cells:
            self._write_cell(study, profile, cell, known.get(str(cell["cell"])))
        report = self._report_run(study, profile)
        self._client.log_artifacts(report, str(folder), "report")
        self._client.set_terminated(report)

    def _write_cell(
        self, study: str, profile: str, cell: Mapping[str, Any], run_id: str | None
    ) -> None:
        name = str(cell["cell"])
        if run_id is None:
            tags = {"ablation.kind": "cell", "ablation.profile": profile, "ablation.cell": name}
            tags["ablation.replicates"] = f"{study}.replicates"
            run_id = self._client.create_run(
                self._experiment(study), run_name=name, tags=tags
            ).info.run_id
            factors = cell.get("factors", {})
            params = [Param(factor, str(label)) for factor, label in factors.items()]
            self._client.log_batch(run_id, params=params)
        now = _milliseconds(0.0)
        numbers = {
            key: float(value) for key, value in cell.items() if isinstance(value, int | float)
        }
        metrics = [Metric(key, value, now, 0) for key, value in numbers.items()]
        self._client.log_batch(run_id, metrics=metrics)
        self._client.set_terminated(run_id)

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

    def _report_run(self, study: str, profile: str) -> str:
        for run in self._search(study, _kind("report", profile)):
            return str(run.info.run_id)
        tags = {"ablation.kind": "report", "ablation.profile": profile}
        created = self._client.create_run(
            self._experiment(study), run_name=f"report ({profile})", tags=tags
        )
        return str(created.info.run_id)

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            self._experiments[name] = found.experiment_id if found else self._create(name)
        return self._experiments[name]

    def _create(self, name: str) -> str:
        location = (self._artifacts / name).resolve().as_uri() if self._artifacts else None
        return str(self._client.create_experiment(name, artifact_location=location))

    def _search(self, experiment: str, condition: str) -> Iterator[MlflowRun]:
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            return
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [found.experiment_id],
                condition,
                run_view_type=ViewType.ACTIVE_ONLY,
                order_by=["attributes.start_time ASC"],
                max_results=PAGE,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return


def publish_report(
    *,
    tracking_uri: str,
    study: str,
    profile: str,
    cells: Sequence[Mapping[str, Any]],
    folder: Path,
) -> None:
    """Write a study's cells and report files to the store; called by the analysis when done."""
    Tracker(tracking_uri, None).publish(study, profile, cells, folder)


def _open(uri: str) -> MlflowClient:
    """Open the store, or say in one line why it cannot be used."""
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            writable = os.access(path if path.exists() else path.parent, os.W_OK)
        except OSError as error:
            raise StoreError(f"store {path}: cannot be created: {error.strerror}") from None
        if not writable:
            raise StoreError(f"store {path}: not writable; set tracking.uri to one that is")
    use_write_ahead_log()
    for name in ("mlflow.store.db.utils", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except MlflowException as error:
        raise StoreError(f"store {uri}: {_one_line(error)}") from None
    except Exception as error:  # drivers raise whatever they like
        raise StoreError(f"store {uri}: cannot be opened: {_one_line(error)}") from None
    return client


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "out-of-date database schema" in text:
        return "its schema is older than this MLflow; back it up, then run `mlflow db upgrade URI`"
    return text[:300]


def _kind(kind: str, profile: str) -> str:
    return f"tags.`ablation.kind` = '{kind}' and tags.`ablation.profile` = '{profile}'"


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


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
