"""What is told of a submitted study while it is carried out, as events.

Comes in: what a call plans, hands out and keeps. Goes out: events of the study, in the store.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.engines.contract import EngineSettings
from ablation_lab.errors import redact
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.planning import Planned, groups, summary
from ablation_lab.runner.watcher import Watcher
from ablation_lab.service.state import Kind
from ablation_lab.service.submissions import Submissions
from ablation_lab.store.runs import FINISHED, StoredRun, runs_of
from ablation_lab.store.tags import Tag, replicates_of
from ablation_lab.study.metric import Metric
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, Stack

OFTEN = 0.25  # seconds between looks at what workers have in hand
MOST_WORK = 32  # stacks that are told to be in hand
LONGEST = 4_000  # letters of a traceback
Told = tuple[int, int, str, float | None, str, str]


class Telling(Watcher):
    """Keeps as events what a call plans and keeps."""

    def __init__(self, submissions: Submissions, study: str, fence: int, call: Invocation) -> None:
        """Tell of a study that a call carries out, as the one who took it last."""
        self._submissions, self._call = submissions, call
        self._study, self._fence = study, fence
        self._numbers: dict[str, int] = {}
        self._metric: Metric
        # Stacks that were handed out and are not kept: the first run of each, with what is told.
        self._handed: dict[str, tuple[str, int, float]] = {}
        self._tell(Kind.PHASE, {"phase": "planning"})

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Tell what workers have in hand while the body runs, as it changes, not too often."""
        ended = threading.Event()

        def tell() -> None:
            last: list[Any] = []
            while not ended.wait(OFTEN):
                work = list(self._handed.values())[:MOST_WORK]
                if work != last:
                    with suppress(SQLAlchemyError):
                        self._tell(Kind.WORK, {"work": work})
                        last = work

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

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
            "engine": described(self._call.engine),
            "lines": [summary(planned)],
        }
        runs = self._stored(planned, entry.runs)
        self._tell(Kind.PLAN, {"cells": cells, "runs": runs, **words, **metric, **plan})
        self._tell(Kind.PHASE, {"phase": "training"})
        if planned.missing.wanted:
            self._submissions.running(self._study, self._fence)

    def began(self, stack: Stack) -> None:
        """Have it told what a worker has in hand, or has next."""
        cells = dict.fromkeys(run.cell for run in stack.runs)
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        told = f"{next(iter(cells))}{more}", len(stack.runs), time.time()
        self._handed[stack.runs[0].key] = told

    def kept(self, records: Sequence[Record]) -> None:
        """Tell of runs that the store has from now on."""
        from ablation_lab.runner.results import reported_value

        for record in records:
            self._handed.pop(record.run.key, None)
        runs: list[Told] = [
            (
                self._numbers[record.run.cell],
                record.run.replicate,
                record.status,
                _finite(reported_value(record, self._metric)),
                record.not_converged,
                _why(record) if record.status is Status.FAILED else "",
            )
            for record in records
        ]
        if runs:
            self._tell(Kind.RUNS, {"runs": runs})
            self._submissions.progressed(self._study, self._fence)

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
        found = {
            run.run_id: run for run in runs_of(self._call.tracking_uri, [place], tags=tags)[place]
        }
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
        self._submissions.tell(self._study, kind, content)


def described(engine: EngineSettings) -> str:
    """Return where runs train, in words: the engine, and the devices of its workers."""
    kind, count = type(engine).__name__.removesuffix("Settings").lower(), engine.expected_workers
    devices = [f"CUDA {each}" for each in getattr(engine, "devices", ())]
    return ", ".join([f"{kind}: {count or '?'} workers", *devices])


def _why(record: Record) -> str:
    """Return why a run failed, and the end of its traceback."""
    return f"{record.reason}\n{redact(record.error[-LONGEST:])}".strip()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
