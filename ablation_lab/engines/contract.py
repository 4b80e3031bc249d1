"""What every engine promises: jobs in, a ``Done`` for each of them out, as they come.

An engine draws jobs only as it needs them, so that the runner's memory does not grow with their
number. A job that raises is done, with its error and traceback. A job whose worker died runs once
more, apart from its neighbours; if that one dies too, it is done, with the reason. ``cancel`` ends
what runs; leaving the context after an error, Ctrl-C included, cancels.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType, TracebackType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from ablation_lab.engines.worker import Outcome
from ablation_lab.errors import ConfigurationError, installing
from ablation_lab.training.cost import NO_LIMIT, Accelerators, Limit

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Job, Result]):
    """A job with its result, or with the reason why there is none, in one line."""

    job: Job
    result: Result | None
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Attempt(Generic[Job]):
    """A job on its way; the ``last`` time, if its worker died once.

    ``asked`` counts how often its worker was asked to end, which is no fault of the job. An engine
    that watches its workers ends one that is beyond the ``limit`` of its job.
    """

    job: Job
    last: bool = False
    asked: int = 0
    limit: Limit = NO_LIMIT


class Waiting(Generic[Job]):
    """Jobs that wait for a worker: those whose worker died first, then those of an iterable.

    They are drawn one by one, so that no more of them exist than are asked for.
    """

    def __init__(self, jobs: Iterable[Job], limit: Callable[[Job], Limit] | None = None) -> None:
        self._jobs = iter(jobs)
        self._limit = limit
        self.again: list[Attempt[Job]] = []

    def draw(self) -> Attempt[Job] | None:
        """Return the next job, or None when there is none."""
        if self.again:
            return self.again.pop()
        for job in self._jobs:
            return Attempt(job, limit=self._limit(job) if self._limit else NO_LIMIT)
        return None


@dataclass(frozen=True)
class Ended:
    """What came of jobs that were handed out together: an outcome of each, or what killed them.

    ``died`` is what is said of a job if it is the second time; ``traceback`` may say more. Where
    the worker was ``asked`` to end, as a scheduler does that takes its machine away, its jobs go
    back as they came.
    """

    outcomes: Sequence[Outcome[Any]] = ()
    died: str = ""
    traceback: str = ""
    asked: bool = False


# A job that asks its own worker to end does so each time.
OFTEN = 10

# What an engine calls jobs that it handed out together -> these jobs.
Flying = dict[Any, list[Attempt[Any]]]


class Engine(ABC):
    """Where jobs run: a context manager that holds ``workers`` of them at once."""

    queues: ClassVar[bool] = False
    """Whether a job may wait long in a queue, so that quick questions are better asked here."""

    workers: int

    accelerators: Accelerators | None = None
    """What accelerators the workers have, now that the engine has started."""

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the workers; on an error, without waiting for what they do."""
        if kind is None:
            self.close()
        else:
            self.cancel()

    def map(
        self,
        function: Callable[[Job], Result],
        jobs: Iterable[Job],
        *,
        cost: Callable[[Job], float] | None = None,
    ) -> Iterator[Done[Job, Result]]:
        """Run ``function`` on every job; yield results as they come, in no order.

        ``cost`` is about how many seconds a job takes: small ones may share what an engine hands
        out at a time.
        """
        for together in self.map_together(function, jobs, cost=cost):
            yield from together

    def map_together(
        self,
        function: Callable[[Job], Result],
        jobs: Iterable[Job],
        *,
        cost: Callable[[Job], float] | None = None,
        limit: Callable[[Job], Limit] | None = None,
    ) -> Iterator[list[Done[Job, Result]]]:
        """Do the same; yield results that came at the same time together.

        ``limit`` is what a worker may take for a job, where the engine watches its workers: one
        that is beyond it died, as any other.
        """
        waiting, flying = Waiting(jobs, limit), Flying()
        hand_out = self._hand_out(function, waiting, cost)
        while hand_out(flying):
            together = []
            for name, ended in self._ended(flying):
                for index, attempt in enumerate(flying.pop(name)):
                    if not ended.died:
                        came = ended.outcomes[index]
                        together.append(Done(attempt.job, came.result, came.error, came.traceback))
                    elif ended.asked and attempt.asked < OFTEN:
                        waiting.again.append(replace(attempt, asked=attempt.asked + 1))
                    elif attempt.last:
                        together.append(Done(attempt.job, None, ended.died, ended.traceback))
                    else:
                        waiting.again.append(replace(attempt, last=True))
            if together:
                yield together

    @abstractmethod
    def _hand_out(
        self,
        function: Callable[[Job], Result],
        waiting: Waiting[Job],
        cost: Callable[[Job], float] | None,
    ) -> Callable[[Flying], bool]:
        """Return what gives jobs that wait to workers, and says whether any is still on its way."""

    @abstractmethod
    def _ended(self, flying: Flying) -> Iterator[tuple[Any, Ended]]:
        """Wait for some of what flies to end, one way or another; yield its name, what came."""

    @abstractmethod
    def cancel(self) -> None:
        """End the workers now and drop what they were doing."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the workers, whose work is done."""


class EngineSettings(Protocol):
    """The ``engine`` section of one call, typed: knows its engine, but has not started it."""

    @property
    def expected_workers(self) -> int | None:
        """How many jobs will run at once, if that is known before the engine starts."""

    @property
    def accelerators(self) -> Accelerators | None:
        """What accelerators the workers have, on which larger stacks pay; None without any.

        A cluster that has not been asked yet may turn out to have others: then the engine says so.
        """

    @property
    def unknown(self) -> str:
        """What of a plan only the started engine can tell, in one line; '' if it is all known."""

    @property
    def devices_per_run(self) -> int:
        """How many devices a run by itself is spread over."""

    def start(self, plugins: tuple[str, ...]) -> Engine:
        """Start the engine for jobs that import ``plugins``.

        Errors: ``ConfigurationError`` in one line, where it cannot start as asked.
        """


def extra(package: str, *, engine: str) -> ModuleType:
    """Import ``package``, which the extra ``engine`` installs.

    Errors: ``ConfigurationError`` where it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ConfigurationError(
            f"engine={engine}: needs the package {package!r}, which is not installed; "
            f"install it with: {installing(f'.[{engine}]')}"
        ) from None
