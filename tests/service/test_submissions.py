"""The queue of submitted studies: states that are factual, events that say all, rivals."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from ablation_lab.service import submissions as module
from ablation_lab.service.fold import Fold
from ablation_lab.service.state import (
    MOST_DEATHS,
    OVER,
    Kind,
    NotNow,
    State,
    Wish,
    after,
    at_end,
)
from ablation_lab.service.submissions import (
    QueueFull,
    Submission,
    Submissions,
    UnknownStudy,
)
from ablation_lab.service.tables import STUDIES, service_uri
from ablation_lab.store import process

Open = Callable[[], Submissions]
WAITING = frozenset({State.QUEUED, State.PAUSED})


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    return lambda: Submissions(service_uri(f"sqlite:///{tmp_path}/queue.db"))


def submission(name: str, priority: int = 0) -> Submission:
    return Submission(name, "width", "smoke", "width: {}", priority=priority)


@pytest.mark.parametrize(
    ("wish", "state", "carried_out"), [*itertools.product(Wish, State, [False, True])]
)
def test_a_wish_may_be_repeated_and_is_only_done_when_nobody_works(
    wish: Wish, state: State, carried_out: bool
) -> None:
    try:
        found = after(wish, state, carried_out=carried_out)
    except NotNow:
        return
    assert after(wish, found, carried_out=carried_out) is found
    if carried_out and wish is not Wish.RESUME:
        assert found not in WAITING
    if state in OVER and wish is not Wish.RESUME:
        assert found is state


@pytest.mark.parametrize("status", [0, 1, 2, 130, 143, None])
@pytest.mark.parametrize("state", [State.PLANNING, State.RUNNING, State.PAUSING, State.CANCELLING])
def test_what_follows_an_end_is_never_work_without_a_worker(
    state: State, status: int | None
) -> None:
    found = at_end(state, status, deaths=1)
    assert found in WAITING | OVER
    assert (found is State.SUCCEEDED) == (status == 0)
    if state is State.RUNNING and status is None:
        assert at_end(state, status, deaths=MOST_DEATHS) is State.FAILED


def test_a_study_is_queued_once_and_the_more_important_first(opened: Open) -> None:
    queue = opened()
    assert [queue.submit(submission(name))[1] for name in "aba"] == [True, True, False]
    queue.submit(submission("c", priority=5))
    queue.prioritise("b", 7)
    assert [row.id for row in iter(queue.take, None)] == ["b", "c", "a"]
    with pytest.raises(UnknownStudy, match="no study 'd'"):
        queue.head("d")


def test_rivals_take_each_study_once(opened: Open) -> None:
    names = [f"s{number}" for number in range(40)]
    for name in names:
        opened().submit(submission(name))
    taken: list[str] = []

    def take() -> None:
        queue = opened()
        while queue.row(names[-1]).state == State.QUEUED:
            if row := queue.take():
                taken.append(row.id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(taken) == len(set(taken))
    assert names[-1] in taken


def test_what_a_killed_process_held_waits_again_and_fails_in_the_end(opened: Open) -> None:
    queue = opened()
    queue.submit(submission("a"))
    for death in range(1, MOST_DEATHS + 1):
        row = queue.take()
        assert row is not None
        code = "from ablation_lab.store import process; print(process.identity())"
        gone = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        with queue.engine.begin() as connection:
            connection.execute(update(STUDIES).values(runner=gone.stdout.decode().strip()))
        opened().bury()
        assert queue.row("a").runner == ""
        assert queue.head("a").state is (State.FAILED if death == MOST_DEATHS else State.QUEUED)
    assert "was killed" in queue.events(study="a")[-1].content["reason"]


def test_one_of_another_machine_is_dead_when_it_gives_no_sign(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, clock = opened(), [0.0]
    queue.submit(submission("a"))
    monkeypatch.setattr(process, "identity", lambda pid: "another machine|1|1")
    row = queue.take()
    assert row is not None
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    for clock[0] in range(0, 300, 30):
        assert queue.renew("a", row.fence) is State.PLANNING
        queue.bury()
    assert queue.row("a").runner == "another machine|1|1"
    clock[0] += module.EXPIRY
    queue.bury()
    assert queue.head("a").state is State.QUEUED
    # It comes back, and says how it ended: nobody listens.
    assert queue.renew("a", row.fence) is None
    queue.take()
    queue.end("a", row.fence, 0, "")
    assert queue.head("a").state is State.PLANNING


def test_a_cancelled_study_ends_when_its_process_does(opened: Open) -> None:
    queue = opened()
    queue.submit(submission("a"))
    row = queue.take()
    assert row is not None
    queue.running("a", row.fence)
    assert queue.wish("a", Wish.CANCEL).state is State.CANCELLING
    assert queue.wish("a", Wish.RESUME).state is State.QUEUED
    assert queue.take() is None  # its process is still there
    queue.end("a", row.fence, 143, "stopped")
    assert queue.take() is not None


def test_a_queue_has_an_end(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_QUEUED", 2)
    queue = opened()
    queue.submit(submission("a"))
    queue.submit(submission("b"))
    with pytest.raises(QueueFull, match="2 studies wait already"):
        queue.submit(submission("c"))


def test_events_say_all_and_one_that_comes_twice_says_nothing(opened: Open) -> None:
    queue = opened()
    head, _ = queue.submit(submission("a"))
    row = queue.take()
    assert row is not None
    cells = [{"cell": name, "factors": {"w": name}, "replicates": 2} for name in "xy"]
    plan = {"todo": 3, "seconds": 8.0, "workers": 2, "lines": []}
    words = {"title": "T", "question": "Q", "metric": "m", "higher_is_better": True}
    runs = [[0, 0, "finished", 0.5, "", ""]]
    queue.tell("a", Kind.PLAN, {"cells": cells, "runs": runs, **words, **plan})
    queue.running("a", row.fence)
    fold = Fold(head)
    fold.take(queue.events(study="a"))
    assert (fold.state.progress.total, fold.state.progress.eta) == (4, 4.0)
    told = [[0, 1, "finished", 0.7, "", ""], [1, 1, "failed", None, "", "it broke"]]
    queue.tell("a", Kind.RUNS, {"runs": told})
    queue.tell("a", Kind.LOG, {"lines": ["a line"]})
    fold.take(queue.events(study="a"))
    fold.take(queue.events(study="a"))
    for since in (1.0, 2.0):  # of what is in hand only the newest is kept
        queue.tell("a", Kind.WORK, {"work": [["x", 2, since]]})
    assert [e.content["work"] for e in queue.events() if e.kind is Kind.WORK] == [[["x", 2, 2.0]]]
    fold.take(queue.events(after=fold.brief.last_event))
    assert [each.since for each in fold.brief.work] == [2.0]
    assert (fold.brief.progress.rate or 0) > 0
    found = fold.state
    assert [cell.estimate for cell in found.cells] == [0.6, None]
    assert (found.progress.completed, found.progress.failed) == (2, 1)
    assert [(each.cell, each.reason) for each in found.failures] == [("y", "it broke")]
    assert found.log == ("a line",)
    assert [change.state for change in found.changes] == ["queued", "planning", "running"]
    # A run that failed and is trained again has failed no more.
    queue.tell("a", Kind.RUNS, {"runs": [[1, 1, "finished", 0.1, "", ""]]})
    fold.take(queue.events(after=found.last_event))
    assert (fold.state.failures, fold.state.progress.completed) == ((), 3)
