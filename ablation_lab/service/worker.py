"""Workers of this machine: they take the studies that wait, each into a process of its own.

Comes in: the queue of studies. Goes out: processes, which end by themselves and say how. One waits
for the next study with everything imported but plug-ins, which are read as they are when a study
begins. They live on when the service is killed: who comes back finds them at work. Of one that was
killed, the study waits again.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from ablation_lab.output import warn
from ablation_lab.service.carrying import Order, wait_and_carry_out
from ablation_lab.service.submissions import Submissions

LOOK = 0.25  # seconds between two looks at the queue, where nobody says that it has grown
AGAIN = 2.0  # seconds until it is looked again when that failed
GRACE = 10.0  # seconds that processes have to end in good order
WARM = (
    "ablation_lab.service.carrying",
    "ablation_lab.runner.queue",
    "ablation_lab.runner.results",
    "ablation_lab.training.validate",
    "pytorch_lightning",
    "hydra",
)


@dataclass(frozen=True)
class Waiting:
    """A process that waits for an order."""

    process: ForkServerProcess
    orders: Connection


class Workers:
    """At most ``number`` processes of this machine at a time, until they are stopped."""

    def __init__(
        self,
        submissions: Submissions,
        *,
        number: int,
        project: Path,
        plugins: Sequence[str] = (),
        words: Sequence[str] = (),
    ) -> None:
        self._submissions, self._number, self._project = submissions, number, project
        self._plugins, self._words = tuple(plugins), tuple(words)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(WARM))
        self._waiting: Waiting | None = None
        self._processes: list[ForkServerProcess] = []
        self._stopped, self._woken = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin to take studies, in a thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to take."""
        self._woken.set()

    def stop(self) -> None:
        """Take no more, and end what runs as SIGTERM does; it waits for who comes next."""
        self._stopped.set()
        self.wake()
        # It may be starting a process that imports for seconds, which ends by itself then.
        self._thread.join(GRACE)
        self._processes += [self._waiting.process] if self._waiting else []
        for each in self._processes:
            each.terminate()
        until = time.monotonic() + GRACE
        for each in self._processes:
            each.join(max(0.0, until - time.monotonic()))
            each.kill()

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._woken.wait(LOOK)
            self._woken.clear()
            try:
                self._processes = [each for each in self._processes if each.is_alive()]
                self._submissions.bury()
                self._take_all()
            except Exception as error:  # a database that is away comes back; the workers go on
                warn(f"workers: {str(error)[:300]}")
                self._stopped.wait(AGAIN)

    def _take_all(self) -> None:
        while not self._stopped.is_set():
            waiting = self._who_waits()
            if self._submissions.carried_out_here() >= self._number:
                return
            row = self._submissions.take(waiting.process.pid)
            if row is None:
                return
            order = Order(
                self._submissions.uri, row.id, row.fence, self._project, self._plugins, self._words
            )
            self._waiting = None
            self._processes.append(waiting.process)
            with waiting.orders, suppress(OSError):  # of one that is dead the study waits again
                waiting.orders.send(order)

    def _who_waits(self) -> Waiting:
        """Return the process that waits for the next study; start it where none does."""
        if self._waiting is None or not self._waiting.process.is_alive():
            heard, orders = self._context.Pipe(duplex=False)
            process = self._context.Process(target=wait_and_carry_out, args=(heard,), daemon=False)
            process.start()
            heard.close()
            self._waiting = Waiting(process, orders)
        return self._waiting
