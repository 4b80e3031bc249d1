"""What is over on its way to the store: sent by a thread, so that training waits for nothing.

Comes in: records, which are on disk (`ablation_lab.store.spool`) before they are sent. Goes out:
the runs that the store has. A store or queue that is away is waited for while training goes on; it
is said when it goes, and when it is back. What was not sent when the call ends, or is killed, is
what the next call sends first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Self, TypeVar

from ablation_lab.ending import outside, reported
from ablation_lab.errors import StoreError
from ablation_lab.output import warn
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.planning import Cell, groups
from ablation_lab.runner.queue import Queue
from ablation_lab.store.leases import locked
from ablation_lab.store.runs import stored_runs
from ablation_lab.store.spool import Spool, Spooled, left
from ablation_lab.store.write import Tracker
from ablation_lab.study.record import Record

AT_ONCE = 200  # runs that are in memory on their way
# Seconds between looks whether a store is there, between tries while it is not, until a silent one
# is given up for gone, and for which a call that has nothing else to do waits for it.
LOOK, AGAIN, SILENT, PATIENCE = 15.0, 1.0, 45.0, 120.0
# Seconds for what is being sent when a call is asked to end.
GRACE = 2.0

Answer = TypeVar("Answer")


class Away(StoreError):
    """The store or the queue did not come back; what was trained waits in the spool."""

    status = 1


@dataclass(frozen=True)
class Sender:
    """Sends runs to the store and tells their queues, under the lock under which cells are taken.

    ``sent`` is told which runs the store has, each with its MLflow run id, and which were not ours
    any more: what was taken for dead and given to another runner is that one's to keep.
    """

    tracker: Tracker
    queues: Mapping[str, Queue]
    uri: str

    def send(
        self,
        runs: Sequence[Spooled],
        sent: Callable[[Sequence[tuple[Spooled, str]], Sequence[Spooled]], None],
        *,
        again: bool,
    ) -> None:
        """Send runs whose cells are still leased; what is sent ``again`` is there once."""
        cells = groups(runs, _cell)
        with locked(self.uri):
            held = {
                (study, cell)
                for study, queue in self.queues.items()
                for cell in queue.held([cell for name, cell in cells if name == study])
            }
            ours = [run for run in runs if _cell(run) in held]
            items = [(run.study, (run.entry, run.files)) for run in ours]
            run_ids = self.tracker.send(items, again=again)
            for (study, cell), of_cell in groups(ours, _cell).items():
                values = {run.replicate: run.value for run in of_cell}
                self.queues[study].report(cell, values)
            others = [run for run in runs if _cell(run) not in held]
            sent(list(zip(ours, run_ids, strict=True)), others)


def _cell(run: Spooled) -> Cell:
    return run.study, run.cell


def send_what_was_left(call: Invocation) -> None:
    """Send what runners left in their spools, in their places; what the store has is forgotten.

    What it will never take is put aside, and said: it must not be in the way of others.
    """
    for spool in left(call.tracking_uri, call.queue_uri):
        with closing(spool):
            if not spool.is_whole:
                warn(f"{spool.refuse()}: was damaged on disk; its runs are trained again")
                continue
            try:
                _send_all(call, spool)
            except Exception as error:
                if isinstance(error, StoreError) or outside(error):
                    raise
                warn(f"{spool.refuse()}: the store does not take these runs: {reported(error)}")


def _send_all(call: Invocation, spool: Spool) -> None:
    queues = {study: Queue(call.queue_uri, **opening) for study, opening in spool.leased.items()}
    sender = Sender(Tracker(call.tracking_uri, call.artifacts), queues, call.queue_uri)
    while runs := spool.next(AT_ONCE):
        of_study = groups(runs, lambda run: run.study)
        stored = stored_runs(call.tracking_uri, list(of_study))
        for study, some in of_study.items():
            queues[study].begin_again({run.cell for run in some})
        new = [run for run in runs if run.key not in stored[run.study]]
        sender.send(new, lambda sent, others: None, again=True)
        spool.forget(runs)


class Delivery:
    """The thread, for as long as a call trains: a context manager.

    ``send`` sends runs, perhaps again; ``look`` asks whether store and queue are there. What the
    thread meets is raised where the call next asks something of it.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        send: Callable[[list[Spooled], bool], None],
        look: Callable[[], None],
    ) -> None:
        self._spool, self._send, self._look = spool, send, look
        self._news = threading.Condition()
        self._ended = False
        self._error: Exception | None = None
        self._heard = time.monotonic()
        self._away = ""
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until everything is sent; after an error, only for what is on its way."""
        try:
            if kind is None:
                self.drain()
        finally:
            self._tell(ended=True)
            self._thread.join(GRACE)
            if not self._thread.is_alive():
                self._spool.close()

    @property
    def is_idle(self) -> bool:
        """Whether everything was sent and nothing is on its way."""
        return not (len(self._spool) or self._thread.is_alive())

    def add(self, records: Sequence[tuple[Record, float]]) -> list[str]:
        """Write records down, to be sent; return the names of the runs in the spool."""
        self._raise()
        names = self._spool.add(records)
        self._tell()
        return names

    def drain(self) -> None:
        """Wait until everything is sent. Errors: `Away`; whatever else sending met."""
        since = time.monotonic()
        with self._news:
            while len(self._spool) and not self._error:
                self._news.wait(AGAIN)
                self._give_up(max(since, self._heard))
        self._raise()

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Return an answer of the store or the queue, which may be away. Errors: as `drain`."""
        since = time.monotonic()
        while True:
            try:
                return question()
            except Exception as error:
                if not (why := outside(error)):
                    raise
                self._say_away(why)
            time.sleep(AGAIN)
            self._give_up(since)

    def watch(self) -> None:
        """Say so where the store gives no answer at all; another thread may do so."""
        if time.monotonic() - self._heard > SILENT:
            self._say_away(f"no answer for {SILENT:.0f} s")

    def _give_up(self, since: float) -> None:
        self.watch()
        if time.monotonic() - since > PATIENCE:
            raise Away(
                f"the store or its queue has been away for {PATIENCE:.0f} s; {len(self._spool)} "
                f"runs wait in {self._spool.folder}, and the next call sends them first"
            )

    def _work(self) -> None:
        while not self._ended:
            try:
                self._deliver()
            except Exception as error:
                if not (why := outside(error)):
                    self._error = error
                    self._tell(ended=True)
                    return
                self._say_away(why)
                self._pause(AGAIN, lambda: False)
            else:
                self._heard = time.monotonic()
                self._say_back()
                self._pause(LOOK, lambda: bool(len(self._spool)))

    def _deliver(self) -> None:
        runs = self._spool.next(AT_ONCE)
        if not runs:
            self._look()
            return
        self._send(runs, bool(self._away))
        self._spool.forget(runs)
        self._tell()

    def _pause(self, seconds: float, is_over: Callable[[], bool]) -> None:
        with self._news:
            self._news.wait_for(lambda: self._ended or is_over(), timeout=seconds)

    def _tell(self, *, ended: bool = False) -> None:
        with self._news:
            self._ended |= ended
            self._news.notify_all()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _say_away(self, why: str) -> None:
        with self._news:
            is_news, self._away = bool(why) and not self._away, why or self._away
        if is_news:
            warn(f"away: {why}; training goes on, and its results wait in {self._spool.folder}")

    def _say_back(self) -> None:
        with self._news:
            was, self._away = self._away, ""
        if was:
            warn("the store is back; what waited is being sent")
