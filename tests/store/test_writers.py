"""Both writers leave the same runs; a database has all of a batch or none of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Param
from mlflow.exceptions import MlflowException

from ablation_lab.errors import StoreError
from ablation_lab.store.tags import Tag, plain
from ablation_lab.store.write import entry_of
from ablation_lab.store.writers import ClientWriter, DatabaseWriter, Entry, writer_for
from ablation_lab.study.record import NoConvergence, Record, Status
from ablation_lab.study.run import Run, TrainerName

Item = tuple[Entry, Path | None]


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(store)


@pytest.fixture
def experiment(client: MlflowClient, tmp_path: Path) -> Callable[[str], str]:
    """Return a function that makes an experiment and gives back its id."""

    def create(name: str) -> str:
        return str(client.create_experiment(name, (tmp_path / name).as_uri()))

    return create


@pytest.fixture
def items(make_run: Callable[..., Run], tmp_path: Path) -> list[Item]:
    """Return one run of each kind: whole, wild in its numbers, failed, lost with its worker."""
    whole = Record(
        run=make_run(replicate=3),
        status=Status.FINISHED,
        trainer=TrainerName.STACKED,
        metrics={"success": 1.0, "parameters": 13.0},
        # The last two points of the accuracy are one: MLflow keeps a point once.
        curves={
            "train_loss": ((1, 0.75), (20, 0.5)),
            "val_accuracy": ((5, 0.9), (20, 0.25), (20, 0.25)),
        },
        steps=20,
        seconds=2.5,
        started=1_000_000.0,
        reason="a reason",
        provenance={"device": "cpu"},
    )
    wild = replace(
        whole,
        curves={
            "train_loss": ((1, math.inf), (7, math.nan)),
            "val_accuracy": ((1, -math.inf), (7, 0.5), (7, 0.125)),
        },
        not_converged=NoConvergence.NON_FINITE,
        not_converged_step=7,
    )
    failed = replace(whole, status=Status.FAILED, metrics={}, curves={}, reason="no", error="Tr")
    lost = replace(failed, started=0.0, seconds=0.0, steps=0)
    files = tmp_path / "files"
    (files / "deeper").mkdir(parents=True)
    (files / "deeper" / "logits.npy").write_bytes(np.arange(3).tobytes())
    folders: list[Path | None] = [files, None, files, None]
    records = [whole, wild, failed, lost]
    return [(entry_of(record), folder) for record, folder in zip(records, folders, strict=True)]


def as_read(client: MlflowClient, run_id: str) -> dict[str, Any]:
    """Return all that MLflow's client says of a run, but for its own id."""
    run = client.get_run(run_id)
    info = {key: value for key, value in dict(run.info).items() if key != "experiment_id"}
    said = {
        "info": {k: v for k, v in info.items() if k not in ("run_id", "run_uuid", "artifact_uri")},
        "uri": run.info.artifact_uri.partition(run_id)[2],
        "params": run.data.params,
        # A server gives ids of its own, so the run's own is a tag there.
        "tags": {k: v for k, v in run.data.tags.items() if k != Tag.SPOOLED},
        "latest": {m.key: (repr(m.value), m.timestamp, m.step) for m in run.data._metric_objs},
        "history": {
            key: sorted(
                (m.step, m.timestamp, repr(m.value)) for m in client.get_metric_history(run_id, key)
            )
            for key in run.data.metrics
        },
        "files": [(f.path, f.is_dir) for f in client.list_artifacts(run_id)],
        "deeper": [(f.path, f.file_size) for f in client.list_artifacts(run_id, "deeper")],
        "inputs": (run.inputs.dataset_inputs, run.inputs.model_inputs),
    }
    assert run_id in run.info.artifact_uri
    return said


def test_both_writers_leave_the_same_runs(
    client: MlflowClient, experiment: Callable[[str], str], items: list[Item]
) -> None:
    places = {"client": experiment("by_client"), "database": experiment("by_database")}
    by_client = ClientWriter(client).write(places["client"], items)
    by_database = writer_for(client).write(places["database"], items)
    assert isinstance(writer_for(client), DatabaseWriter)
    for one, other in zip(by_client, by_database, strict=True):
        assert as_read(client, one) == as_read(client, other)
    # The table of MLflow's UI asks like this.
    for condition in (
        "metrics.not_converged = 1",
        "params.width = 'c'",
        "tags.`ablation.replicate` = '3'",
    ):
        found = [
            sorted(str(run.info.status) for run in client.search_runs([place], condition))
            for place in places.values()
        ]
        assert found[0] == found[1] != []


def test_what_is_written_again_is_there_once(
    client: MlflowClient, experiment: Callable[[str], str], items: list[Item]
) -> None:
    for name, writer in {"client": ClientWriter(client), "database": writer_for(client)}.items():
        place = experiment(name)
        half = items[3][0]
        begun: list[str] = []
        if name == "client":  # whose writer died, or never heard the answer
            own = half.tags | plain({Tag.SPOOLED: half.run_id})
            begun = [client.create_run(place, half.started, own, half.name).info.run_id]
        first = writer.write(place, items[:2])
        again = writer.write(place, items, again=True)
        assert again[:2] == first
        assert begun in ([], again[3:])
        found = client.search_runs([place])
        assert sorted(run.info.run_id for run in found) == sorted(again)
        assert {run.info.status for run in found} == {"FINISHED", "FAILED"}


def test_a_server_is_written_through_the_client() -> None:
    assert isinstance(writer_for(MlflowClient("http://127.0.0.1:1")), ClientWriter)


def test_a_batch_with_one_run_that_cannot_be_written_leaves_none(
    client: MlflowClient, experiment: Callable[[str], str], items: list[Item]
) -> None:
    place = experiment("small")
    # A name that MLflow does not take, and one that its database has already.
    misnamed = replace(items[1][0], params=[Param("wid*th", "1")])
    twice = replace(items[1][0], params=[Param("width", "1"), Param("width", "2")])
    for wrong in (misnamed, twice):
        with pytest.raises(MlflowException):
            writer_for(client).write(place, [items[0], (wrong, None)])
    assert client.search_runs([place]) == []


def test_an_experiment_that_was_deleted_takes_no_runs(
    client: MlflowClient, experiment: Callable[[str], str], items: list[Item]
) -> None:
    place = experiment("small")
    client.delete_experiment(place)
    with pytest.raises(StoreError, match="restore it"):
        writer_for(client).write(place, items)
