"""Slurm's side of the Slurm engine: submitit's jobs, their files, and what Slurm says of them.

``executor: local`` runs the same jobs as processes of this machine, for a trial without Slurm.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field

from ablation_lab.engines import devices, worker
from ablation_lab.engines.extras import extra
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.factor import Label
from ablation_lab.study.reading import Count, Number, Whole, Written

Job = TypeVar("Job")

# Slurm's own commands wait long for a controller that is not there; in seconds.
PATIENCE = 20.0
# Seconds between looks for results, and between questions to Slurm about those that never came.
LOOK = {"local": 0.1, "slurm": 2.0}
ASK = 30.0


class Executor(StrEnum):
    """Who runs the jobs."""

    SLURM = "slurm"
    LOCAL = "local"


class Resources(Written):
    """What one Slurm job gets: minutes, CPUs, GB of memory, GPUs; and where its files lie."""

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


class Queue:
    """Submits batches of jobs and gives back what came of them."""

    def __init__(self, resources: Resources, *, workers: int) -> None:
        submitit = extra("submitit", engine="slurm")
        self._executor_name = resources.executor
        self._died = False
        self._asked = time.monotonic()
        if resources.executor is Executor.SLURM:
            refuse_unreachable(resources)
        else:
            devices.chosen(resources.gpus, f"{devices.PLACE}.gpus")
        self._threads = resources.threads
        call = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        self._folder = resources.folder.absolute() / call
        path = os.pathsep.join(worker.import_path())
        variables = worker.environment(resources.threads) | {"PYTHONPATH": path}
        python = shlex.join(["env", *(f"{k}={v}" for k, v in variables.items()), sys.executable])
        self._executor = submitit.AutoExecutor(
            self._folder / "%j",
            cluster=resources.executor.value,
            slurm_python=python,
            local_python=python,
        )
        self._executor.update_parameters(slurm_array_parallelism=workers, **resources.parameters)
        self._failures = (
            submitit.core.utils.UncompletedJobError,
            submitit.core.utils.FailedJobError,
        )

    def submit(self, function: Callable[[Job], Any], batches: Sequence[list[Job]]) -> list[Any]:
        """Submit one Slurm job for each batch, all in one array."""
        count = len(batches)
        jobs: list[Any] = self._executor.map_array(
            carry_out, [function] * count, batches, [self._threads] * count
        )
        return jobs

    def finished(self, jobs: list[Any]) -> list[Any]:
        """Wait a little; return the jobs that ended, one way or another."""
        time.sleep(LOOK[self._executor_name])
        ask = time.monotonic() - self._asked > ASK
        if ask:
            self._asked = time.monotonic()
        # One question is about all of them; a result lies there without any.
        return [job for n, job in enumerate(jobs) if job.done(force_check=ask and n == 0)]

    def result(self, job: Any) -> tuple[list[worker.Outcome[Any]], str]:
        """Return a job's outcomes, or none and why it died."""
        try:
            if self._executor_name is Executor.LOCAL and not job.paths.result_pickle.exists():
                # On a shared file system a result may come late; here it does not come.
                return [], self._obituary(job)
            outcomes: list[worker.Outcome[Any]] = job.result()
        except self._failures:
            return [], self._obituary(job)
        shutil.rmtree(job.paths.folder, ignore_errors=True)
        return outcomes, ""

    def cancel(self, jobs: list[Any]) -> None:
        """End jobs."""
        if self._executor_name is Executor.SLURM and jobs:
            _slurm(["scancel", *(job.job_id for job in jobs)])
            return
        for job in jobs:
            job.cancel(check=False)
        end = time.monotonic() + PATIENCE
        while not all(job.done() for job in jobs) and time.monotonic() < end:
            time.sleep(LOOK["local"])

    def close(self) -> None:
        """Remove the files, unless a job died."""
        if not self._died:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _obituary(self, job: Any) -> str:
        self._died = True
        return f"state {job.state}, log {job.paths.stderr}"


def carry_out(
    function: Callable[[Job], Any], jobs: list[Job], threads: int
) -> list[worker.Outcome[Any]]:
    """Carry out a batch, in the Slurm job."""
    worker.prepare(threads)
    return [worker.attempt(function, job) for job in jobs]


def refuse_unreachable(resources: Resources) -> None:
    """Ask Slurm whether it would take such a job, without submitting one.

    Errors: ``ConfigurationError`` with Slurm's own words.
    """
    for command in ("sbatch", "srun", "sacct", "scancel"):
        if shutil.which(command) is None:
            raise ConfigurationError(
                f"engine=slurm: no command {command!r} on this machine; submit from a login node "
                "of a Slurm cluster, or set engine.executor=local"
            )
    reason = _slurm(["sbatch", "--test-only", *resources.flags, "--wrap=true"])
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
