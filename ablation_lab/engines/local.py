"""The local engine: worker processes of this machine, for each core or each CUDA device.

Workers are started fresh (no forked state), end themselves when their runner is gone, and ignore
Ctrl-C, which is the runner's to handle. Each sees one CUDA device, in turn, or none. A worker that
dies takes the pool with it: the pool is made anew, and the jobs that were in flight run once more,
one at a time, so that the one that kills workers is found and reported while its neighbours finish.
"""

from __future__ import annotations

import faulthandler
import math
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from itertools import islice
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, TypeVar

from ablation_lab.engines import devices
from ablation_lab.engines.contract import Done, Engine
from ablation_lab.engines.devices import Gpus
from ablation_lab.engines.worker import Outcome, attempt, done, failed, prepare
from ablation_lab.study.reading import Count, Written
from ablation_lab.training.accelerators import Accelerators

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs in flight per worker: enough that no worker waits, few enough that memory stays flat.
AHEAD = 2


class LocalSettings(Written):
    """``conf/engine/local.yaml``: workers, threads of each, GPUs, and what shares or spans them."""

    name: str = "local"
    workers: Count | None = None
    threads: Count = 1
    gpus: Gpus = None
    per_gpu: Count = 1
    devices_per_run: Count = 1

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """What each worker in turn sees, as ``CUDA_VISIBLE_DEVICES`` names it."""
        found, size = devices.chosen(self.gpus, f"{devices.PLACE}.gpus"), self.devices_per_run
        if found and len(found) < size:
            devices.refuse_excess(size, len(found), f"{devices.PLACE}.devices_per_run", "there are")
        first = range(0, len(found) - size + 1, size)
        return tuple(",".join(found[n : n + size]) for n in first)

    @property
    def accelerators(self) -> Accelerators | None:
        """The devices of the workers, if there are any, and the memory that was measured."""
        if not self.devices:
            return None
        workers = self.expected_workers
        sharing = math.ceil(workers / len(self.devices))
        return Accelerators.of(workers=workers, card=devices.memory(), sharing=sharing)

    @property
    def expected_workers(self) -> int:
        """As many as given; or some for each device; or all that the cores have threads for."""
        if self.workers is not None:
            return self.workers
        if self.devices:
            return self.per_gpu * len(self.devices)
        return max(1, devices.cores() // (self.threads * self.devices_per_run))

    @property
    def unknown(self) -> str:
        """Nothing: this machine has been looked at."""
        return ""

    def start(self, plugins: tuple[str, ...]) -> LocalEngine:
        """Return the engine; its processes start with the first job."""
        engine = LocalEngine(
            workers=self.expected_workers, threads=self.threads, devices=self.devices
        )
        engine.accelerators = self.accelerators
        return engine


class LocalEngine(Engine):
    """``workers`` processes with ``threads`` threads each, in turn on ``devices``."""

    def __init__(
        self,
        *,
        workers: int | None = None,
        threads: int = 1,
        devices: tuple[str, ...] = (),
    ) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.threads = threads
        self.devices = devices
        self._pool = self._start(self.workers, devices)
        self._apart: list[ProcessPoolExecutor] = []

    def close(self) -> None:
        """Let the workers go; none has work left.

        They are not waited for: to take down an interpreter with torch in it takes over a second,
        in which the report can begin. Ended by force they would leave semaphores behind.
        """
        for pool in [self._pool, *self._apart]:
            pool.shutdown(wait=False)

    def cancel(self) -> None:
        """End the workers now and drop what they were doing."""
        for pool in [self._pool, *self._apart]:
            _end(pool)

    def map(
        self,
        function: Callable[[Job], Result],
        jobs: Iterable[Job],
        *,
        cost: Callable[[Job], float] | None = None,
    ) -> Iterator[Done[Job, Result]]:
        """Run ``function`` on every job; yield results as they come, in no order."""
        waiting = iter(jobs)
        flying: dict[Future[Outcome[Result]], Job] = {}
        while True:
            broken = self._fill(function, waiting, flying)
            if not flying and not broken:
                return
            finished, _ = wait(flying, return_when=ALL_COMPLETED if broken else FIRST_COMPLETED)
            for future in finished:
                job = flying.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    broken.append(job)
                else:
                    yield _done(job, future)
            if broken:
                broken += flying.values()
                flying.clear()
                yield from self._each_apart(function, broken)

    def _fill(
        self,
        function: Callable[[Job], Result],
        waiting: Iterator[Job],
        flying: dict[Future[Outcome[Result]], Job],
    ) -> list[Job]:
        """Submit jobs until enough are in flight; return the one that a broken pool refused."""
        while len(flying) < AHEAD * self.workers:
            try:
                job = next(waiting)
            except StopIteration:
                break
            try:
                flying[self._pool.submit(attempt, function, job)] = job
            except BrokenProcessPool:
                return [job]
        return []

    def _each_apart(
        self, function: Callable[[Job], Result], jobs: list[Job]
    ) -> Iterator[Done[Job, Result]]:
        """Run jobs whose pool broke again, each in a worker of its own."""
        _end(self._pool)
        waiting = iter(enumerate(jobs))
        flying: dict[Future[Outcome[Result]], tuple[Job, ProcessPoolExecutor, Path]] = {}
        with tempfile.TemporaryDirectory() as folder:
            while True:
                for number, job in islice(waiting, self.workers - len(flying)):
                    turn = number % len(self.devices) if self.devices else 0
                    crash = Path(folder, str(number))
                    pool = self._start(1, self.devices[turn : turn + 1], str(crash))
                    self._apart.append(pool)
                    flying[pool.submit(attempt, function, job)] = job, pool, crash
                if not flying:
                    break
                finished, _ = wait(flying, return_when=FIRST_COMPLETED)
                for future in finished:
                    job, pool, crash = flying.pop(future)
                    _end(pool)
                    self._apart.remove(pool)
                    yield _done(job, future, crash)
        self._pool = self._start(self.workers, self.devices)

    def _start(
        self, workers: int, devices: tuple[str, ...], crash: str = ""
    ) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            max_workers=workers,
            mp_context=context,
            initializer=_prepare_worker,
            initargs=(os.getpid(), self.threads, context.Value("i", 0), devices, crash),
        )


def _done(
    job: Job, future: Future[Outcome[Result]], crash: Path | None = None
) -> Done[Job, Result]:
    error = future.exception()
    if error is None:
        return done(job, future.result())
    if isinstance(error, BrokenProcessPool):
        trace = crash.read_text(errors="replace") if crash and crash.exists() else ""
        return Done(job, None, "the worker process died twice (killed, or out of memory)", trace)
    # The job or its result does not travel between processes.
    return done(job, failed(error))


def _end(pool: ProcessPoolExecutor) -> None:
    """End a pool's own processes without waiting for their work."""
    processes: dict[int, Any] = dict(getattr(pool, "_processes", None) or {})
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        process.join()


def _prepare_worker(
    runner: int, threads: int, started: Synchronized[int], devices: tuple[str, ...], crash: str
) -> None:
    if crash:  # what Python says of a crash in C, which would go to the user's terminal
        faulthandler.enable(Path(crash).open("w", encoding="utf-8"))  # noqa: SIM115 - until its end
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with started.get_lock():
        turn = started.value
        started.value += 1
    os.environ["CUDA_VISIBLE_DEVICES"] = devices[turn % len(devices)] if devices else ""
    threading.Thread(target=_end_with, args=(runner,), daemon=True).start()
    prepare(threads)


def _end_with(runner: int) -> None:
    """End this worker when its runner is gone, however it went."""
    while os.getppid() == runner:
        time.sleep(0.5)
    os._exit(1)
