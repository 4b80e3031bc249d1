"""The local engine: worker processes of this machine, for each core or each CUDA device.

Workers have no state of their runner: with one thread and no device they are forked from a process
that has imported what they need and done nothing else (`ready`), else they are started fresh. They
end themselves when their runner is gone, and ignore Ctrl-C, which is the runner's to handle. Each
sees one CUDA device, in turn, or none. A worker that dies takes the pool with it: the pool is made
anew, and the jobs that were in flight run once more, one at a time, so that the one that kills
workers is found and reported while its neighbours finish. Each worker says in shared memory at what
it is and since when: one that is beyond the limit of its job, because it hangs, was stopped, or
holds too much memory, is ended with all that it started.
"""

from __future__ import annotations

import faulthandler
import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, process, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from ablation_lab.engines import devices
from ablation_lab.engines.contract import Ended, Engine, Flying, Waiting
from ablation_lab.engines.devices import Gpus
from ablation_lab.engines.forking import context_for, deaf_to_ctrl_c
from ablation_lab.engines.watched import GRACE, Watch, attempt_watched, end_with_runner, say_in
from ablation_lab.engines.worker import Outcome, failed, prepare
from ablation_lab.study.reading import Count, Written
from ablation_lab.training.cost import Accelerators

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs in flight per worker: enough that no worker waits, few enough that memory stays flat.
AHEAD = 2
DIED = "the worker process died twice (killed, or out of memory)"
# Seconds between looks at what workers are at.
LOOK = 1.0


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
            devices.validate_count(
                size, len(found), f"{devices.PLACE}.devices_per_run", "there are"
            )
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


@dataclass(frozen=True)
class Given:
    """What a worker is started with: its share of the machine.

    ``crash`` is the file for what Python says of a crash in C; ``from_main`` says whether the main
    thread of its runner started it; ``said`` is where each worker says at what it is.
    """

    threads: int
    devices: tuple[str, ...]
    crash: str
    from_main: bool
    said: Any


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
        self._watches = WeakKeyDictionary[ProcessPoolExecutor, Watch]()
        self._pool = self._start(self.workers, devices)
        # The pool of each job that is on its way, and where a worker that dies alone says why.
        self._pools: dict[Future[Outcome[Any]], tuple[ProcessPoolExecutor, Path | None]] = {}
        # Broken pools whose workers were asked to end, by others than this engine.
        self._asked = WeakSet[ProcessPoolExecutor]()
        self._crashes = tempfile.TemporaryDirectory()
        self._alone = 0

    def close(self) -> None:
        """Let the workers go; none has work left.

        They are not waited for: to take down an interpreter with torch in it takes over a second,
        in which the report can begin. Ended by force they would leave semaphores behind.
        """
        for pool in self._every_pool():
            _let_go(pool)
        self._crashes.cleanup()

    def cancel(self) -> None:
        """End the workers now and drop what they were doing."""
        for pool in self._every_pool():
            _end(pool)
        self._crashes.cleanup()

    def _every_pool(self) -> set[ProcessPoolExecutor]:
        return {self._pool, *(pool for pool, _ in self._pools.values())}

    def _hand_out(
        self,
        function: Callable[[Job], Result],
        waiting: Waiting[Job],
        cost: Callable[[Job], float] | None,
    ) -> Callable[[Flying], bool]:
        def hand_out(flying: Flying) -> bool:
            while self._takes(waiting, flying) and (given := waiting.draw()):
                pool, crash = self._start_alone() if given.last else (self._pool, None)
                try:
                    with deaf_to_ctrl_c():  # a process that starts would answer with a traceback
                        future = pool.submit(attempt_watched, function, given.job, given.limit)
                except BrokenProcessPool:
                    waiting.again.append(given)
                    self._renew()
                else:
                    flying[future] = [given]
                    self._pools[future] = pool, crash
            return bool(flying)

        return hand_out

    def _takes(self, waiting: Waiting[Any], flying: Flying) -> bool:
        """Whether one more job may start; while any runs its last time, only such as do too."""
        if waiting.again:
            return len(flying) < self.workers
        apart = any(given.last for batch in flying.values() for given in batch)
        return not apart and len(flying) < AHEAD * self.workers

    def _ended(self, flying: Flying) -> Iterator[tuple[Any, Ended]]:
        finished, _ = wait(flying, timeout=LOOK, return_when=FIRST_COMPLETED)
        for pool in self._every_pool():
            self._watches[pool].look(_processes(pool))
        for future in finished:
            pool, crash = self._pools.pop(future)
            if crash is not None:
                self._drop(pool)
            yield future, self._what_came(future, pool, crash)

    def _what_came(
        self, future: Future[Outcome[Any]], pool: ProcessPoolExecutor, crash: Path | None
    ) -> Ended:
        error = future.exception()
        if error is None:
            return Ended([future.result()])
        if not isinstance(error, BrokenProcessPool):
            # The job or its result does not travel between processes.
            return Ended([failed(error)])
        if pool is self._pool:
            self._renew()
        said = crash.read_text(errors="replace") if crash and crash.exists() else ""
        if why := self._watches[pool].beyond:
            return Ended(died=f"ended twice: {why}", traceback=said)
        return Ended(died=DIED, traceback=said, asked=pool in self._asked)

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        """End a pool; note whether its workers were only asked to, and none died of its own."""
        if all(code == -signal.SIGTERM for code in _end(pool)):
            self._asked.add(pool)

    def _renew(self) -> None:
        self._drop(self._pool)
        self._pool = self._start(self.workers, self.devices)

    def _start_alone(self) -> tuple[ProcessPoolExecutor, Path]:
        turn = self._alone % len(self.devices) if self.devices else 0
        crash = Path(self._crashes.name, str(self._alone))
        self._alone += 1
        return self._start(1, self.devices[turn : turn + 1], str(crash)), crash

    def _start(
        self, workers: int, devices: tuple[str, ...], crash: str = ""
    ) -> ProcessPoolExecutor:
        from_main = threading.current_thread() is threading.main_thread()
        context = context_for(self.threads, devices, from_main=from_main)
        watch = Watch(context, workers)
        given = Given(self.threads, devices, crash, from_main, watch.said)
        pool = ProcessPoolExecutor(
            max_workers=workers,
            mp_context=context,
            initializer=_prepare_worker,
            initargs=(given, context.Value("i", 0)),
        )
        self._watches[pool] = watch
        return pool


def _processes(pool: ProcessPoolExecutor) -> dict[int, Any]:
    """Return a pool's processes by number; they are gone when it was shut down."""
    return dict(getattr(pool, "_processes", None) or {})


def _let_go(pool: ProcessPoolExecutor) -> None:
    """Shut a pool down without waiting; what is on its way is dropped.

    When the interpreter exits it wakes the thread of every pool, in a race with the end of one that
    is shut down already ("Bad file descriptor"). Such a thread ends by itself and is joined.
    """
    thread = getattr(pool, "_executor_manager_thread", None)
    pool.shutdown(wait=False, cancel_futures=True)
    if thread is not None:
        getattr(process, "_threads_wakeups", {}).pop(thread, None)


def _end(pool: ProcessPoolExecutor) -> list[int | None]:
    """End a pool's own processes without waiting for their work; return how each of them went.

    One that hears nothing, since it was stopped or its job keeps the interpreter, is killed.
    """
    processes = _processes(pool)
    _let_go(pool)
    for each in processes.values():
        each.terminate()
    end = time.monotonic() + GRACE
    for each in processes.values():
        each.join(max(0.0, end - time.monotonic()))
        each.kill()
        each.join()
    return [each.exitcode for each in processes.values()]


def _prepare_worker(given: Given, started: Synchronized[int]) -> None:
    if given.crash:  # what Python says of a crash in C, which would go to the user's terminal
        said = Path(given.crash).open("w", encoding="utf-8")  # noqa: SIM115 - until its end
        faulthandler.enable(said)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with started.get_lock():
        turn = started.value
        started.value += 1
    say_in(given.said, turn)
    seen = given.devices
    os.environ["CUDA_VISIBLE_DEVICES"] = seen[turn % len(seen)] if seen else ""
    end_with_runner(at_once=given.from_main)
    prepare(given.threads)
