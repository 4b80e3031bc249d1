"""How workers of this machine are started: forked from a process that is ready, or fresh.

Comes in: threads and devices of a worker. Goes out: a context of `multiprocessing`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext

from ablation_lab.engines.worker import HASHES


def context_for(threads: int, devices: Collection[str], *, from_main: bool) -> BaseContext:
    """Return how workers are started: a forked one has one thread, and has seen no device.

    ``from_main`` says whether the main thread starts them, with which they shall end.
    """
    hash_alike()
    forks = threads == 1 and not devices and "forkserver" in multiprocessing.get_all_start_methods()
    return make_ready(from_main=from_main) if forks else multiprocessing.get_context("spawn")


def make_ready(*, from_main: bool) -> BaseContext:
    """Start the process from which workers are forked, if it is not there; return its context."""
    hash_alike()
    context = multiprocessing.get_context("forkserver")
    bound = ["ablation_lab.engines.bound"] if from_main else []
    context.set_forkserver_preload([*bound, "ablation_lab.engines.ready"])
    resource_tracker.ensure_running()  # which itself would end the deafness
    with deaf_to_ctrl_c():  # while it imports it would answer with a traceback
        forkserver.ensure_running()
    return context


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Have what is started meanwhile not hear Ctrl-C, which is this process's to answer."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hash_alike() -> None:
    """Have every interpreter that is started from now on hash texts, and so order sets, alike."""
    os.environ[HASHES] = "0"
