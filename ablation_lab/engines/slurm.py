"""The Slurm engine: jobs of a cluster's queue, through submitit.

What a Slurm job costs is waiting and starting, so jobs of the lab that take seconds share one,
until it takes about ``batch_minutes``; several go to the queue at a time, as an array. Where a
Slurm job dies, each of its jobs runs once more, alone; where somebody ended it, or its node failed,
they go back as they came. ``executor: local`` runs the same jobs as processes of this machine, for
a trial without Slurm.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from ablation_lab.engines import devices, slurm_queue, worker
from ablation_lab.engines.contract import Attempt, Ended, Engine, Flying, Waiting, extra
from ablation_lab.engines.hosted import Host
from ablation_lab.study.factor import Label
from ablation_lab.study.reading import Count, Number, Whole, Written
from ablation_lab.training.cost import Accelerators, Limit

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs of the lab in one Slurm job, however short they are.
LARGEST_BATCH = 500
# A part of the queue that is free is filled at once: arrays of some size, not one by one.
PART = 8
# Seconds between looks for results, and between questions to Slurm about those that never came.
LOOK = {"local": 0.1, "slurm": 2.0}
ASK = 30.0
# Seconds in which a result comes on a shared file system when its job is over; in which jobs end.
LATE, PATIENCE = 15.0, 20.0
# A job is told so many seconds before its time is over.
NOTICE = 30


class Executor(StrEnum):
    """Who runs the jobs."""

    SLURM = "slurm"
    LOCAL = "local"


class SlurmSettings(Written):
    """``conf/engine/slurm.yaml``: what a Slurm job gets, and how much work it is given.

    ``time`` is in minutes, ``memory`` in GB; ``folder`` is where the files of jobs lie.
    """

    name: str = "slurm"
    workers: Count = 32
    batch_minutes: Number = 5.0
    executor: Executor = Executor.SLURM
    folder: Path = Path("runs/slurm")
    time: Count = 60
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    threads: Count = 1
    memory: Number = 4.0
    gpus: Annotated[Whole, Field(ge=0)] = 0
    options: dict[str, Label] = Field({})

    @property
    def flags(self) -> list[str]:
        """The options of sbatch that ask for them."""
        named = {
            "time": self.time,
            "cpus-per-task": self.threads,
            "mem": f"{round(1024 * self.memory)}M",
            "gpus-per-node": self.gpus or None,
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            **self.options,
        }
        return [f"--{key}={value}" for key, value in named.items() if value is not None]

    @property
    def parameters(self) -> dict[str, Any]:
        """The same in the words of submitit."""
        named = {
            "name": slurm_queue.NAME,
            "timeout_min": self.time,
            "slurm_signal_delay_s": NOTICE,
            "cpus_per_task": self.threads,
            "mem_gb": self.memory,
            "gpus_per_node": self.gpus or None,
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "slurm_qos": self.qos,
            "slurm_additional_parameters": dict(self.options) or None,
        }
        return {key: value for key, value in named.items() if value is not None}

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
        return SlurmEngine(self)


class SlurmEngine(Engine):
    """At most ``workers`` jobs in the queue, each of which carries out a batch of jobs."""

    queues: ClassVar[bool] = True

    def __init__(self, settings: SlurmSettings) -> None:
        submitit = extra("submitit", engine="slurm")
        self._settings = settings
        self.workers = settings.workers
        self.accelerators = settings.accelerators
        self._submitted: set[Any] = set()
        self._every: list[str] = []
        self._died = False
        self._asked = time.monotonic()
        # Jobs that are over, and since when.
        self._over: dict[Any, tuple[float, str]] = {}
        if settings.executor is Executor.SLURM:
            slurm_queue.validate_reachable(settings.flags)
        else:
            devices.chosen(settings.gpus, f"{devices.PLACE}.gpus")
        call = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        self._folder = settings.folder.absolute() / call
        path = os.pathsep.join(worker.import_path())
        variables = worker.environment(settings.threads) | {"PYTHONPATH": path}
        python = shlex.join(["env", *(f"{k}={v}" for k, v in variables.items()), sys.executable])
        self._executor = submitit.AutoExecutor(
            self._folder / "%j",
            cluster=settings.executor.value,
            slurm_python=python,
            local_python=python,
        )
        self._executor.update_parameters(
            slurm_array_parallelism=settings.workers, **settings.parameters
        )
        errors = submitit.core.utils
        self._failures = (errors.UncompletedJobError, errors.FailedJobError)

    def _hand_out(
        self,
        function: Callable[[Job], Result],
        waiting: Waiting[Job],
        cost: Callable[[Job], float] | None,
    ) -> Callable[[Flying], bool]:
        def hand_out(flying: Flying) -> bool:
            free = self.workers - len(flying)
            if free < self.workers / PART:
                return True
            batches = [batch for _ in range(free) if (batch := self._batch(waiting, cost))]
            if batches:
                work = [[(given.job, given.limit) for given in batch] for batch in batches]
                same = [function] * len(work), work, [self._settings.threads] * len(work)
                submitted = self._executor.map_array(carry_out, *same)
                self._submitted.update(submitted)
                self._every += [job.job_id for job in submitted]
                flying.update(zip(submitted, batches, strict=True))
            return bool(flying)

        return hand_out

    def _batch(
        self, waiting: Waiting[Job], cost: Callable[[Job], float] | None
    ) -> list[Attempt[Job]]:
        """Draw jobs that take about as long as a batch should; without a cost, only one."""
        batch: list[Attempt[Job]] = []
        seconds = 0.0
        while seconds < 60 * self._settings.batch_minutes and len(batch) < LARGEST_BATCH:
            attempt = waiting.draw()
            if attempt is None:
                break
            batch.append(attempt)
            if attempt.last or cost is None:
                break
            seconds += cost(attempt.job)
        return batch

    def _ended(self, flying: Flying) -> Iterator[tuple[Any, Ended]]:
        time.sleep(LOOK[self._settings.executor])
        is_local = self._settings.executor is Executor.LOCAL
        died = self._died_here if is_local else self._died_on_the_cluster
        gone = died(list(flying))
        for job in list(flying):
            # A result lies there without any question.
            if job.paths.result_pickle.exists():
                yield job, self._what_came(job)
            elif job in gone:
                yield job, self._death(job, gone[job])

    def _died_here(self, jobs: list[Any]) -> Mapping[Any, str]:
        return {job: str(job.state) for job in jobs if job.done()}

    def _died_on_the_cluster(self, jobs: list[Any]) -> Mapping[Any, str]:
        """Return the states of jobs that are over for some time; one question is about all."""
        now = time.monotonic()
        if now - self._asked > ASK:
            self._asked = now
            known = slurm_queue.states([job.job_id for job in jobs])
            over = {job: state for job in jobs if _is_over(state := known.get(job.job_id, ""))}
            self._over = {job: self._over.get(job, (now, state)) for job, state in over.items()}
        return {job: state for job, (since, state) in self._over.items() if now - since > LATE}

    def _what_came(self, job: Any) -> Ended:
        try:
            outcomes: list[worker.Outcome[Any]] = job.result()
        except self._failures:
            return self._death(job, "FAILED")
        self._submitted.discard(job)
        shutil.rmtree(job.paths.folder, ignore_errors=True)
        return Ended(outcomes)

    def _death(self, job: Any, state: str) -> Ended:
        self._submitted.discard(job)
        self._died = True
        return Ended(
            died=f"the Slurm job died twice: state {state}, log {job.paths.stderr}",
            asked=state in slurm_queue.ASKED,
        )

    def cancel(self) -> None:
        """End the workers now and drop what they were doing."""
        jobs, slurm = list(self._submitted), self._settings.executor is Executor.SLURM
        self._submitted.clear()
        if slurm:
            slurm_queue.cancel([job.job_id for job in jobs])
            return
        for job in jobs:
            job.cancel(check=False)
        end = time.monotonic() + PATIENCE
        while not all(job.done() for job in jobs) and time.monotonic() < end:
            time.sleep(LOOK["local"])

    def close(self) -> None:
        """End what Slurm began again though its result had come; remove the files of jobs.

        Where one died, its log is worth a look.
        """
        if self._settings.executor is Executor.SLURM and self._every:
            known = slurm_queue.states(self._every)
            slurm_queue.cancel([job for job, state in known.items() if not _is_over(state)])
        if not self._died:
            shutil.rmtree(self._folder, ignore_errors=True)


def carry_out(
    function: Callable[[Job], Any], jobs: list[tuple[Job, Limit]], threads: int
) -> list[worker.Outcome[Any]]:
    """Carry out a batch, in the Slurm job."""
    with Host(threads) as host:
        return [host.attempt(function, job, limit) for job, limit in jobs]


def _is_over(state: str) -> bool:
    return state in slurm_queue.OVER or state == slurm_queue.FORGOTTEN
