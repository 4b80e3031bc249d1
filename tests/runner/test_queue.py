"""The queue: a cell belongs to one runner, and to nobody when its runner is gone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Thread

import optuna
import pytest
from optuna.trial import TrialState

from ablation_lab.errors import StoreError
from ablation_lab.runner import queue as module
from ablation_lab.runner.queue import Queue
from ablation_lab.store import process

LEVELS = {"width": ("small", "large"), "activation": ("relu", "tanh")}
CELLS = {
    "a": {"width": "small", "activation": "relu"},
    "b": {"width": "large", "activation": "relu"},
    "c": {"width": "large"},
}
MINE, OTHER = process.name(), process.name().rpartition(":")[0] + ":1"

Open = Callable[..., Queue]


@pytest.fixture(scope="session")
def empty_queue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with Optuna's tables; creating one takes seconds."""
    path = tmp_path_factory.mktemp("queue") / "queue.db"
    Queue(f"sqlite:///{path}", "none", {})
    return path


@pytest.fixture
def uri(empty_queue: Path, tmp_path: Path) -> str:
    """Return the address of an empty queue."""
    path = tmp_path / "queue.db"
    with sqlite3.connect(empty_queue) as source, sqlite3.connect(path) as target:
        source.backup(target)
    source.close()
    target.close()
    return f"sqlite:///{path}"


@pytest.fixture
def open_as(uri: str, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Return a function that opens the queue under the name of a process."""

    def open_queue(name: str = MINE) -> Queue:
        with monkeypatch.context() as patch:
            patch.setattr(process, "name", lambda: name)
            return Queue(uri, "small (smoke)", LEVELS)

    return open_queue


def trials(uri: str) -> dict[str, list[optuna.trial.FrozenTrial]]:
    (name,) = [n for n in optuna.get_all_study_names(uri) if n.startswith("small")]
    found: dict[str, list[optuna.trial.FrozenTrial]] = {}
    for trial in optuna.load_study(study_name=name, storage=uri).trials:
        found.setdefault(trial.user_attrs["cell"], []).append(trial)
    return found


def test_a_cell_is_leased_once(open_as: Open) -> None:
    mine, other = open_as(MINE), open_as(OTHER)
    assert mine.lease(CELLS) == []
    assert other.lease(CELLS) == ["a", "b", "c"]


def test_two_runners_that_claim_at_the_same_moment_share_the_cells(open_as: Open) -> None:
    queues = [open_as(MINE), open_as(OTHER)]
    cells = {f"cell{n}": {"width": "small"} for n in range(12)}
    start = Barrier(2)

    def lease(queue: Queue) -> set[str]:
        start.wait(timeout=60)
        return set(cells) - set(queue.lease(cells))

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lease, queues)
    assert one | other == set(cells)
    assert not one & other


def test_cells_are_shared_between_runners(open_as: Open) -> None:
    mine, other = open_as(MINE), open_as(OTHER)
    assert mine.lease({"a": CELLS["a"]}) == []
    assert other.lease(CELLS) == ["a"]
    assert mine.lease({name: CELLS[name] for name in "bc"}) == ["b", "c"]


def test_another_runner_that_had_a_cell_since_then_is_seen(open_as: Open) -> None:
    now = time.time()
    mine, other = open_as(MINE), open_as(OTHER)
    mine.lease(CELLS)
    assert not mine.is_shared(since=now)
    mine.finish("a")
    mine.release()
    assert other.is_shared(since=now)
    # What ended before the store was read was read.
    assert not other.is_shared(since=now + module.EXPIRY + 10)


def test_adding_again_adds_nothing(open_as: Open, uri: str) -> None:
    first = open_as()
    first.lease(CELLS)
    first.release()
    open_as(OTHER).lease(CELLS)
    assert {cell: len(found) for cell, found in trials(uri).items()} == {"a": 1, "b": 1, "c": 1}


def test_a_trial_is_the_cell_with_its_levels(open_as: Open, uri: str) -> None:
    open_as().lease(CELLS)
    found = trials(uri)
    assert found["a"][0].params == CELLS["a"]
    assert found["c"][0].params == {"width": "large"}
    assert found["a"][0].state is TrialState.RUNNING


def test_release_puts_cells_back(open_as: Open, uri: str) -> None:
    mine = open_as()
    mine.lease(CELLS)
    mine.release()
    assert {found[0].state for found in trials(uri).values()} == {TrialState.WAITING}
    assert open_as(OTHER).lease(CELLS) == []


def test_the_cells_of_a_runner_that_was_killed_are_taken_over(open_as: Open) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = process.name().rpartition(":")[0] + f":{ended.pid}"
    assert open_as(dead).lease(CELLS) == []
    assert open_as(MINE).lease(CELLS) == []
    assert open_as(OTHER).lease(CELLS) == ["a", "b", "c"]


def test_another_host_is_alive_until_its_lease_expires(
    open_as: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = open_as("another.host:5")
    far.lease(CELLS)
    assert open_as(MINE).lease(CELLS) == ["a", "b", "c"]
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + module.EXPIRY + 2)
    far.renew()
    assert open_as(MINE).lease(CELLS) == ["a", "b", "c"]
    monkeypatch.setattr(module.time, "time", lambda: now + 2 * module.EXPIRY + 4)
    assert open_as(MINE).lease(CELLS) == []


def test_a_cell_may_be_finished_while_leases_are_renewed(
    open_as: Open, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = open_as()
    mine.lease(CELLS)
    mine.report("b", {0: 1.0})
    ending = Thread(target=mine.finish, args=("b",))
    write = mine._write_holder

    def write_holder(trial_id: int) -> None:
        if not ending.ident:  # while the lease of "a" is renewed, "b" ends, or waits to end
            ending.start()
            ending.join(0.5)
        write(trial_id)

    monkeypatch.setattr(mine, "_write_holder", write_holder)
    mine.renew()
    ending.join()
    assert [trial.state for trial in trials(uri)["b"]] == [TrialState.COMPLETE]


def test_finish_closes_a_cell_with_the_mean_of_its_replicates(open_as: Open, uri: str) -> None:
    mine = open_as()
    mine.lease(CELLS)
    mine.report("a", {0: 0.5, 1: float("nan")})
    mine.report("a", {2: 1.0})
    mine.report("b", {0: float("nan")})
    mine.finish("a")
    mine.finish("b")
    found = trials(uri)
    assert found["a"][0].state is TrialState.COMPLETE
    assert found["a"][0].value == 0.75
    assert found["a"][0].intermediate_values == {0: 0.5, 2: 1.0}
    assert found["b"][0].state is TrialState.FAIL
    mine.release()
    assert trials(uri)["a"][0].state is TrialState.COMPLETE


def test_the_mean_counts_what_an_earlier_claim_reported(open_as: Open, uri: str) -> None:
    first = open_as()
    first.lease(CELLS)
    first.report("a", {0: 0.25, 1: 0.25})
    first.release()
    second = open_as()
    second.lease(CELLS)
    # Replicate 1 was trained again.
    second.report("a", {1: 0.5, 2: 1.5})
    second.finish("a")
    assert trials(uri)["a"][0].intermediate_values == {0: 0.25, 1: 0.5, 2: 1.5}
    assert trials(uri)["a"][0].value == 0.75


def test_a_finished_cell_that_misses_runs_again_is_a_new_trial(open_as: Open, uri: str) -> None:
    mine = open_as()
    mine.lease(CELLS)
    mine.report("a", {0: 1.0})
    mine.finish("a")
    assert mine.lease({"a": CELLS["a"]}) == []
    states = [trial.state for trial in trials(uri)["a"]]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING]


def test_what_is_not_leased_is_not_written(open_as: Open, uri: str) -> None:
    mine, other = open_as(MINE), open_as(OTHER)
    mine.lease(CELLS)
    other.report("a", {0: 0.1})
    other.finish("a")
    assert trials(uri)["a"][0].state is TrialState.RUNNING
    assert trials(uri)["a"][0].intermediate_values == {}


def test_new_levels_are_another_study(uri: str) -> None:
    Queue(uri, "small (smoke)", LEVELS).lease(CELLS)
    wider = {**LEVELS, "width": ("small", "large", "huge")}
    assert Queue(uri, "small (smoke)", wider).lease({"d": {"width": "huge"}}) == []


def test_a_queue_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"queue sqlite:.*cannot be opened") as error:
        Queue(f"sqlite:///{tmp_path / 'file' / 'queue.db'}", "small", LEVELS)
    assert "\n" not in str(error.value)
