"""The runner: what is missing, who trains it, and where the results go.

One pass over the declared runs of all studies: compare with the store, lease the cells that miss
runs, hand stacks to the engine, write records as they come, combine ensembles when their members
are there.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ablation_lab.engines.contract import Done, Engine
from ablation_lab.engines.local import LocalEngine
from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.declare import Declared
from ablation_lab.study.metric import METRICS, Metric
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.ensemble import combine_members
from ablation_lab.training.execute import execute
from ablation_lab.training.plan import estimated
from ablation_lab.training.validate import validate_stack

if TYPE_CHECKING:
    # MLflow and Optuna take seconds to import, which a call with nothing to do need not wait for.
    from ablation_lab.runner.progress import Display
    from ablation_lab.runner.queue import Queue
    from ablation_lab.store.write import Tracker


# Seconds between renewals of the leases, well below the queue's EXPIRY.
RENEWAL = 30.0


@dataclass(frozen=True)
class Pending:
    """What the store does not have yet: training runs, and ensembles of members."""

    training: tuple[Run, ...]
    ensembles: tuple[Run, ...]

    def __len__(self) -> int:
        """Return the number of missing runs."""
        return len(self.training) + len(self.ensembles)

    def only(self, wanted: Callable[[Run], bool]) -> Pending:
        """Keep the runs for which ``wanted`` holds."""
        return Pending(
            training=tuple(run for run in self.training if wanted(run)),
            ensembles=tuple(run for run in self.ensembles if wanted(run)),
        )


def pending(declared: Iterable[Declared], finished: dict[str, dict[str, str]]) -> Pending:
    """Return the declared runs that have no finished run in the store.

    ``finished`` maps study → key → MLflow run id.
    """
    missing = [
        run
        for study in declared
        for run in study.runs
        if run.key not in finished.get(study.study.name, {})
    ]
    return Pending(
        training=tuple(run for run in missing if not run.is_ensemble),
        ensembles=tuple(run for run in missing if run.is_ensemble),
    )


def once(runs: Iterable[Run]) -> list[Run]:
    """Keep one of the runs that have the same key, one that keeps its logits if there is one."""
    unique: dict[str, Run] = {}
    for run in runs:
        if run.key not in unique or (run.keep_logits and not unique[run.key].keep_logits):
            unique[run.key] = run
    return list(unique.values())


def verify_modules(stacks: Iterable[Stack], engine: Engine) -> None:
    """Build one module of every cell in a worker, before anything trains.

    An engine whose jobs wait in a queue is not asked: what is wrong is said at once.
    Errors: ``ConfigurationError`` with the first thing that is wrong.
    """
    first: dict[tuple[str, str], Stack] = {}
    for stack in stacks:
        if stack.trainer is TrainerName.COMPUTED:
            continue
        for run in stack.runs:
            first.setdefault((run.study, run.cell), replace(stack, runs=(run,)))
    with LocalEngine(workers=1) if engine.queues else nullcontext(engine) as nearby:
        for done in nearby.map(validate_stack, first.values()):
            if done.error or done.result:
                raise ConfigurationError(done.error or str(done.result))


class Driver:
    """Carries out the pending runs of one pass and keeps count."""

    def __init__(
        self,
        *,
        tracker: Tracker,
        queues: Mapping[str, Queue],
        metrics: Mapping[str, tuple[Metric, ...]],
        display: Display,
        until: float = math.inf,
    ) -> None:
        self.failed: list[tuple[Record, str]] = []
        self._tracker = tracker
        self._queues = queues
        self._metrics = metrics
        self._display = display
        self._until = until
        self._open: Counter[tuple[str, str]] = Counter()
        self._twins: dict[str, list[Run]] = {}

    def lease(self, work: Pending, finished: Callable[[], dict[str, dict[str, str]]]) -> Pending:
        """Lease every cell that misses runs; return the runs that no other runner holds or did.

        ``finished`` is asked after leasing: until then another runner may have done some of them.
        """
        held = set()
        for study, queue in self._queues.items():
            runs = [run for run in [*work.training, *work.ensembles] if run.study == study]
            cells = {run.cell: run.factors for run in runs}
            held |= {(study, cell) for cell in queue.lease(cells)}
        done = finished()
        mine = work.only(
            lambda run: (run.study, run.cell) not in held and run.key not in done[run.study]
        )
        self._open.update((run.study, run.cell) for run in [*mine.training, *mine.ensembles])
        for run in mine.training:
            self._twins.setdefault(run.key, []).append(run)
        return mine

    def train(self, stacks: Iterable[Stack], engine: Engine) -> None:
        """Train stacks on the engine; a stack's records are written as soon as they are there.

        Runs with equal keys, which two studies may declare, are trained once and tracked in both.
        """
        for done in engine.map(execute, self._in_time(stacks), cost=estimated):
            records = done.result
            if records is None:
                records = [_lost(run, done) for run in done.job.runs]
            self._keep(
                [
                    replace(record, run=twin)
                    for record in records
                    for twin in self._twins.get(record.run.key, [record.run])
                ]
            )

    def _in_time(self, stacks: Iterable[Stack]) -> Iterator[Stack]:
        """Yield stacks until the time for handing out work is over."""
        for stack in stacks:
            if time.monotonic() > self._until:
                return
            yield stack

    @contextmanager
    def leases_renewed(self) -> Iterator[None]:
        """Renew the leases while the body runs, so that other hosts see that they are alive."""
        stopped = threading.Event()

        def beat() -> None:
            while not stopped.wait(RENEWAL):
                for queue in self._queues.values():
                    queue.renew()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def combine(self, ensembles: Iterable[Run], data_root: str | None) -> None:
        """Combine the members of each ensemble from their stored logits.

        An ensemble waits, and stays missing, while members of it are still to be trained; it fails
        if a member failed.
        """
        stored: dict[str, dict[str, str]] = {}
        failed = {record.run.key for record, _ in self.failed}
        combined: list[Record] = []
        for run in ensembles:
            if run.study not in stored:
                stored[run.study] = self._tracker.finished(run.study)
            missing = set(run.members) - set(stored[run.study])
            if missing <= failed:
                combined.append(combine_members(run, stored[run.study], self._tracker, data_root))
        if combined:
            self._keep(combined)

    def release(self) -> None:
        """Give back what is still leased."""
        for queue in self._queues.values():
            queue.release()

    def _keep(self, records: Sequence[Record]) -> None:
        """Track records that came together, tell the queues, and close the cells that they end.

        Errors: ``ConfigurationError`` for a metric that no module logs, with nothing written.
        """
        for record in records:
            validate_metrics(record, self._metrics[record.run.study])
        run_ids = self._tracker.write(records)
        values: dict[tuple[str, str], dict[int, float]] = {}
        for record in records:
            run = record.run
            value = _reported(record, self._queues[run.study].metric)
            values.setdefault((run.study, run.cell), {})[run.replicate] = value
        for (study, cell), of_replicates in values.items():
            self._queues[study].report(cell, of_replicates)
            self._open[study, cell] -= len(of_replicates)
            if not self._open[study, cell]:
                self._queues[study].finish(cell)
        self.failed += [
            (record, run_id)
            for record, run_id in zip(records, run_ids, strict=True)
            if record.status is Status.FAILED
        ]
        done = sum(not self._open[cell] for cell in values)
        self._display.advance(records, cells_done=done)


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


def _lost(run: Run, done: Done[Stack, list[Record]]) -> Record:
    """Return the record of a run whose worker gave nothing back."""
    return Record(
        run=run,
        status=Status.FAILED,
        trainer=done.job.trainer,
        reason=done.error,
        error=done.traceback or done.error,
    )
