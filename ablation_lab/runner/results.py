"""Where records go: the store, the queue of cells, and the display of a terminal.

Comes in: records as workers give them. Goes out: what the store has by now, known without asking
it, and the runs that failed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.declaring import keep_declarations
from ablation_lab.runner.delivery import Delivery, Sender, send_what_was_left
from ablation_lab.runner.planning import Cell, Missing, Stored, cell_of, groups, without_finished
from ablation_lab.runner.progress import Display
from ablation_lab.runner.train import Failed
from ablation_lab.store import spool
from ablation_lab.store.leases import BEAT
from ablation_lab.store.runs import FINISHED, stored_runs
from ablation_lab.store.spool import Spooled
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
        # The runs that are leased, by study, cell and replicate.
        self._leased: dict[tuple[str, str, int], Run] = {}
        # Runs that were trained here, when their cells had been given to another runner.
        self._taken: list[Run] = []
        # Of every leased cell the keys of the runs that are still to come.
        self._open: dict[Cell, set[str]] = {}
        # Failures that are on their way, by their names in the spool.
        self._raised: dict[str, Record] = {}
        self._display = Display(
            runs=len(missing.wanted), cells=len(groups(missing.wanted, cell_of))
        )
        openings = {study: queue.opening for study, queue in self._queues.items()}
        sender = Sender(self.tracker, self._queues, call.queue_uri)
        self._delivery = Delivery(
            spool.new(call.tracking_uri, call.queue_uri, openings),
            send=lambda runs, again: sender.send(runs, self._note, again=again),
            look=self._look,
        )
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Start drawing, sending, and renewing leases."""
        self._held.callback(self._release)
        self._held.enter_context(self._display)
        self._held.enter_context(self._leases_renewed())
        self._held.enter_context(self._delivery)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send what is left, stop drawing and give back what is still leased."""
        self._held.__exit__(kind, error, trace)

    @property
    def stored(self) -> Stored:
        """What the store has by now."""
        self._delivery.drain()
        return Stored(self._runs)

    @property
    def failed_keys(self) -> set[str]:
        """The keys of the runs that failed in this call."""
        self._delivery.drain()
        return {each.record.run.key for each in self.failed}

    def finished(self, study: str) -> dict[str, str]:
        """Return key → MLflow run id of every finished run of a study."""
        runs = self.stored.runs[study].items()
        return {key: run_id for key, (run_id, status) in runs if status == FINISHED}

    def expect(self, runs: Sequence[Run]) -> None:
        """Draw these runs too, which are asked for after what came."""
        self._display.expect(runs=len(runs), cells=len(groups(runs, cell_of)))

    def lease(self, runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
        """Lease the cells of these runs; return the runs that are ours, and those that others hold.

        Of a cell that anybody held before, the store may have more than was read of it.
        """
        wanted = list(runs)
        mine = self._delivery.ask(lambda: self._taken_of(wanted))
        # In the order in which they came: that of a stack's runs is seen in their last digits.
        leased = without_finished((run for run in wanted if cell_of(run) in mine), self.stored)
        self._leased = {(run.study, run.cell, run.replicate): run for run in leased}
        self._open = {cell: {run.key for run in of} for cell, of in groups(leased, cell_of).items()}
        for study, cell in mine - self._open.keys():
            self._queues[study].finish(cell)
        return list(leased), [run for run in wanted if cell_of(run) not in mine]

    def _taken_of(self, wanted: Sequence[Run]) -> set[Cell]:
        send_what_was_left(self._call)
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
        return mine

    def settle(self, wanted: Iterable[Run]) -> None:
        """Close the cells that runners left open who died, but those that are wanted."""
        cells = groups(wanted, cell_of)
        for study, queue in self._queues.items():
            queue.settle([cell for name, cell in cells if name == study])

    def still_missing(self, held: list[Run], waiting: list[Run]) -> tuple[Run, ...]:
        """Return what another runner held and has not finished meanwhile, and what waits for it."""
        self._delivery.drain()
        held, self._taken = [*held, *self._taken], []
        if not held:
            return ()
        self._delivery.ask(self._read_again)
        return without_finished([*held, *waiting], self.stored)

    def keep(self, records: Sequence[Record]) -> None:
        """Write down records that came together; they are sent to the store meanwhile.

        Errors: ``ConfigurationError`` for a metric that no module logs, with nothing written.
        """
        for record in records:
            study = self._studies[record.run.study]
            validate_metrics(record, (study.metric, *study.further))
        told = [
            (each, reported_value(each, self._studies[each.run.study].metric)) for each in records
        ]
        for name, record in zip(self._delivery.add(told), records, strict=True):
            if record.status is Status.FAILED:
                self._raised[name] = record
        self._display.advance(records)
        self._call.watcher.kept(records)

    def _note(self, sent: Sequence[tuple[Spooled, str]], others: Sequence[Spooled]) -> None:
        """Note what the store has, and what is another's to keep; close the cells that it ends."""
        for run, run_id in sent:
            self._runs[run.study][run.key] = run_id, run.entry.status
            self._open[run.study, run.cell].discard(run.key)
            if record := self._raised.get(run.entry.run_id):
                self.failed.append(Failed(record, self.tracker.place(run_id, File.TRACEBACK)))
                del self._raised[run.entry.run_id]
        self._taken += [self._leased[run.study, run.cell, run.replicate] for run in others]
        cells = {(run.study, run.cell) for run, _ in sent}
        ended = [cell for cell in cells if not self._open[cell]]
        for study, cell in ended:
            self._queues[study].finish(cell)
        self._display.complete(len(ended))

    def _read_again(self) -> None:
        found = stored_runs(self._call.tracking_uri, list(self._studies))
        self._runs = {study: dict(runs) for study, runs in found.items()}

    def _look(self) -> None:
        self.tracker.look()
        for queue in self._queues.values():
            queue.renew()

    def _release(self) -> None:
        # What was not sent stays leased: by that it is known whose it is.
        for queue in self._queues.values() if self._delivery.is_idle else ():
            queue.release()

    @contextmanager
    def _leases_renewed(self) -> Iterator[None]:
        """Renew the leases while the body runs, so that others see that they are alive."""
        stopped = threading.Event()

        def beat() -> None:
            while not stopped.wait(BEAT):
                self._delivery.watch()
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


def _queue(call: Invocation, entry: Declared) -> Queue:
    from ablation_lab.runner.queue import Queue

    levels = {factor.name: factor.levels for factor in entry.study.factors}
    name = f"{entry.study.name} ({call.profile})"
    higher = entry.study.metric.higher_is_better
    return Queue(call.queue_uri, name, levels, higher_is_better=higher)


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


def reported_value(record: Record, metric: Metric) -> float:
    """Return what the queue keeps of a run: the study's metric, a curve's end where it is one."""
    curve = record.curves.get(metric.name, ())
    return record.metrics.get(metric.name, curve[-1][1] if curve else math.nan)
