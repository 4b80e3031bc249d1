"""What is known of a submitted study: its state and how that changes, grid, progress, log. Pure.

Comes in: a state and a wish, or how a process ended. Goes out: the next state. A `StudyState` is
what the API answers with and what the live page draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ablation_lab.errors import ConfigurationError

MOST_DEATHS = 5  # processes of a study that may be killed, one after another, without a result


class State(StrEnum):
    """What a submitted study is doing."""

    QUEUED = "queued"
    PLANNING = "planning"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


OVER = frozenset({State.CANCELLED, State.SUCCEEDED, State.FAILED})
GOING = frozenset({State.PLANNING, State.RUNNING})


class Wish(StrEnum):
    """What a user may ask of a submitted study; each may be asked again."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


class Kind(StrEnum):
    """What an event tells."""

    STATE = "state"
    PLAN = "plan"
    PHASE = "phase"
    RUNS = "runs"
    WORK = "work"
    LOG = "log"


class NotNow(ConfigurationError):
    """A wish that makes no sense in the state that a study is in."""


def after(wish: Wish, state: State, *, carried_out: bool) -> State:
    """Return the state that follows a wish; ``carried_out`` says whether a process works on it.

    Errors: ``NotNow``.
    """
    if wish is Wish.CANCEL:
        if state in OVER:
            return state
        return State.CANCELLING if carried_out else State.CANCELLED
    if wish is Wish.PAUSE:
        if state in (*OVER, State.CANCELLING):
            raise NotNow(f"a study that is {state} cannot be paused")
        return State.PAUSING if carried_out else State.PAUSED
    if state is State.SUCCEEDED:
        raise NotNow("the study has succeeded; there is nothing to resume")
    return state if state in GOING else State.QUEUED


def at_end(state: State, status: int | None, *, deaths: int) -> State:
    """Return the state of a study whose process ended with ``status``, None where nobody knows.

    One that was asked to end by nobody here is followed by another, and so is one that was killed,
    but for ``deaths`` that follow one another.
    """
    if status == 0:
        return State.SUCCEEDED
    if state is State.PAUSING:
        return State.PAUSED
    if state is State.CANCELLING:
        return State.CANCELLED
    if state is State.QUEUED:
        return state
    if status is None:
        return State.QUEUED if deaths < MOST_DEATHS else State.FAILED
    return State.QUEUED if status >= 128 else State.FAILED


@dataclass(frozen=True)
class Event:
    """One thing that happened to a study; ``number`` grows, over all studies."""

    number: int
    study: str
    time: float
    kind: Kind
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """A study came into a state, at a time (seconds since 1970), for a reason."""

    state: State
    reason: str
    time: float


@dataclass(frozen=True)
class RunState:
    """A replicate of a cell: open, finished or failed; ``rule`` says why it has not converged."""

    status: str = "open"
    value: float | None = None
    rule: str = ""


@dataclass(frozen=True)
class CellState:
    """A cell with its replicates; ``estimate`` is the mean of those that are finished."""

    cell: str
    factors: Mapping[str, str]
    runs: tuple[RunState, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The values of the finished runs that have one."""
        found = (run.value for run in self.runs if run.status == "finished")
        return tuple(value for value in found if value is not None and math.isfinite(value))

    @property
    def estimate(self) -> float | None:
        """The mean of the values so far."""
        values = self.values
        return math.fsum(values) / len(values) if values else None


@dataclass(frozen=True)
class Failure:
    """A run that failed: the line that says why, and behind it the traceback if there is one."""

    cell: str
    replicate: int
    reason: str


@dataclass(frozen=True)
class Work:
    """What a worker does, or is about to: so many runs of these cells, since a time."""

    cells: str
    runs: int
    since: float


@dataclass(frozen=True)
class Progress:
    """How far a study is: ``eta`` are the seconds that are left, ``rate`` is runs a second.

    None where nobody knows.
    """

    phase: str = ""
    completed: int = 0
    failed: int = 0
    total: int = 0
    unit: str = "runs"
    eta: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Plan:
    """What was found to be done when work on the study began."""

    todo: int = 0
    seconds: float = 0.0
    workers: int | None = None
    lines: tuple[str, ...] = ()
    engine: str = ""


@dataclass(frozen=True)
class StudyState:
    """A submitted study as it is known now."""

    id: str
    study: str
    profile: str
    title: str = ""
    question: str = ""
    metric: str = ""
    higher_is_better: bool = True
    priority: int = 0
    user: str = ""
    submitted: float = 0.0
    runner: str = ""
    state: State = State.QUEUED
    reason: str = ""
    changes: tuple[Change, ...] = ()
    plan: Plan = Plan()
    progress: Progress = Progress()
    cells: tuple[CellState, ...] = ()
    failures: tuple[Failure, ...] = ()
    work: tuple[Work, ...] = ()
    log: tuple[str, ...] = ()
    last_event: int = 0
