"""The Ray engine: workers as actors of a cluster, a running one or one of this machine.

Each worker is one actor, which holds its share of CPUs and of a GPU and carries out one job at a
time, so that data sets and compiled programs stay with it. An actor that dies with its process or
its node is replaced; its job runs once more, on another. At most one job is on its way to each
worker, so that the driver's memory does not grow with their number.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from experiments.engines import worker
from experiments.engines.contract import Done, Engine
from experiments.engines.extras import extra
from experiments.engines.ray_cluster import connect, room
from experiments.engines.waiting import Attempt, Waiting
from experiments.errors import ConfigurationError
from experiments.section import Section

Job = TypeVar("Job")
Result = TypeVar("Result")

# So many workers in a row that do not even start say that none will.
HOPELESS = 3


@dataclass(frozen=True)
class RaySettings:
    """``conf/engine/ray.yaml``: which cluster, and how much of it a worker takes."""

    place: str
    address: str | None
    workers: int | None
    threads: int
    gpus: int | None
    per_gpu: int

    @classmethod
    def read(cls, section: Section) -> RaySettings:
        """Read the section."""
        gpus = section.take("gpus", int, None)
        if gpus is not None and gpus < 0:
            raise ConfigurationError(f"{section.place}.gpus: expected at least 0, found {gpus}")
        return cls(
            place=section.place,
            address=section.take("address", str, None),
            workers=section.at_least_one("workers", None),
            threads=section.at_least_one("threads", 1),
            gpus=gpus,
            per_gpu=section.at_least_one("per_gpu", 1),
        )

    @property
    def expected_workers(self) -> int | None:
        """As many as given; else only the cluster knows."""
        return self.workers

    def start(self, plugins: tuple[str, ...]) -> RayEngine:
        """Connect to the cluster, or start one on this machine."""
        # Before Ray is imported: it reports its use to its makers unless told not to, and takes
        # GPUs from whoever asks for none, with a warning.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray = extra("ray", engine="ray")
        connect(ray, self.address, self.threads, plugins)
        try:
            gpus, workers = room(ray, self.place, self.threads, self.gpus, self.per_gpu)
            return RayEngine(ray, workers=self.workers or workers, cpus=self.threads, gpus=gpus)
        except BaseException:
            ray.shutdown()
            raise


class RayEngine(Engine):
    """At most ``workers`` actors on the connected cluster, each with so many CPUs and GPUs."""

    def __init__(self, ray: ModuleType, *, workers: int, cpus: int, gpus: float) -> None:
        self._ray = ray
        self.workers = workers
        self.threads = cpus
        self._has_gpu = gpus > 0
        self._actor = ray.remote(_Worker).options(num_cpus=cpus, num_gpus=gpus)
        # A cluster may be too full for some workers, so only those that have started get jobs.
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._flying: dict[Any, tuple[Attempt[Any], Any]] = {}
        self._hopeless = 0

    def map(
        self,
        function: Callable[[Job], Result],
        jobs: Iterable[Job],
        *,
        cost: Callable[[Job], float] | None = None,
    ) -> Iterator[Done[Job, Result]]:
        """Run ``function`` on every job; yield results as they come, in no order."""
        stored = self._ray.put(function)
        waiting = Waiting(jobs)
        drawn: deque[Attempt[Job]] = deque()
        while True:
            while len(drawn) + len(self._flying) < self.workers:
                attempt = waiting.draw()
                if attempt is None:
                    break
                drawn.append(attempt)
            self._hand_out(stored, drawn)
            if not (drawn or self._flying):
                return
            finished, _ = self._ray.wait([*self._flying, *self._starting])
            for reference in finished:
                if reference in self._starting:
                    self._has_started(reference)
                else:
                    yield from self._landed(reference, waiting)

    def cancel(self) -> None:
        """End the workers now and drop what they were doing."""
        busy = [actor for _, actor in self._flying.values()]
        for actor in [*self._starting.values(), *self._idle, *busy]:
            self._ray.kill(actor)
        self.close()

    def close(self) -> None:
        """Leave the cluster; one of this engine's own ends."""
        self._starting.clear()
        self._idle.clear()
        self._flying.clear()
        self._ray.shutdown()

    def _hand_out(self, stored: Any, drawn: deque[Attempt[Any]]) -> None:
        while self._idle and drawn:
            actor, attempt = self._idle.pop(), drawn.popleft()
            reference = actor.attempt.remote(stored, attempt.job)
            self._flying[reference] = attempt, actor
        for _ in range(len(drawn) - len(self._starting)):
            actor = self._actor.remote()
            self._starting[actor.prepare.remote(self.threads, self._has_gpu)] = actor

    def _has_started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._hopeless += 1
            if self._hopeless == HOPELESS:
                raise ConfigurationError(
                    f"engine=ray: no worker starts on the cluster: {_reason(error)}"
                ) from None
        else:
            self._hopeless = 0
            self._idle.append(actor)

    def _landed(self, reference: Any, waiting: Waiting[Job]) -> Iterator[Done[Job, Any]]:
        attempt, actor = self._flying.pop(reference)
        try:
            outcome = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            # Its process or its node is gone.
            if attempt.last:
                reason = f"the worker process died twice: {_reason(error)}"
                yield Done(attempt.job, None, reason)
            else:
                waiting.put_back(attempt.job)
            return
        except self._ray.exceptions.RayError as error:
            # The job or its result does not travel.
            outcome = worker.failed(error)
        self._idle.append(actor)
        yield worker.done(attempt.job, outcome)


class _Worker:
    """One process somewhere in the cluster."""

    def prepare(self, threads: int, has_gpu: bool) -> None:
        """Start; called once, before any job."""
        if not has_gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        worker.prepare(threads)

    def attempt(self, function: Callable[[Any], Any], job: Any) -> worker.Outcome[Any]:
        """Carry out one job."""
        return worker.attempt(function, job)


def _reason(error: BaseException) -> str:
    """Return the part of Ray's message that says what happened, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
