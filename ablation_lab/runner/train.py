"""Carrying out a plan: cells are leased, stacks trained, records kept as they come.

Comes in: a plan. Goes out: what the store has then, and which runs failed. Cells that another
runner holds are waited for; only then is the store read again. Ensembles are combined when their
members are there. A run that raised is a defect, of the lab or of a user's own module. One that its
device has no room for is a setting that the user can mend, found only where the device is: the
other cells keep their results, and the call ends as any other that was asked for what cannot be.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from ablation_lab.engines.contract import Done, Engine
from ablation_lab.output import say
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.looks import asked_next
from ablation_lab.runner.planning import (
    Planned,
    Stored,
    cell_of,
    groups,
    stacks_of,
)
from ablation_lab.runner.verifying import Looked, set_up, verify_data, verify_modules
from ablation_lab.runner.watcher import Watcher
from ablation_lab.store.leases import any_left
from ablation_lab.store.places import validate_places
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, Stack
from ablation_lab.training.ensemble import combine_members
from ablation_lab.training.execute import by_cell, execute
from ablation_lab.training.fault import described_crash
from ablation_lab.training.plan import estimated, limit_of

if TYPE_CHECKING:
    # MLflow and Optuna take seconds to import, which a call with nothing to do need not wait for.
    from ablation_lab.runner.results import Results

# Between looks at cells that another runner holds, in seconds.
PATIENCE = 2.0


@dataclass(frozen=True)
class Failed:
    """A run that failed, and where its traceback lies."""

    record: Record
    traceback: str


@dataclass(frozen=True)
class Trained:
    """What the store has when a call has trained what it wanted, and the runs that failed."""

    stored: Stored
    failed: tuple[Failed, ...] = ()

    @property
    def status(self) -> int:
        """The exit status: 0 where nothing failed, 2 where a run did not fit, else 1."""
        return max((1 if each.record.fits else 2 for each in self.failed), default=0)


def train(call: Invocation, planned: Planned, *, until: float) -> Trained:
    """Carry the plan out; nothing is handed out after ``until`` (of the monotonic clock).

    Errors: ``ConfigurationError``, ``DataError`` and ``StoreError`` before anything is written.
    """
    wanted = planned.missing.wanted
    if not wanted:
        settle(call, planned)
        return Trained(planned.missing.stored)
    validate_places(call)
    verify_data(call, wanted)
    set_up(call, wanted)
    with call.engine.start(call.plugins) as engine:
        # The first worker imports torch meanwhile: seconds in each of the two processes.
        with _imported_meanwhile("ablation_lab.runner.results"):
            looked = verify_modules(stacks_of(call, wanted, engine.accelerators), engine)
        for said in looked.unlike.values():
            say(f"note: {said}")
        from ablation_lab.runner.results import Results

        # Only now: a call that is refused leaves no store behind.
        with Results(call, planned.missing) as results:
            results.settle(planned.missing.every)
            tried = set[tuple[str, str]]()
            while wanted:
                _train_all(call, wanted, engine, results, looked, until=until)
                tried |= {(run.study, run.key) for run in wanted}
                goes_on = planned.missing.later and time.monotonic() <= until
                wanted = asked_next(call, planned.missing, results, tried) if goes_on else ()
    return Trained(results.stored, tuple(results.failed))


def settle(call: Invocation, planned: Planned) -> None:
    """Close what a runner left open that was killed when its last result had been written."""
    if any_left(call.queue_uri):
        from ablation_lab.runner.results import Results

        with Results(call, planned.missing) as results:
            results.settle(planned.missing.every)


def _train_all(
    call: Invocation,
    wanted: tuple[Run, ...],
    engine: Engine,
    results: Results,
    looked: Looked,
    *,
    until: float,
) -> None:
    """Train what can be leased, until nothing is left that another runner holds."""
    left = wanted
    while left:
        leased, held = results.lease(left)
        # Two studies may declare the same run: it is trained once and kept in both.
        by_key = groups(leased, lambda run: run.key)
        stacks = stacks_of(call, leased, engine.accelerators, looked.alone)
        while stacks:
            again: list[Stack] = []
            limit = partial(limit_of, accelerators=engine.accelerators)
            jobs = _in_time(stacks, until, call.watcher)
            for together in engine.map_together(execute, jobs, cost=estimated, limit=limit):
                records: list[Record] = []
                for done in together:
                    # A crash of one cell takes those that share its stack with it.
                    if done.result is None and len(parts := by_cell(done.job)) > 1:
                        again += parts
                    else:
                        records += _records(done)
                told = map(looked.told, records)
                results.keep([twin for each in told for twin in _twins(each, by_key)])
            stacks = again
        waiting = _combine(call, [run for run in leased if run.is_ensemble], results)
        left = results.still_missing(held, waiting)
        if left:
            time.sleep(PATIENCE)


def _in_time(stacks: Iterable[Stack], until: float, watcher: Watcher) -> Iterator[Stack]:
    """Yield stacks until the time for handing out work is over; tell of each."""
    for stack in stacks:
        if time.monotonic() > until:
            return
        watcher.began(stack)
        yield stack


def _records(done: Done[Stack, list[Record]]) -> list[Record]:
    """Return the records of a stack; where its worker gave nothing back they say why."""
    if done.result is not None:
        return done.result
    stack, trace = done.job, done.traceback or done.error
    return [
        Record(
            run=run,
            status=Status.FAILED,
            trainer=stack.trainer,
            reason=described_crash(trace, run.config, stack.plugins, done.error),
            error=trace,
        )
        for run in stack.runs
    ]


def _twins(record: Record, by_key: Mapping[str, list[Run]]) -> Iterator[Record]:
    """Yield the record of every run of the same key."""
    return (replace(record, run=run) for run in by_key[record.run.key])


def _combine(call: Invocation, ensembles: list[Run], results: Results) -> list[Run]:
    """Combine members from their stored logits; return the ensembles that wait for members.

    An ensemble waits while members of it are still to be trained; it fails if a member failed.
    """
    combined, waiting = [], []
    for run in ensembles:
        finished = results.finished(run.study)
        if set(run.members) - set(finished) <= results.failed_keys:
            combined.append(combine_members(run, finished, results.tracker, call.data_root))
        else:
            waiting.append(run)
    results.keep(combined)
    return waiting


@contextmanager
def _imported_meanwhile(*modules: str) -> Iterator[None]:
    """Import modules in a thread while the body runs."""
    thread = threading.Thread(target=lambda: [import_module(name) for name in modules])
    thread.start()
    try:
        yield
    finally:
        thread.join()


def failures(failed: Iterable[Failed]) -> list[str]:
    """Return one line for each reason: how many runs, the first one's name and its traceback.

    Those that their device has no room for have one line for each study: each says another size.
    """
    failed = sorted(failed, key=lambda each: (*cell_of(each.record.run), each.record.run.replicate))
    raised = groups(
        (f for f in failed if f.record.fits), lambda f: (f.record.run.study, f.record.reason)
    )
    too_large = groups((f for f in failed if not f.record.fits), lambda f: f.record.run.study)
    return [
        *(f"failed: {_runs(group)}: {_reason(group)}" for group in raised.values()),
        *(f"error: {_cells(group)}: {_reason(group)}" for group in too_large.values()),
    ]


def _runs(group: list[Failed]) -> str:
    run = group[0].record.run
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return f"{run.study} {run.cell} replicate {run.replicate}{more}"


def _cells(group: list[Failed]) -> str:
    first, others = group[0].record.run, {each.record.run.cell for each in group[1:]}
    more = len(others - {first.cell})
    also = f" and {more} more cell{'s' if more > 1 else ''}" if more else ""
    return f"study/{first.study}.yaml: {first.cell}{also}"


def _reason(group: list[Failed]) -> str:
    return f"{group[0].record.reason} (traceback: {group[0].traceback})"
