"""The process that carries one submitted study out: what `ablation run` does, and who hears of it.

Comes in: an `Order`, by a worker of the service, for which it has waited. Goes out: events, and how
the call ended. While it works it gives signs of life, sends on what the call says, and ends the
call as SIGTERM does when the study is no longer to be carried out: everything finished is kept.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.ending import carried_out
from ablation_lab.engines.forking import make_ready
from ablation_lab.runner.composition import compose, mendable
from ablation_lab.runner.configuration import read
from ablation_lab.runner.plugins import enter
from ablation_lab.runner.session import carry_out as trained
from ablation_lab.service.state import GOING, Kind
from ablation_lab.service.submissions import BEAT, StudyRow, Submissions
from ablation_lab.service.telling import Telling
from ablation_lab.signals import call

LISTEN = 0.25  # seconds between looks at what is wished
MOST_LINES = 200  # of a log, in one event
LOG, REPORTS = "log.txt", "reports"
SAYING = ("error: ", "failed: ")


@dataclass(frozen=True)
class Order:
    """A study that was taken, the project in which it is carried out, and settings of the call."""

    uri: str
    study: str
    fence: int
    project: Path
    plugins: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its declaration, its log and its report lie."""
        return folder_of(self.project, self.study)


def folder_of(project: Path, study: str) -> Path:
    """Return where what belongs to a submitted study lies."""
    return project / "runs" / "service" / study


def wait_and_carry_out(orders: Connection) -> None:
    """Have everything at hand that a study needs, then be the process of the order that comes.

    It is a session of its own, so that Ctrl-C is for the service. None comes of one that ended.
    """
    os.setsid()
    make_ready(from_main=True)
    with suppress(EOFError):
        carry_out(orders.recv())


def carry_out(order: Order) -> None:
    """Be the process of an order."""
    order.folder.mkdir(parents=True, exist_ok=True)
    said = os.open(order.folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(said, number)
    act = partial(carried_out, partial(_carry_out, order), mendable=mendable)
    sys.exit(call(lambda: act))


def _carry_out(order: Order) -> int:
    submissions = Submissions(order.uri)
    row = submissions.row(order.study)
    if row.fence != order.fence:
        return 0
    with _alive(submissions, order) as told:
        status = carried_out(partial(_call, order, row, submissions), mendable=mendable)
    submissions.end(order.study, order.fence, status, _reason(status, told))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is over, but for what Python takes down
    return status


def _call(order: Order, row: StudyRow, submissions: Submissions) -> int:
    path = order.folder / f"{row.study}.yaml"
    path.write_text(row.text, encoding="utf-8")
    project = replace(enter(order.project, order.plugins), beside=(path,), replaced=True)
    own = (f"profile={row.profile}", f"reports={order.folder / REPORTS}")
    asked = read(compose(project, [*order.words, *own]), project)
    telling = Telling(submissions, order.study, order.fence, asked)
    with telling.at_work():
        return trained(replace(asked, watcher=telling))


@contextmanager
def _alive(submissions: Submissions, order: Order) -> Iterator[list[str]]:
    """While the body runs, give signs of life, send the log on, and hear what is wished.

    Yield the lines that say what is wrong.
    """
    stopped, told = threading.Event(), list[str]()
    sending = _sender(submissions, order, told)

    def live() -> None:
        turns = 0
        while not stopped.wait(LISTEN):
            # A database that is away for a moment is no reason to end.
            with suppress(SQLAlchemyError):
                sending()
                turns += 1
                if not _is_wanted(submissions, order, beat=turns % int(BEAT / LISTEN) == 1):
                    os.kill(os.getpid(), signal.SIGTERM)
                    return

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        stopped.set()
        thread.join()
        sys.stdout.flush()
        sys.stderr.flush()
        sending()


def _is_wanted(submissions: Submissions, order: Order, *, beat: bool) -> bool:
    """Whether the study is still to be carried out, by this process."""
    if beat:
        return submissions.renew(order.study, order.fence) in GOING
    row = submissions.row(order.study)
    return row.fence == order.fence and row.state in GOING


def _sender(submissions: Submissions, order: Order, told: list[str]) -> Callable[[], None]:
    """Return what sends on the lines that were written since the last time."""
    log = (order.folder / LOG).open(encoding="utf-8", errors="replace")
    log.seek(0, os.SEEK_END)

    def send() -> None:
        while lines := [line.rstrip("\n") for line, _ in zip(log, range(MOST_LINES), strict=False)]:
            told.extend(line for line in lines if line.startswith(SAYING))
            submissions.tell(order.study, Kind.LOG, {"lines": lines})

    return send


def _reason(status: int, told: Sequence[str]) -> str:
    """Say why a call ended with this status."""
    if told and status in (1, 2):
        return told[-1].partition(": ")[2]
    known = {0: "all its runs are there", 1: "not everything worked; the log says what"}
    return known.get(status, "stopped; everything finished so far is kept")
