"""One MLflow store: opened, or refused in one line; its experiments and its runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

# Before MLflow is imported: nothing phones home.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import requests
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from ablation_lab.errors import StoreError, redact
from ablation_lab.store.places import SQLITE, refuse_file
from ablation_lab.store.schema import older
from ablation_lab.store.sqlite import use_write_ahead_log

PAGE = 5000
# How long a server may take to say that it is there, in seconds.
PATIENCE = 30.0


class Store:
    """A connection to one MLflow store.

    Errors: ``StoreError`` of one line where the store cannot be opened, is of an older schema, or
    cannot be written.
    """

    def __init__(self, uri: str, artifacts: Path | None) -> None:
        self.uri = uri
        self.client = _open(uri)
        self._artifacts = artifacts
        self._experiments: dict[str, str] = {}

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, which is created where it does not exist."""
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            self._experiments[name] = found.experiment_id if found else self._create(name)
        return self._experiments[name]

    def search(self, experiment: str, condition: str) -> Iterator[MlflowRun]:
        """Yield the active runs of an experiment that meet MLflow's filter."""
        found = self.client.get_experiment_by_name(experiment)
        if found is None:
            return
        token: str | None = None
        while True:
            page = self.client.search_runs(
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

    def report_run(self, study: str, profile: str) -> str:
        """Return the id of a study's report run, which is created where it does not exist."""
        for run in self.search(study, of_kind("report", profile)):
            return str(run.info.run_id)
        tags = {"ablation.kind": "report", "ablation.profile": profile}
        created = self.client.create_run(
            self.experiment(study), run_name=f"report ({profile})", tags=tags
        )
        return str(created.info.run_id)

    def _create(self, name: str) -> str:
        location = (self._artifacts / name).resolve().as_uri() if self._artifacts else None
        return str(self.client.create_experiment(name, artifact_location=location))


def of_kind(kind: str, profile: str) -> str:
    """Return MLflow's filter for the cell runs or the report run of a profile."""
    return f"tags.`ablation.kind` = '{kind}' and tags.`ablation.profile` = '{profile}'"


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow counts it."""
    return int(seconds * 1000)


def _open(uri: str) -> MlflowClient:
    """Open the store, or say in one line why it cannot be used."""
    if uri.startswith(SQLITE):
        # MLflow would try again for minutes.
        refuse_file(uri, "store", "tracking.uri")
        Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    if uri.startswith(("http://", "https://")):
        # MLflow would try again for minutes.
        try:
            requests.get(f"{uri}/health", timeout=PATIENCE)
        except requests.RequestException:
            raise StoreError(
                f"store {redact(uri)}: no server answers there; start it, or set tracking.uri"
            ) from None
    use_write_ahead_log()
    for name in ("mlflow.store.db.utils", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except MlflowException as error:
        raise StoreError(f"store {redact(uri)}: {_one_line(error, uri)}") from None
    except Exception as error:  # drivers raise whatever they like
        line = _one_line(error, uri)
        raise StoreError(f"store {redact(uri)}: cannot be opened: {line}") from None
    return client


def _one_line(error: Exception, uri: str) -> str:
    text = " ".join(str(error).split())
    if "out-of-date database schema" in text:
        return older(uri)
    return text[:300]
