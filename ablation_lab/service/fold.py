"""From the events of a study to its state: all that is kept of a submitted study is its events.

Comes in: events, in the order of their numbers. Goes out: a `StudyState`.

| event | its content |
| --- | --- |
| ``state`` | ``state``, ``reason`` |
| ``phase`` | ``phase``: what a call is at: planning, training, reporting |
| ``plan`` | ``title``, ``question``, ``metric``, ``higher_is_better``, ``cells``: a list of
``{cell, factors, replicates}``, ``runs``: those that the store has, ``todo``, ``seconds``,
``workers``, ``engine``, ``lines`` |
| ``runs`` | ``runs``: ``[number of the cell, replicate, status, value, rule, reason]`` of each |
| ``work`` | ``work``: ``[cells, number of runs, since when]`` of what workers have in hand |
| ``log`` | ``lines`` |
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ablation_lab.service.state import (
    CellState,
    Change,
    Event,
    Failure,
    Kind,
    Plan,
    Progress,
    RunState,
    State,
    StudyState,
    Work,
)

MOST = 1_000  # lines of the log, failures and changes that a state has
FINISHED, FAILED = "finished", "failed"


class Fold:
    """The events of one study, folded as they come."""

    def __init__(self, head: StudyState) -> None:
        """Begin with what a study was submitted with."""
        self._head = head
        self._cells: list[CellState] = []
        self._runs: list[list[RunState]] = []
        # Cells of which a run came since they were last shown.
        self._touched: set[int] = set()
        self._counts = dict.fromkeys((FINISHED, FAILED), 0)
        self._failures: dict[tuple[int, int], Failure] = {}
        self._log: deque[str] = deque(maxlen=MOST)
        self._work: tuple[Work, ...] = ()
        # When the plan was made, how many runs were there then, and when the last one came.
        self._began, self._before, self._now = 0.0, 0, 0.0

    def take(self, events: Iterable[Event]) -> None:
        """Take further events; one that was taken before says nothing."""
        for event in events:
            if event.number > self._head.last_event:
                self._take(event)
                self._head = replace(self._head, last_event=event.number)

    @property
    def brief(self) -> StudyState:
        """What is known by now, but for cells, failures and log."""
        work = self._work if self._head.state is State.RUNNING else ()
        return replace(self._head, progress=self._progress(), work=work)

    @property
    def state(self) -> StudyState:
        """All that is known by now."""
        for number in self._touched:
            cell = self._cells[number]
            self._cells[number] = replace(cell, runs=tuple(self._runs[number]))
        self._touched.clear()
        return replace(
            self.brief,
            cells=tuple(self._cells),
            failures=tuple(self._failures.values())[-MOST:],
            log=tuple(self._log),
        )

    def _take(self, event: Event) -> None:
        said = event.content
        match event.kind:
            case Kind.STATE:
                self._change(Change(State(said["state"]), said["reason"], event.time))
            case Kind.PHASE:
                self._head = replace(self._head, progress=Progress(phase=said["phase"]))
            case Kind.PLAN:
                self._plan(said, event.time)
            case Kind.RUNS:
                self._add(said["runs"], event.time)
            case Kind.WORK:
                self._work = tuple(Work(*each) for each in said["work"])
            case Kind.LOG:
                self._log.extend(said["lines"])

    def _change(self, change: Change) -> None:
        changes = (*self._head.changes, change)[-MOST:]
        self._head = replace(self._head, state=change.state, reason=change.reason, changes=changes)

    def _plan(self, said: Mapping[str, Any], time: float) -> None:
        self._cells = [CellState(each["cell"], each["factors"], ()) for each in said["cells"]]
        self._runs = [[RunState()] * each["replicates"] for each in said["cells"]]
        self._touched = set(range(len(self._cells)))
        self._failures.clear()
        self._counts = dict.fromkeys(self._counts, 0)
        self._add(said["runs"], time)
        self._began, self._before = time, self._counts[FINISHED]
        lines, engine = tuple(said["lines"]), said.get("engine", "")
        plan = Plan(said["todo"], said["seconds"], said["workers"], lines, engine)
        words = {name: said[name] for name in ("title", "question", "metric", "higher_is_better")}
        self._head = replace(self._head, plan=plan, **words)

    def _add(self, runs: Iterable[tuple[int, int, str, float | None, str, str]], at: float) -> None:
        for number, replicate, status, value, rule, reason in runs:
            of_cell = self._runs[number]
            of_cell += [RunState()] * (replicate + 1 - len(of_cell))
            before, of_cell[replicate] = of_cell[replicate], RunState(status, value, rule)
            self._touched.add(number)
            self._count(before.status, -1)
            self._count(status, 1)
            self._failures.pop((number, replicate), None)
            if status == FAILED:
                failure = Failure(self._cells[number].cell, replicate, reason)
                self._failures[number, replicate] = failure
        self._now = at

    def _count(self, status: str, by: int) -> None:
        if status in self._counts:
            self._counts[status] += by

    def _progress(self) -> Progress:
        completed, failed = self._counts[FINISHED], self._counts[FAILED]
        return Progress(
            phase=self._head.progress.phase,
            completed=completed,
            failed=failed,
            total=sum(map(len, self._runs)),
            eta=self._eta(completed),
            rate=self._rate(completed),
        )

    def _rate(self, completed: int) -> float | None:
        """Return how many runs came a second since the plan was made."""
        if self._head.state is not State.RUNNING or self._now <= self._began:
            return None
        return (completed - self._before) / (self._now - self._began)

    def _eta(self, completed: int) -> float | None:
        """Return the seconds left: of the plan at first, then at the rate that was seen."""
        if self._head.state is not State.RUNNING:
            return None
        plan, rate = self._head.plan, self._rate(completed)
        if not rate:
            return plan.seconds / (plan.workers or 1)
        return max(0.0, math.ceil((plan.todo - completed + self._before) / rate))
