"""The Slurm engine: jobs of a cluster's queue, through submitit.

What a Slurm job costs is waiting and starting, so jobs of the lab that take seconds share one,
until it takes about ``batch_minutes``; several go to the queue at a time, as an array. Where a
Slurm job dies, each of its jobs runs once more, alone. ``executor: local`` runs the same jobs as
processes of this machine, for a trial without Slurm.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from ablation_lab.engines import devices, worker
from ablation_lab.engines.contract import Attempt, Ended, Engine, Flying, Waiting, extra
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.factor import Label
from ablation_lab.study.reading import Count, Number, Whole, Written
from ablation_lab.training.cost import Accelerators

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs of the lab in one Slurm job, however short they are.
LARGEST_BATCH = 500
# A part of the queue that is free is filled at once: arrays of some size, not one by one.
PART = 8
# Slurm's own commands wait long for a controller that is not there; in seconds.
PATIENCE = 20.0
# Seconds between looks for results, and between questions to Slurm about those that never came.
LOOK = {"local": 0.1, "slurm": 2.0}
ASK = 30.0


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
            "name": "ablation-lab",
            "timeout_min": self.time,
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
        self._died = False
        self._asked = time.monotonic()
        if settings.executor is Executor.SLURM:
            validate_reachable(settings)
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
                work = [[given.job for given in batch] for batch in batches]
                same = [function] * len(work), work, [self._settings.threads] * len(work)
                submitted = self._executor.map_array(carry_out, *same)
                self._submitted.update(submitted)
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
        ask = time.monotonic() - self._asked > ASK
        if ask:
            self._asked = time.monotonic()
        # One question is about all of them; a result lies there without any.
        jobs = list(flying)
        for job in [job for n, job in enumerate(jobs) if job.done(force_check=ask and n == 0)]:
            self._submitted.discard(job)
            yield job, self._what_came(job)

    def _what_came(self, job: Any) -> Ended:
        local = self._settings.executor is Executor.LOCAL
        with suppress(*self._failures):
            # On a shared file system a result may come late; on this machine it does not come.
            if not local or job.paths.result_pickle.exists():
                outcomes: list[worker.Outcome[Any]] = job.result()
                shutil.rmtree(job.paths.folder, ignore_errors=True)
                return Ended(outcomes)
        self._died = True
        return Ended(died=f"the Slurm job died twice: state {job.state}, log {job.paths.stderr}")

    def cancel(self) -> None:
        """End the workers now and drop what they were doing."""
        jobs, slurm = list(self._submitted), self._settings.executor is Executor.SLURM
        self._submitted.clear()
        if slurm and jobs:
            _slurm(["scancel", *(job.job_id for job in jobs)])
            return
        for job in jobs:
            job.cancel(check=False)
        end = time.monotonic() + PATIENCE
        while not all(job.done() for job in jobs) and time.monotonic() < end:
            time.sleep(LOOK["local"])

    def close(self) -> None:
        """Remove the files of jobs, unless one died: then its log is worth a look."""
        if not self._died:
            shutil.rmtree(self._folder, ignore_errors=True)


def carry_out(
    function: Callable[[Job], Any], jobs: list[Job], threads: int
) -> list[worker.Outcome[Any]]:
    """Carry out a batch, in the Slurm job."""
    worker.prepare(threads)
    return [worker.attempt(function, job) for job in jobs]


def validate_reachable(settings: SlurmSettings) -> None:
    """Ask Slurm whether it would take such a job, without submitting one.

    Errors: ``ConfigurationError`` with Slurm's own words.
    """
    for command in ("sbatch", "srun", "sacct", "scancel"):
        if shutil.which(command) is None:
            raise ConfigurationError(
                f"engine=slurm: no command {command!r} on this machine; submit from a login node "
                "of a Slurm cluster, or set engine.executor=local"
            )
    reason = _slurm(["sbatch", "--test-only", *settings.flags, "--wrap=true"])
    if reason:
        raise ConfigurationError(f"engine=slurm: sbatch would take no such job: {reason}")


def _slurm(command: list[str]) -> str:
    """Run a command of Slurm; return what went wrong, or ''."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {PATIENCE:g} s"
    except OSError as error:
        return f"{error}"
    if not answer.returncode:
        return ""
    return " ".join(answer.stderr.split()) or f"status {answer.returncode}"
