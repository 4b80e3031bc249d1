"""Jobs that wait for a worker: the ones whose worker died first, then those of an iterable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")


@dataclass(frozen=True)
class Attempt(Generic[Job]):
    """A job on its way; the ``last`` time, if its worker died once."""

    job: Job
    last: bool = False


class Waiting(Generic[Job]):
    """Draws jobs one by one, so that no more of them exist than are asked for."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = iter(jobs)
        self._again: list[Attempt[Job]] = []

    def draw(self) -> Attempt[Job] | None:
        """Return the next job, or None when there is none."""
        if self._again:
            return self._again.pop()
        for job in self._jobs:
            return Attempt(job)
        return None

    def put_back(self, job: Job) -> None:
        """Let a job whose worker died run once more."""
        self._again.append(Attempt(job, last=True))
