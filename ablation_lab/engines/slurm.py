"""The Slurm engine: jobs of a cluster's queue, through submitit.

What a Slurm job costs is waiting and starting, so jobs of the lab that take seconds share one,
until it takes about ``batch_minutes``; several go to the queue at a time, as an array. Where a
Slurm job dies, each of its jobs runs once more, alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, TypeVar

from ablation_lab.engines import worker
from ablation_lab.engines.contract import Done, Engine
from ablation_lab.engines.slurm_queue import Queue, Resources
from ablation_lab.engines.waiting import Attempt, Waiting
from ablation_lab.study.reading import Count, Number
from ablation_lab.training.accelerators import Accelerators

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs of the lab in one Slurm job, however short they are.
LARGEST_BATCH = 500
# A part of the queue that is free is filled at once: arrays of some size, not one by one.
PART = 8


class SlurmSettings(Resources):
    """``conf/engine/slurm.yaml``: what a Slurm job gets, and how much work it is given."""

    name: str = "slurm"
    workers: Count = 32
    batch_minutes: Number = 5.0

    @property
    def expected_workers(self) -> int:
        """So many jobs in the queue, if the cluster is free."""
        return self.workers

    @property
    def accelerators(self) -> Accelerators | None:
        """A GPU for every job, if they ask for one; the cards are those of other machines."""
        if not self.gpus:
            return None
        return Accelerators.of(workers=self.workers, card=None)

    @property
    def devices_per_run(self) -> int:
        """All GPUs of a job."""
        return max(1, self.gpus)

    @property
    def unknown(self) -> str:
        """Nothing: a job gets what it asks for."""
        return ""

    def start(self, plugins: tuple[str, ...]) -> SlurmEngine:
        """Ask Slurm whether it would take such jobs; return the engine."""
        queue = Queue(self, workers=self.workers)
        engine = SlurmEngine(queue, workers=self.workers, batch_seconds=60 * self.batch_minutes)
        engine.accelerators = self.accelerators
        return engine


class SlurmEngine(Engine):
    """At most ``workers`` jobs in the queue, each of which carries out a batch of jobs."""

    queues: ClassVar[bool] = True

    def __init__(self, queue: Queue, *, workers: int, batch_seconds: float) -> None:
        self.workers = workers
        self._queue = queue
        self._batch_seconds = batch_seconds
        self._flying: dict[Any, list[Attempt[Any]]] = {}

    def map(
        self,
        function: Callable[[Job], Result],
        jobs: Iterable[Job],
        *,
        cost: Callable[[Job], float] | None = None,
    ) -> Iterator[Done[Job, Result]]:
        """Run ``function`` on every job; yield results as they come, in no order."""
        waiting = Waiting(jobs)
        while True:
            free = self.workers - len(self._flying)
            if free >= self.workers / PART:
                self._submit(function, self._batches(waiting, free, cost))
            if not self._flying:
                return
            for job in self._queue.finished(list(self._flying)):
                yield from self._landed(job, waiting)

    def cancel(self) -> None:
        """End the workers now and drop what they were doing."""
        self._queue.cancel(list(self._flying))
        self._flying.clear()

    def close(self) -> None:
        """Remove the files of jobs, unless one died: then its log is worth a look."""
        self._queue.close()

    def _batches(
        self, waiting: Waiting[Job], most: int, cost: Callable[[Job], float] | None
    ) -> list[list[Attempt[Job]]]:
        """Draw jobs until so many batches are full."""
        batches: list[list[Attempt[Job]]] = []
        while len(batches) < most:
            batch = self._batch(waiting, cost)
            if not batch:
                break
            batches.append(batch)
        return batches

    def _batch(
        self, waiting: Waiting[Job], cost: Callable[[Job], float] | None
    ) -> list[Attempt[Job]]:
        """Draw jobs that take about as long as a batch should; without a cost, only one."""
        batch: list[Attempt[Job]] = []
        seconds = 0.0
        while seconds < self._batch_seconds and len(batch) < LARGEST_BATCH:
            attempt = waiting.draw()
            if attempt is None:
                break
            batch.append(attempt)
            if attempt.last or cost is None:
                break
            seconds += cost(attempt.job)
        return batch

    def _submit(self, function: Callable[[Job], Any], batches: list[list[Attempt[Job]]]) -> None:
        if not batches:
            return
        work = [[attempt.job for attempt in batch] for batch in batches]
        submitted = self._queue.submit(function, work)
        self._flying.update(zip(submitted, batches, strict=True))

    def _landed(self, job: Any, waiting: Waiting[Job]) -> Iterator[Done[Job, Any]]:
        batch = self._flying.pop(job)
        outcomes, reason = self._queue.result(job)
        if not reason:
            for attempt, outcome in zip(batch, outcomes, strict=True):
                yield worker.done(attempt.job, outcome)
            return
        for attempt in batch:
            if attempt.last:
                yield Done(attempt.job, None, f"the Slurm job died twice: {reason}")
            else:
                waiting.put_back(attempt.job)
