"""Where records go: the store, the queue of cells, and the display of a terminal.

Comes in: records as workers give them. Goes out: what the store has by now, known without asking
it, and the runs that failed.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.declaring import keep_declarations
from ablation_lab.runner.planning import Cell, Missing, Stored, cell_of, groups, without_finished
from ablation_lab.runner.train import Failed
from ablation_lab.store.leases import BEAT, locked
from ablation_lab.store.runs import FAILED, FINISHED, stored_runs
from ablation_lab.store.tags import File
from ablation_lab.study.declare import Declared
from ablation_lab.study.metric import METRICS, Metric
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run

if TYPE_CHECKING:
    from ablation_lab.runner.queue import Queue


class Results:
    """What comes of a call: a context manager that holds leases and draws while it trains."""

    def __init__(self, call: Invocation, missing: Missing) -> None:
        self.tracker = keep_declarations(call, missing.declared)
        self.failed: list[Failed] = []
        self._call = call
        self._runs = {study: dict(runs) for study, runs in missing.stored.runs.items()}
        self._studies = {entry.study.name: entry.study for entry in missing.declared}
        self._queues = {entry.study.name: _queue(call, entry) for entry in missing.declared}
        # Runs that were trained here, when their cells had been given to another runner.
        self._taken: list[Run] = []
        # Of every leased cell the number of runs that are still to come.
        self._open: dict[Cell, int] = {}
        self._display = Display(
            runs=len(missing.wanted), cells=len(groups(missing.wanted, cell_of))
        )
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Start drawing, and renew leases from now on."""
        self._held.callback(self._release)
        self._held.enter_context(self._display)
        self._held.enter_context(self._leases_renewed())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing and give back what is still leased."""
        self._held.__exit__(kind, error, trace)

    @property
    def stored(self) -> Stored:
        """What the store has by now."""
        return Stored(self._runs)

    @property
    def failed_keys(self) -> set[str]:
        """The keys of the runs that failed in this call."""
        return {each.record.run.key for each in self.failed}

    def finished(self, study: str) -> dict[str, str]:
        """Return key → MLflow run id of every finished run of a study."""
        runs = self._runs[study].items()
        return {key: run_id for key, (run_id, status) in runs if status == FINISHED}

    def expect(self, runs: Sequence[Run]) -> None:
        """Draw these runs too, which are asked for after what came."""
        self._display.expect(runs=len(runs), cells=len(groups(runs, cell_of)))

    def lease(self, runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
        """Lease the cells of these runs; return the runs that are ours, and those that others hold.

        Of a cell that anybody held before, the store may have more than was read of it.
        """
        wanted = list(runs)
        mine: set[Cell] = set()
        known = False
        for study, queue in self._queues.items():
            cells = {run.cell: run.factors for run in wanted if run.study == study}
            taken = queue.lease(cells)
            mine |= {(study, cell) for cell in taken.cells}
            known |= taken.known
            if taken.known:
                self.tracker.cleanup(study, taken.cells)
        if known:
            self._read_again()
        # In the order in which they came: that of a stack's runs is seen in their last digits.
        leased = without_finished((run for run in wanted if cell_of(run) in mine), self.stored)
        self._open = {cell: len(of) for cell, of in groups(leased, cell_of).items()}
        for study, cell in mine - self._open.keys():
            self._queues[study].finish(cell)
        return list(leased), [run for run in wanted if cell_of(run) not in mine]

    def settle(self, wanted: Iterable[Run]) -> None:
        """Close the cells that runners left open who died, but those that are wanted."""
        cells = groups(wanted, cell_of)
        for study, queue in self._queues.items():
            queue.settle([cell for name, cell in cells if name == study])

    def still_missing(self, held: list[Run], waiting: list[Run]) -> tuple[Run, ...]:
        """Return what another runner held and has not finished meanwhile, and what waits for it."""
        held, self._taken = [*held, *self._taken], []
        if not held:
            return ()
        self._read_again()
        return without_finished([*held, *waiting], self.stored)

    def keep(self, records: Sequence[Record]) -> None:
        """Track records that came together, tell the queues, and close the cells that they end.

        What was taken for dead meanwhile, and given to another runner, is that one's to keep.
        Errors: ``ConfigurationError`` for a metric that no module logs, with nothing written.
        """
        for record in records:
            study = self._studies[record.run.study]
            validate_metrics(record, (study.metric, *study.further))
        with self._writing(records) as ours:
            for record, run_id in zip(ours, self.tracker.write(ours), strict=True):
                self._note(record, run_id)
            done = 0
            for cell, of_cell in groups(ours, lambda record: cell_of(record.run)).items():
                done += self._report(cell, of_cell)
        self._display.advance(ours, cells_done=done)

    @contextmanager
    def _writing(self, records: Sequence[Record]) -> Iterator[list[Record]]:
        """Yield the records whose cells are still leased, as they stay for the body."""
        cells = groups(records, lambda record: cell_of(record.run))
        with locked(self._call.queue_uri):
            held = {
                (study, cell)
                for study, queue in self._queues.items()
                for cell in queue.held([cell for name, cell in cells if name == study])
            }
            self._taken += [r.run for cell in cells.keys() - held for r in cells[cell]]
            yield [record for record in records if cell_of(record.run) in held]

    def _note(self, record: Record, run_id: str) -> None:
        failed = record.status is Status.FAILED
        self._runs[record.run.study][record.run.key] = run_id, FAILED if failed else FINISHED
        if failed:
            self.failed.append(Failed(record, self.tracker.place(run_id, File.TRACEBACK)))

    def _report(self, cell: Cell, records: list[Record]) -> bool:
        """Tell a cell's queue of its records; return whether the cell is done."""
        queue = self._queues[cell[0]]
        queue.report(
            cell[1], {each.run.replicate: _reported(each, queue.metric) for each in records}
        )
        self._open[cell] -= len(records)
        if not self._open[cell]:
            queue.finish(cell[1])
        return not self._open[cell]

    def _read_again(self) -> None:
        found = stored_runs(self._call.tracking_uri, list(self._studies))
        self._runs = {study: dict(runs) for study, runs in found.items()}

    def _release(self) -> None:
        for queue in self._queues.values():
            queue.release()

    @contextmanager
    def _leases_renewed(self) -> Iterator[None]:
        """Renew the leases while the body runs, so that others see that they are alive."""
        stopped = threading.Event()

        def beat() -> None:
            while not stopped.wait(BEAT):
                for queue in self._queues.values():
                    # A database that is away for a moment is not the end of the leases.
                    with suppress(SQLAlchemyError):
                        queue.renew()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()


class Display:
    """Cells done, runs done, failures, time left; silent where the output is no terminal."""

    def __init__(self, *, runs: int, cells: int, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, soft_wrap=True)
        self._cells = cells
        self._cells_done = 0
        self._failed = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(self._text(), total=runs)

    def __enter__(self) -> Display:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._progress.stop()

    def expect(self, *, runs: int, cells: int) -> None:
        """Count on further runs, and on the cells that they are of."""
        self._cells += cells
        total = self._progress.tasks[0].total or 0
        self._progress.update(self._task, total=total + runs, description=self._text())

    def advance(self, records: Sequence[Record], *, cells_done: int) -> None:
        """Count records that came together, and the cells that they complete."""
        self._cells_done += cells_done
        self._failed += sum(record.status is Status.FAILED for record in records)
        self._progress.update(self._task, advance=len(records), description=self._text())

    def _text(self) -> str:
        failures = f", {self._failed} failed" if self._failed else ""
        return f"cells {self._cells_done}/{self._cells}{failures}, runs"


def _queue(call: Invocation, entry: Declared) -> Queue:
    from ablation_lab.runner.queue import Queue

    levels = {factor.name: factor.levels for factor in entry.study.factors}
    name = f"{entry.study.name} ({call.profile})"
    return Queue(call.queue_uri, name, levels, entry.study.metric)


def validate_metrics(record: Record, metrics: Iterable[Metric]) -> None:
    """Refuse a metric that a study describes itself, so that a module has to log it, and none did.

    Those that the lab measures may be absent: a sequence that is never right has no first step.
    Errors: ``ConfigurationError``.
    """
    logged = {**record.curves, **record.metrics}
    for metric in metrics:
        if record.status is not Status.FINISHED or metric.name in {*logged, *METRICS.names()}:
            continue
        run = record.run
        raise ConfigurationError(
            f"study/{run.study}.yaml: {run.cell}: metric {metric.name!r} is not among what the "
            f"first run logged; {nearest(metric.name, sorted(logged))}; log it with "
            f"self.log({metric.name!r}, ...) in the module, or name another metric"
        )


def _reported(record: Record, metric: Metric) -> float:
    """Return what the queue keeps of a run: the study's metric, a curve's end where it is one."""
    curve = record.curves.get(metric.name, ())
    return record.metrics.get(metric.name, curve[-1][1] if curve else math.nan)
