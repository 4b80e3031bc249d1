"""What MLflow and Optuna do not promise and the lab relies on, each piece by itself.

A test that fails here after an upgrade names what changed; then the room `ablation_lab/store/` is
where to look, and the bounds in `pyproject.toml` hold the upgrade back until it is mended.
"""

from __future__ import annotations

import ast
import math
import re
import sqlite3
import tomllib
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.environment_variables import (
    MLFLOW_DISABLE_TELEMETRY,
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR,
)
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels import models
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils import mlflow_tags
from mlflow.utils.validation import _validate_batch_log_data
from optuna.storages._rdb.models import TrialIntermediateValueModel
from optuna.trial import TrialState
from packaging.requirements import Requirement
from sqlalchemy import Engine

from ablation_lab.store.frame import STORED_INFINITY
from ablation_lab.store.places import settle
from ablation_lab.store.publish import BAR
from ablation_lab.store.runs import EXPERIMENTS, LATEST, POINTS, RUNS, TAGS
from ablation_lab.store.tags import NOTE, VIEW
from ablation_lab.store.trials import open_storage, report_steps, trial_id
from ablation_lab.store.write import entry_of
from ablation_lab.store.writers import _run_row
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName

ROOT = Path(__file__).resolve().parents[2]
BOUNDED = {"mlflow": "3.18", "optuna": "5.1"}
# Files that use what is private, and the modules of the two that hold nothing else.
PRIVATE = {"writers.py": "mlflow", "trials.py": "optuna"}
INNER = re.compile(r"^(mlflow\.(store|utils)\b|(mlflow|optuna)\b.*\._)")
INNER_NAMES = {"_tracking_client", "_trial_id", "_study_id", "ManagedSessionMaker"}


@pytest.mark.parametrize("library", BOUNDED)
def test_the_versions_are_those_that_this_was_tested_with(library: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = [r for r in map(Requirement, project["dependencies"]) if r.name == library]
    assert version(library) in wanted.specifier
    assert BOUNDED[library] not in wanted.specifier


def test_releases_that_were_withdrawn_are_not_taken() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = [
        r for r in map(Requirement, project["dependencies"]) if r.name == "pytorch-lightning"
    ]
    assert [v in wanted.specifier for v in ("2.6.1", "2.6.2", "2.6.3", "2.6.4")] == [
        True, False, False, True,
    ]  # fmt: skip


def test_what_is_private_is_used_in_two_files() -> None:
    found = {
        path.name
        for package in ("ablation_lab", "experiments")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and INNER.match(f"{node.module}.{node.names[0].name}"))
        or (isinstance(node, ast.Attribute) and node.attr in INNER_NAMES)
    }
    assert found == set(PRIVATE)


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(store)


def test_behind_the_client_of_a_database_is_its_store(client: MlflowClient) -> None:
    behind = client._tracking_client.store
    assert isinstance(behind, SqlAlchemyStore)
    assert behind.sanitize_metric_value(math.nan) == (True, 0)
    assert behind.sanitize_metric_value(math.inf) == (False, STORED_INFINITY)
    assert behind.sanitize_metric_value(0.5) == (False, 0.5)
    assert SqlAlchemyStore.ARTIFACTS_FOLDER_NAME == "artifacts"
    with behind.ManagedSessionMaker(read_only=False) as session:
        assert session.get_one(models.SqlExperiment, 0).lifecycle_stage == "active"
        assert session.connection().dialect.name == "sqlite"


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        (models.SqlTag, {"key", "value", "run_uuid"}),
        (models.SqlParam, {"key", "value", "run_uuid"}),
        (models.SqlMetric, {"key", "value", "timestamp", "step", "is_nan", "run_uuid"}),
        (models.SqlLatestMetric, {"key", "value", "timestamp", "step", "is_nan", "run_uuid"}),
        (models.SqlExperimentTag, {"key", "value", "experiment_id"}),
    ],
)
def test_the_tables_that_are_written_have_no_other_columns(model: Any, columns: set[str]) -> None:
    assert set(model.__table__.columns.keys()) == columns


def test_a_row_of_a_run_fills_every_column(make_run: Callable[..., Run]) -> None:
    entry = entry_of(Record(make_run(), Status.FINISHED, TrainerName.SINGLE))
    columns = models.SqlRun.__table__.columns.keys()
    assert set(_run_row("r", "1", "file:///a", entry)) == set(columns)


@pytest.mark.parametrize("asked", [EXPERIMENTS, RUNS, TAGS, LATEST, POINTS])
def test_the_tables_that_are_asked_have_the_columns(store: str, asked: Any) -> None:
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
        rows = connection.execute(f"PRAGMA table_info({asked.name})").fetchall()
    assert {row[1] for row in rows} >= set(asked.columns.keys())


def test_a_batch_is_checked_as_the_client_checks_it() -> None:
    metrics, params, tags = _validate_batch_log_data(
        [Metric("a/b", 1.0, 0, 0)], [Param("width", "1")], []
    )
    assert ([m.key for m in metrics], [p.key for p in params], tags) == (["a/b"], ["width"], [])
    with pytest.raises(MlflowException, match="Invalid"):
        _validate_batch_log_data([], [Param("wid*th", "1")], [])


def test_files_of_a_run_lie_below_those_of_its_experiment(
    client: MlflowClient, store: str, tmp_path: Path
) -> None:
    place = (tmp_path / "artifacts" / "small").as_uri()
    experiment = client.create_experiment("small", place)
    run = client.create_run(experiment)
    assert run.info.artifact_uri == f"{place}/{run.info.run_id}/artifacts"
    settle(Path(store.removeprefix("sqlite:///")))
    assert client.get_run(run.info.run_id).info.artifact_uri == run.info.artifact_uri


def test_mlflows_pages_know_our_names_of_their_tags() -> None:
    assert mlflow_tags.MLFLOW_RUN_NAME == "mlflow.runName"
    assert mlflow_tags.MLFLOW_RUN_NOTE == NOTE
    pages = Path(str(mlflow.__file__)).parent / "server" / "js" / "build" / "static" / "js"
    texts = [path.read_text(encoding="utf-8") for path in pages.glob("*.js")]
    views = ("compareRunSections", "compareRunCharts", "metricSectionId", "runsCountToCompare")
    for name in (VIEW, NOTE, *views, "runsHiddenMode", 'SHOWALL="SHOW_ALL"', f'"{BAR}"'):
        assert any(name in text for text in texts), name


def test_the_switches_of_the_environment_are_called_so() -> None:
    assert MLFLOW_DISABLE_TELEMETRY.name == "MLFLOW_DISABLE_TELEMETRY"
    assert MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.name == "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    storage = open_storage(f"sqlite:///{tmp_path / 'queue.db'}")
    return optuna.create_study(study_name="small", storage=storage)


def test_optunas_storage_has_an_engine_and_its_steps_the_columns(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'queue.db'}")
    assert isinstance(storage.engine, Engine)
    assert set(TrialIntermediateValueModel.__table__.columns.keys()) == {
        "trial_intermediate_value_id",
        "trial_id",
        "step",
        "intermediate_value",
        "intermediate_value_type",
    }


def test_steps_that_are_reported_in_bulk_read_back(study: optuna.Study, tmp_path: Path) -> None:
    trial = study.ask()
    number = trial_id(study.trials[0])
    storage = open_storage(f"sqlite:///{tmp_path / 'queue.db'}")
    report_steps(storage, number, {0: 0.5, 1: 0.25})
    report_steps(storage, number, {1: 0.75})
    trial.report(1.0, 2)
    assert storage.get_trial(number).intermediate_values == {0: 0.5, 1: 0.75, 2: 1.0}


def test_a_trial_is_given_to_one_who_asks(study: optuna.Study, tmp_path: Path) -> None:
    study.enqueue_trial({})
    storage = open_storage(f"sqlite:///{tmp_path / 'queue.db'}")
    number = trial_id(study.trials[0])
    taken = [storage.set_trial_state_values(number, TrialState.RUNNING) for _ in range(2)]
    assert taken == [True, False]
    storage.set_trial_state_values(number, TrialState.WAITING)
    assert study.trials[0].state is TrialState.WAITING
