"""The process that carries one submitted study out: what `ablation run` does, and who hears of it.

Comes in: an `Order`, by a worker of the service, for which it has waited. Goes out: events, and how
the call ended. While it works it gives signs of life, sends on what the call says, and ends the
call as SIGTERM does when the study is no longer to be carried out: everything finished is kept.
"""

from __future__ import annotations

import math
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
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.ending import carried_out
from ablation_lab.engines.forking import make_ready
from ablation_lab.runner.composition import compose, mendable
from ablation_lab.runner.configuration import read
from ablation_lab.runner.planning import Planned, groups, summary
from ablation_lab.runner.plugins import enter
from ablation_lab.runner.session import carry_out as trained
from ablation_lab.runner.watcher import Watcher
from ablation_lab.service.state import GOING, Kind
from ablation_lab.service.submissions import BEAT, StudyRow, Submissions
from ablation_lab.signals import call
from ablation_lab.store.runs import FINISHED, StoredRun, runs_of
from ablation_lab.store.tags import Tag, replicates_of
from ablation_lab.study.metric import Metric
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run

LISTEN = 0.25  # seconds between looks at what is wished
MOST_LINES = 200  # of a log, in one event
LOG, REPORTS = "log.txt", "reports"
SAYING = ("error: ", "failed: ")
Told = tuple[int, int, str, float | None, str, str]


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
    telling = Telling(submissions, order, asked.tracking_uri)
    return trained(replace(asked, watcher=telling))


class Telling(Watcher):
    """Keeps as events what a call plans and keeps."""

    def __init__(self, submissions: Submissions, order: Order, store: str) -> None:
        """Tell of the study of an order, whose runs are in a store."""
        self._submissions, self._order, self._store = submissions, order, store
        self._numbers: dict[str, int] = {}
        self._metric: Metric
        self._tell(Kind.PHASE, {"phase": "planning"})

    def planned(self, planned: Planned) -> None:
        """Tell the grid, what is there of it, and what will train."""
        (entry,) = planned.missing.declared
        self._metric = entry.study.metric
        of_cell = groups(entry.runs, lambda run: run.cell)
        self._numbers = {cell: number for number, cell in enumerate(of_cell)}
        cells = [
            {"cell": cell, "factors": dict(runs[0].factors), "replicates": len(runs)}
            for cell, runs in of_cell.items()
        ]
        words = {"title": entry.study.title, "question": entry.study.question}
        metric = {"metric": self._metric.name, "higher_is_better": self._metric.higher_is_better}
        plan = {
            "todo": len(planned.missing.wanted),
            "seconds": planned.seconds,
            "workers": planned.workers,
            "lines": [summary(planned)],
        }
        runs = self._stored(planned, entry.runs)
        self._tell(Kind.PLAN, {"cells": cells, "runs": runs, **words, **metric, **plan})
        self._tell(Kind.PHASE, {"phase": "training"})
        if planned.missing.wanted:
            self._submissions.running(self._order.study, self._order.fence)

    def kept(self, records: Sequence[Record]) -> None:
        """Tell of runs that the store has from now on."""
        from ablation_lab.runner.results import reported_value

        runs: list[Told] = [
            (
                self._numbers[record.run.cell],
                record.run.replicate,
                record.status,
                _finite(reported_value(record, self._metric)),
                record.not_converged,
                record.reason if record.status is Status.FAILED else "",
            )
            for record in records
        ]
        if runs:
            self._tell(Kind.RUNS, {"runs": runs})
            self._submissions.progressed(self._order.study, self._order.fence)

    def reporting(self) -> None:
        """Tell that the report is written."""
        self._tell(Kind.PHASE, {"phase": "reporting"})

    def _stored(self, planned: Planned, runs: Sequence[Run]) -> list[Told]:
        """Return the declared runs that the store has."""
        study = runs[0].study if runs else ""
        ended = planned.missing.stored.runs.get(study, {})
        if not ended:
            return []
        place = replicates_of(study)
        tags = (Tag.KEY, Tag.RULE, Tag.ERROR)
        found = {run.run_id: run for run in runs_of(self._store, [place], tags=tags)[place]}
        return [
            self._told(run, found[ended[run.key][0]], ended[run.key][1])
            for run in runs
            if run.key in ended and ended[run.key][0] in found
        ]

    def _told(self, run: Run, stored: StoredRun, status: str) -> Told:
        value = _finite(stored.metrics.get(self._metric.name, math.nan))
        rule, error = stored.tags.get(Tag.RULE, ""), stored.tags.get(Tag.ERROR, "")
        said = "finished" if status == FINISHED else "failed"
        return self._numbers[run.cell], run.replicate, said, value, rule, error

    def _tell(self, kind: Kind, content: dict[str, Any]) -> None:
        self._submissions.tell(self._order.study, kind, content)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


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
