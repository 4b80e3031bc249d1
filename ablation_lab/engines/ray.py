"""The Ray engine: workers as actors of a cluster, a running one or one of this machine.

Each worker is one actor, which holds its share of CPUs and of a GPU and carries out one job after
the other, so that data sets and compiled programs stay with it. An actor that dies with its process
or its node is replaced, and its jobs run once more, each alone on an actor. No more than ``AHEAD``
jobs are on their way to an actor, so that the runner's memory does not grow with their number.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, TypeVar

from pydantic import Field

from ablation_lab.engines import devices, worker
from ablation_lab.engines.contract import Attempt, Ended, Engine, Flying, Waiting, extra
from ablation_lab.engines.hosted import Host
from ablation_lab.engines.ray_cluster import connect, room
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.reading import Count, Whole, Written
from ablation_lab.training.cost import Accelerators, Limit

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs given to an actor: the next one is there when it has finished one.
AHEAD = 2
# So many workers in a row that do not even start say that none will.
HOPELESS = 3
# What Ray says of an actor whose node is gone, or that a scheduler asked to end.
ASKED = ("node has died", "node was terminated", "preempted", "SIGTERM")


class RaySettings(Written):
    """``conf/engine/ray.yaml``: which cluster, and how much of it a worker takes."""

    name: str = "ray"
    address: str | None = None
    workers: Count | None = None
    threads: Count = 1
    gpus: Annotated[Whole, Field(ge=0)] | None = None
    per_gpu: Count = 1

    @property
    def expected_workers(self) -> int | None:
        """As many as given; else only the cluster knows."""
        return self.workers

    @property
    def accelerators(self) -> Accelerators | None:
        """Those that are asked for; all of this machine; those of a cluster once it is reached."""
        here = len(devices.visible()) if self.address is None else 0
        gpus = here if self.gpus is None else self.gpus
        return self._accelerators(self.workers or gpus * self.per_gpu) if gpus else None

    def _accelerators(self, workers: int) -> Accelerators:
        card = devices.memory() if self.address is None else None
        return Accelerators.of(workers=workers, card=card, sharing=self.per_gpu)

    @property
    def unknown(self) -> str:
        """The GPUs of a cluster of which all are asked for."""
        if self.address is None or self.gpus is not None:
            return ""
        return (
            f"without GPUs: those of the cluster at {self.address} are counted when it is reached, "
            "and more runs share a stack on them"
        )

    @property
    def devices_per_run(self) -> int:
        """One: Ray hands out shares of a GPU, not several."""
        return 1

    def start(self, plugins: tuple[str, ...]) -> RayEngine:
        """Connect to the cluster, or start one on this machine."""
        # Before Ray is imported: it reports its use to its makers unless told not to, and takes
        # GPUs from whoever asks for none, with a warning.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray = extra("ray", engine="ray")
        connect(ray, self.address, self.threads, plugins)
        try:
            gpus, room_for = room(ray, devices.PLACE, self.threads, self.gpus, self.per_gpu)
            workers = self.workers or room_for
            engine = RayEngine(ray, workers=workers, cpus=self.threads, gpus=gpus)
            engine.accelerators = self._accelerators(workers) if gpus else None
            return engine
        except BaseException:
            ray.shutdown()
            raise


@dataclass(eq=False)
class _Seat:
    """An actor that has started, and how many jobs it was given."""

    actor: Any
    jobs: int = 0
    alone: bool = False

    def takes(self, attempt: Attempt[Any], *, ahead: bool) -> bool:
        """Whether the seat may have the job: a last attempt shares its actor with no other."""
        if attempt.last or self.alone:
            return self.jobs == 0
        return self.jobs < (AHEAD if ahead else 1)


class RayEngine(Engine):
    """At most ``workers`` actors on the connected cluster, each with so many CPUs and GPUs."""

    def __init__(self, ray: ModuleType, *, workers: int, cpus: int, gpus: float) -> None:
        self._ray = ray
        self.workers = workers
        self.threads = cpus
        self._has_gpu = gpus > 0
        self._actor = ray.remote(_Worker).options(num_cpus=cpus, num_gpus=gpus)
        # A cluster may be too full for some actors, so only those that have started get jobs.
        self._starting: dict[Any, Any] = {}
        self._seats: list[_Seat] = []
        self._seated: dict[Any, _Seat] = {}
        self._hopeless = 0

    def _hand_out(
        self,
        function: Callable[[Job], Result],
        waiting: Waiting[Job],
        cost: Callable[[Job], float] | None,
    ) -> Callable[[Flying], bool]:
        stored = self._ray.put(function)
        drawn: deque[Attempt[Job]] = deque()

        def hand_out(flying: Flying) -> bool:
            while len(drawn) + len(flying) < AHEAD * self.workers and (given := waiting.draw()):
                drawn.append(given)
            self._seat(stored, drawn, flying)
            # Jobs may wait for actors that have not started yet.
            return bool(drawn or flying)

        return hand_out

    def _ended(self, flying: Flying) -> Iterator[tuple[Any, Ended]]:
        finished, _ = self._ray.wait([*flying, *self._starting])
        for reference in finished:
            if reference in self._starting:
                self._has_started(reference)
            else:
                yield reference, self._what_came(reference)

    def cancel(self) -> None:
        """End the workers now and drop what they were doing."""
        for actor in [*self._starting.values(), *(seat.actor for seat in self._seats)]:
            self._ray.kill(actor)
        self.close()

    def close(self) -> None:
        """Leave the cluster; one of this engine's own ends."""
        self._starting.clear()
        self._seats.clear()
        self._seated.clear()
        self._ray.shutdown()

    def _seat(self, stored: Any, drawn: deque[Attempt[Any]], flying: Flying) -> None:
        """Give jobs to actors, and start as many more as there is work for."""
        for ahead in (False, True):
            for seat in self._seats:
                # No job queues behind another while an actor starts that may have it.
                spare = len(drawn) - len(self._starting) if ahead else len(drawn)
                if spare > 0 and seat.takes(drawn[0], ahead=ahead):
                    given = drawn.popleft()
                    seat.jobs += 1
                    seat.alone = given.last
                    reference = seat.actor.attempt.remote(stored, given.job, given.limit)
                    flying[reference], self._seated[reference] = [given], seat
        work = min(self.workers, len(drawn) + len(flying))
        for _ in range(work - len(self._seats) - len(self._starting)):
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
            self._seats.append(_Seat(actor))

    def _what_came(self, reference: Any) -> Ended:
        seat = self._seated.pop(reference)
        seat.jobs -= 1
        try:
            return Ended([self._ray.get(reference)])
        except self._ray.exceptions.RayActorError as error:
            # Its process or its node is gone.
            if seat in self._seats:
                self._seats.remove(seat)
            asked = any(sign in str(error) for sign in ASKED)
            return Ended(died=f"the worker process died twice: {_reason(error)}", asked=asked)
        except self._ray.exceptions.RayError as error:
            # The job or its result does not travel.
            return Ended([worker.failed(error)])


class _Worker:
    """One process somewhere in the cluster, beside the one that it watches."""

    def prepare(self, threads: int, has_gpu: bool) -> None:
        """Start; called once, before any job."""
        if not has_gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._host = Host(threads)

    def attempt(
        self, function: Callable[[Any], Any], job: Any, limit: Limit
    ) -> worker.Outcome[Any]:
        """Carry out one job."""
        return self._host.attempt(function, job, limit)


def _reason(error: BaseException) -> str:
    """Return the part of Ray's message that says what happened, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
