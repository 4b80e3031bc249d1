"""The queue: a cell belongs to one runner, and to nobody when its runner is gone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from ablation_lab.errors import StoreError
from ablation_lab.runner.queue import Queue
from ablation_lab.store import leases, process

LEVELS = {"width": ("small", "large"), "activation": ("relu", "tanh")}
CELLS = {
    "a": {"width": "small", "activation": "relu"},
    "b": {"width": "large", "activation": "relu"},
    "c": {"width": "large"},
}
MINE, OTHER = process.identity(), "another machine|1|1"

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
    """Return a function that opens the queue as a process of some identity."""

    def open_queue(name: str = MINE) -> Queue:
        with monkeypatch.context() as patch:
            patch.setattr(process, "identity", lambda: name)
            return Queue(uri, "small (smoke)", LEVELS)

    return open_queue


def held(queue: Queue, *cells: str) -> set[str]:
    """Try to lease cells; return those that another runner holds."""
    return set(cells) - queue.lease({name: CELLS[name] for name in cells}).cells


def trials(uri: str) -> dict[str, list[optuna.trial.FrozenTrial]]:
    (name,) = [n for n in optuna.get_all_study_names(uri) if n.startswith("small")]
    found: dict[str, list[optuna.trial.FrozenTrial]] = {}
    for trial in optuna.load_study(study_name=name, storage=uri).trials:
        found.setdefault(trial.user_attrs["cell"], []).append(trial)
    return found


def test_a_cell_is_leased_once(open_as: Open) -> None:
    mine, other = open_as(MINE), open_as(OTHER)
    assert held(mine, *CELLS) == set()
    assert held(other, *CELLS) == set(CELLS)


def test_two_runners_that_claim_at_the_same_moment_share_the_cells(open_as: Open) -> None:
    queues = [open_as(MINE), open_as(OTHER)]
    cells = {f"cell{n}": {"width": "small"} for n in range(12)}
    start = Barrier(2)

    def lease(queue: Queue) -> set[str]:
        start.wait(timeout=60)
        return set(queue.lease(cells).cells)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lease, queues)
    assert one | other == set(cells)
    assert not one & other


def test_cells_are_shared_between_runners(open_as: Open) -> None:
    mine, other = open_as(MINE), open_as(OTHER)
    assert held(mine, "a") == set()
    assert held(other, *CELLS) == {"a"}
    assert held(mine, "b", "c") == {"b", "c"}


def test_what_anybody_held_before_may_have_results_that_were_not_read(open_as: Open) -> None:
    mine, other = open_as(MINE), open_as(OTHER)
    assert not mine.lease({"a": CELLS["a"]}).known
    mine.release()
    assert other.lease(CELLS).known


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
    assert held(open_as(OTHER), *CELLS) == set()


def test_the_cells_of_a_runner_that_was_killed_are_taken_over(open_as: Open) -> None:
    machine = MINE.rsplit("|", 2)[0]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for dead in (f"{machine}|{ended.pid}|1", f"{machine}|{MINE.split('|')[-2]}|1"):
        assert held(open_as(dead), *CELLS) == set()
        taker = open_as(MINE)
        assert held(taker, *CELLS) == set()
        assert held(open_as(OTHER), *CELLS) == set(CELLS)
        taker.release()


class Clock:
    """A clock that one sets."""

    now = 1e6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Put a clock in the place of this process's own; there is no time of day."""
    clock = Clock()
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=clock))
    return clock


def test_another_machine_is_alive_while_its_lease_beats(open_as: Open, clock: Clock) -> None:
    far, mine = open_as(OTHER), open_as(MINE)
    far.lease(CELLS)
    for _ in range(3):
        assert held(mine, *CELLS) == set(CELLS)
        far.renew()
        clock.now += leases.EXPIRY + 1
    assert held(mine, *CELLS) == set(CELLS)  # its last beat is news
    clock.now += leases.EXPIRY - 1
    assert held(mine, *CELLS) == set(CELLS)
    clock.now += 2
    assert held(mine, *CELLS) == set()


def test_a_lease_that_changed_hands_is_watched_anew(open_as: Open, clock: Clock) -> None:
    far, further, mine = open_as(OTHER), open_as("a third machine|1|1"), open_as(MINE)
    far.lease(CELLS)
    assert held(mine, *CELLS) == set(CELLS)
    far.release()
    further.lease(CELLS)
    clock.now += leases.EXPIRY + 1
    assert held(mine, *CELLS) == set(CELLS)


def test_who_was_taken_for_dead_writes_nothing(open_as: Open, uri: str, clock: Clock) -> None:
    asleep, taker = open_as(OTHER), open_as(MINE)
    asleep.lease(CELLS)
    held(taker, *CELLS)
    clock.now += leases.EXPIRY + 1
    assert held(taker, "a", "b") == set()
    assert asleep.held(["a", "b", "c"]) == {"c"}
    assert taker.held(["a", "b", "c"]) == {"a", "b"}
    asleep.report("a", {0: 0.1})
    asleep.finish("a")
    asleep.renew()
    asleep.release()
    assert trials(uri)["a"][0].state is TrialState.RUNNING
    assert trials(uri)["a"][0].intermediate_values == {}
    assert held(open_as("a third machine|1|1"), *CELLS) == {"a", "b"}


def test_nobody_takes_a_cell_while_its_results_are_written(open_as: Open, uri: str) -> None:
    asleep, taker = open_as(f"{MINE.rsplit('|', 2)[0]}|0|1"), open_as(MINE)
    asleep.lease(CELLS)
    with ThreadPoolExecutor(1) as pool:
        with leases.locked(uri):
            taking = pool.submit(held, taker, *CELLS)
            with pytest.raises(TimeoutError):
                taking.result(timeout=0.3)
            assert asleep.held(CELLS) == set(CELLS)
        assert taking.result(timeout=60) == set()


def test_what_a_dead_runner_left_open_is_closed(open_as: Open, uri: str) -> None:
    dead = open_as(f"{MINE.rsplit('|', 2)[0]}|0|1")
    dead.lease(CELLS)
    dead.report("a", {0: 0.5, 1: 1.0})
    alive = open_as(OTHER)
    alive.lease({"d": {"width": "small"}})
    assert leases.any_left(uri)
    open_as(MINE).settle(["c"])
    states = {cell: found[0].state for cell, found in trials(uri).items()}
    assert states == {
        "a": TrialState.COMPLETE,
        "b": TrialState.FAIL,
        "c": TrialState.RUNNING,
        "d": TrialState.RUNNING,
    }
    assert trials(uri)["a"][0].value == 0.75


def test_nothing_is_left_where_all_cells_ended(open_as: Open, uri: str, tmp_path: Path) -> None:
    assert not leases.any_left(uri)
    mine = open_as()
    mine.lease(CELLS)
    mine.report("a", {0: 1.0})
    mine.finish("a")
    mine.release()
    assert not leases.any_left(uri)
    assert not leases.any_left(f"sqlite:///{tmp_path / 'none.db'}")


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
    assert held(mine, "a") == set()
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
    taken = Queue(uri, "small (smoke)", wider).lease({"d": {"width": "huge"}})
    assert taken.cells == {"d"}


def test_a_queue_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"queue sqlite:.*cannot be opened") as error:
        Queue(f"sqlite:///{tmp_path / 'file' / 'queue.db'}", "small", LEVELS)
    assert "\n" not in str(error.value)
