"""What somebody did to an experiment in MLflow is said before anything is trained into it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ablation_lab.errors import StoreError
from ablation_lab.store import experiments as module
from ablation_lab.store.experiments import validate_experiments
from ablation_lab.store.publish import Publisher, Summary
from ablation_lab.store.runs import stored_runs
from ablation_lab.store.write import Tracker
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName
from ablation_lab.study.schema import parse_study

BOTH = ["small", "small.replicates"]


@pytest.fixture(params=["database", "client"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the database, or MLflow's client as on a server."""
    if request.param == "client":
        monkeypatch.setattr(module, "is_database", lambda _: False)


@pytest.fixture
def client(
    store: str, tmp_path: Path, make_run: Callable[..., Run], declaration: dict[str, Any]
) -> MlflowClient:
    """Return a client of a store with a declared, trained and reported study."""
    tracker = Tracker(store, tmp_path / "artifacts")
    tracker.declare("small", "smoke", {"question": "Why?"})
    tracker.write([Record(make_run(), Status.FINISHED, TrainerName.SINGLE)])
    study = declare(parse_study("small", declaration), "smoke")
    declared = declaration_of(study, {})
    cells = {cell.cell: Summary({}, {"n": 2.0}) for cell in declared.cells}
    Publisher(store).publish_cells(declared, cells)
    return MlflowClient(store)


def number_of(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    assert found is not None
    return str(found.experiment_id)


def refusal(store: str) -> str:
    with pytest.raises(StoreError) as error:
        validate_experiments(store, ["other", "small"])
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", BOTH)
def test_one_that_was_deleted_says_how_to_have_it_back(
    store: str, client: MlflowClient, name: str
) -> None:
    validate_experiments(store, ["other", "small"])
    client.delete_experiment(number_of(client, name))
    assert f"experiment {name!r} was deleted; restore it: `" in refusal(store)
    validate_experiments(store, ["other"])
    client.restore_experiment(number_of(client, name))
    validate_experiments(store, ["small"])
    assert len(stored_runs(store, ["small"])["small"]) == 1


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", BOTH)
def test_one_that_was_renamed_says_what_it_is_called_now(
    store: str, client: MlflowClient, name: str
) -> None:
    number = number_of(client, name)
    client.rename_experiment(number, "mine")
    assert f"experiment {name!r} are in one that is called 'mine' now" in refusal(store)
    # Another one of the name does not make up for it, deleted or not.
    client.delete_experiment(client.create_experiment(name))
    assert f"experiment {name!r} was deleted" in refusal(store)


def test_no_store_and_an_empty_one_have_nothing_to_say(store: str, tmp_path: Path) -> None:
    validate_experiments(f"sqlite:///{tmp_path / 'none.db'}", ["small"])
    validate_experiments(store, ["small"])
    assert not (tmp_path / "none.db").exists()


def test_a_run_that_was_deleted_is_missing_and_is_trained_again(
    store: str, client: MlflowClient, tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    ((key, (run_id, _)),) = stored_runs(store, ["small"])["small"].items()
    client.delete_run(run_id)
    validate_experiments(store, ["small"])
    assert stored_runs(store, ["small"]) == {"small": {}}
    again = Record(make_run(), Status.FINISHED, TrainerName.SINGLE)
    (now,) = Tracker(store, tmp_path / "artifacts").write([again])
    assert stored_runs(store, ["small"]) == {"small": {key: (now, "FINISHED")}}


def test_one_that_is_deleted_while_it_is_trained_is_a_line_too(
    store: str, client: MlflowClient, tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    tracker = Tracker(store, tmp_path / "artifacts")
    record = Record(replace(make_run(), key="new"), Status.FINISHED, TrainerName.SINGLE)
    tracker.write([record])
    client.delete_experiment(number_of(client, "small.replicates"))
    with pytest.raises(StoreError, match=r"'small.replicates' was deleted; restore it"):
        tracker.write([record])


@pytest.mark.slow
def test_what_the_lines_say_to_do_is_enough(store: str, client: MlflowClient) -> None:
    def follow(advice: str) -> None:
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            advice, shell=True, env=os.environ | {"PATH": tools}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()

    number = number_of(client, "small.replicates")
    client.delete_experiment(number)
    restore, purge = refusal(store).split("`")[1::2]
    follow(restore)
    validate_experiments(store, ["small"])
    client.rename_experiment(number, "mine")
    follow(refusal(store).split("`")[1])
    validate_experiments(store, ["small"])
    client.delete_experiment(number)
    follow(purge)
    validate_experiments(store, ["small"])
    assert stored_runs(store, ["small"]) == {"small": {}}
