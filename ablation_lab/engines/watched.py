"""Workers that are watched: each says in shared memory at what it is, and since when.

Comes in: limits of jobs. Goes out: the end of a worker that is beyond the limit of its job, since
it hangs, was stopped, or holds too much memory, and of all that it started. None outlives its
runner.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from ablation_lab.engines.worker import Outcome, attempt
from ablation_lab.training.cost import Limit
from ablation_lab.training.process import offspring, resident

Job = TypeVar("Job")
Result = TypeVar("Result")

# What a worker says: its number, since when it is at a job, the seconds and bytes that it may take.
SAID = 4
# Seconds that a worker has to end when it is asked to.
GRACE = 2.0
PARENT_DEATH_SIGNAL = 1  # of prctl(2)
# Of a worker: the array in which it says so, and where.
_place: list[tuple[Any, int]] = []


def say_in(said: Any, turn: int) -> None:
    """Have this worker, the ``turn``-th of its pool, say at what it is."""
    _place[:] = [(said, SAID * (turn % (len(said) // SAID)))]


def attempt_watched(function: Callable[[Job], Result], job: Job, limit: Limit) -> Outcome[Result]:
    """Run a job; say meanwhile at what this worker is."""
    ((said, place),) = _place
    said[place : place + SAID] = [os.getpid(), time.monotonic(), limit.seconds, limit.bytes]
    try:
        return attempt(function, job)
    finally:
        said[place] = 0


class Watch:
    """The watch on the workers of a pool; ``beyond`` is which limit one of them was beyond."""

    def __init__(self, context: BaseContext, workers: int) -> None:
        self.said = context.RawArray("d", SAID * workers)
        self.beyond = ""

    def look(self, processes: Mapping[int, Any]) -> None:
        """End the first worker that is beyond a limit; with it the pool is at its end."""
        every = iter(self.said)
        for number, since, seconds, most in zip(every, every, every, every, strict=True):
            if self.beyond or not number:
                continue
            below = offspring(int(number))
            self.beyond = _found_beyond(since, seconds, most, {int(number), *below})
            if self.beyond:
                _kill(processes.get(int(number)), below)


def _found_beyond(since: float, seconds: float, most: float, processes: set[int]) -> str:
    if time.monotonic() - since > seconds:
        return f"it took longer than {seconds / 60:.4g} min (limits.minutes)"
    if most < math.inf and (held := sum(map(resident, processes))) > most:
        return f"it held {held / 1e9:.2f} GB of {most / 1e9:g} GB (limits.memory)"
    return ""


def _kill(process: Any, below: Collection[int]) -> None:
    """Ask a worker to end; after some time end it, and what it started, by force."""
    if process is not None:
        process.terminate()
        process.join(GRACE)
        process.kill()
    for each in below:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def end_with_runner(*, at_once: bool) -> None:
    """End this worker when its runner is gone, however it went.

    ``at_once``: Linux kills it when the thread that started it has ended, which has to be that of
    the runner's whole life; also a worker that is stopped, or whose job keeps the interpreter.
    """
    if at_once:
        killed_with_parent()
    threading.Thread(target=_wait_and_end, daemon=True).start()


def killed_with_parent() -> None:
    """Have Linux kill this process when the thread that started it has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _wait_and_end() -> None:
    if runner := parent_process():  # who asked for this worker, whoever forked it
        runner.join()
        os._exit(1)
