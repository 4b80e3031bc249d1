"""The local engine: worker processes of this machine, one per core, one thread each.

Workers are started fresh (no forked state), end themselves when their driver is gone, and ignore
Ctrl-C, which is the driver's to handle. A worker that dies takes the pool with it: the pool is
made anew, and the jobs that were in flight run once more, one at a time, so that the one that
kills workers is found and reported while its neighbours finish.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs in flight per worker: enough that no worker waits, few enough that memory stays flat.
AHEAD = 2


@dataclass(frozen=True)
class Done(Generic[Job, Result]):
    """A job with its result, or with the reason why there is none."""

    job: Job
    result: Result | None
    error: str = ""


class LocalEngine:
    """``workers`` processes with ``threads`` threads each; a context manager."""

    def __init__(self, *, workers: int | None = None, threads: int = 1) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.threads = threads
        self._pool = self._start(self.workers)

    def __enter__(self) -> LocalEngine:
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
            self._pool.shutdown()
        else:
            self.cancel()

    def cancel(self) -> None:
        """End the workers now and drop what they were doing."""
        _end(self._pool)

    def map(
        self, function: Callable[[Job], Result], jobs: Iterable[Job]
    ) -> Iterator[Done[Job, Result]]:
        """Run ``function`` on every job; yield results as they come, in no order.

        Jobs are drawn from the iterable only as workers need them.
        """
        waiting = iter(jobs)
        flying: dict[Future[Result], Job] = {}
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
                yield from self._one_at_a_time(function, broken)

    def _fill(
        self,
        function: Callable[[Job], Result],
        waiting: Iterator[Job],
        flying: dict[Future[Result], Job],
    ) -> list[Job]:
        """Submit jobs until enough are in flight; return the one that a broken pool refused."""
        while len(flying) < AHEAD * self.workers:
            try:
                job = next(waiting)
            except StopIteration:
                break
            try:
                flying[self._pool.submit(function, job)] = job
            except BrokenProcessPool:
                return [job]
        return []

    def _one_at_a_time(
        self, function: Callable[[Job], Result], jobs: list[Job]
    ) -> Iterator[Done[Job, Result]]:
        """Run jobs whose pool broke again, each in a worker of its own."""
        _end(self._pool)
        for job in jobs:
            pool = self._start(1)
            future = pool.submit(function, job)
            wait([future])
            yield _done(job, future)
            _end(pool)
        self._pool = self._start(self.workers)

    def _start(self, workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_prepare_worker,
            initargs=(os.getpid(), self.threads),
        )


def _done(job: Job, future: Future[Result]) -> Done[Job, Result]:
    error = future.exception()
    if error is None:
        return Done(job, future.result())
    if isinstance(error, BrokenProcessPool):
        return Done(job, None, "the worker process died twice (killed, or out of memory)")
    return Done(job, None, f"{type(error).__name__}: {error}")


def _end(pool: ProcessPoolExecutor) -> None:
    """End a pool's own processes without waiting for their work."""
    processes: dict[int, Any] = dict(getattr(pool, "_processes", None) or {})
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        process.join()


def _prepare_worker(driver: int, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    # One compiler process at most: the other cores have workers of their own.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    threading.Thread(target=_end_with, args=(driver,), daemon=True).start()
    import torch

    torch.set_num_threads(threads)


def _end_with(driver: int) -> None:
    """End this worker when its driver is gone, however it went."""
    while os.getppid() == driver:
        time.sleep(0.5)
    os._exit(1)
