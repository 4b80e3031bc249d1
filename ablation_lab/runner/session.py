"""One invocation from start to end: preflight, training, ensembles, report."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from ablation_lab.data import verify
from ablation_lab.output import say
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.failures import failures, misfits, status
from ablation_lab.runner.nuisances import tuned
from ablation_lab.runner.provenance import provenance
from ablation_lab.runner.reporting import Report
from ablation_lab.runner.schedule import Pending, once, pending
from ablation_lab.store.places import validate_places
from ablation_lab.store.runs import finished_runs, stored_runs
from ablation_lab.study.declare import Declared, declaration_of, declare
from ablation_lab.study.names import check_names
from ablation_lab.study.references import references_text
from ablation_lab.study.run import Run, Stack
from ablation_lab.training.accelerators import Accelerators
from ablation_lab.training.plan import estimated, plan

# Between looks at cells that another runner holds, in seconds.
PATIENCE = 2.0


def carry_out(invocation: Invocation) -> int:
    """Train what is missing, write the report if anything in it changed, return the status."""
    until = time.monotonic() + invocation.now.seconds
    declared = [declare(study, invocation.profile) for study in invocation.studies]
    for entry in declared:
        check_names(entry)
    names = [entry.study.name for entry in declared]
    stored = stored_runs(invocation.tracking_uri, names)
    declared = tuned(invocation, declared, until=until)
    work = pending(declared, finished_runs(stored))
    if len(work) and not invocation.dry_run:
        validate_places(invocation)
    if invocation.adopt and len(work) and not invocation.dry_run:
        _adopt(invocation, work)
        stored = stored_runs(invocation.tracking_uri, names)
        work = pending(declared, finished_runs(stored))
    # A cell that is still to be tuned has other runs than those that it will have.
    untuned = {(entry.study.name, cell) for entry in declared for cell in entry.untuned}
    open_cells = set() if invocation.dry_run else untuned
    wanted = work.only(
        lambda run: invocation.now.wants(run) and (run.study, run.cell) not in open_cells
    )
    accelerators = invocation.engine.accelerators
    stacks = _plan(invocation, wanted.training, accelerators)
    workers = invocation.engine.expected_workers if len(wanted) else None
    seconds = sum(estimated(stack, accelerators) for stack in stacks)
    say(preflight(declared, work, wanted, seconds=seconds, workers=workers))
    if invocation.dry_run:
        for line in describe(stacks, wanted.ensembles):
            say(line)
        if stacks and invocation.engine.unknown:
            say(f"  planned {invocation.engine.unknown}")
        return 0
    ended = _train(invocation, declared, wanted, until=until) if len(wanted) else 0
    if len(wanted):
        stored = stored_runs(invocation.tracking_uri, names)
    if invocation.reports:
        report = Report(
            invocation.tracking_uri,
            invocation.profile,
            invocation.reports,
            references=references_text(invocation.references),
            conf=invocation.conf if invocation.every_study else None,
        )
        if not report.is_current(declared, stored):
            validate_places(invocation)
            _declare(invocation, declared)
            if not report.write(declared, stored):
                return ended or 1
        say(f"report: {report.index}")
    return ended


def _adopt(invocation: Invocation, work: Pending) -> None:
    """Take over the missing runs that the store has from earlier code, if they come out alike."""
    trained = [run for run in work.training if not run.is_check]  # a check is computed at once
    for name in sorted({run.config["data"]["name"] for run in trained}):
        verify(name, invocation.root)
    from ablation_lab.runner.rekey import adopt
    from ablation_lab.store.archive import Archive

    with invocation.engine.start(invocation.plugins) as engine:
        for outcome in adopt(
            [*trained, *work.ensembles],
            Archive(invocation.tracking_uri),
            engine,
            data_root=invocation.workers_root,
            plugins=invocation.plugins,
        ):
            say(outcome.line)


def preflight(
    declared: list[Declared],
    work: Pending,
    wanted: Pending,
    *,
    seconds: float,
    workers: int | None,
) -> str:
    """Return the line that says what there is, what is done, and about how long it takes.

    ``seconds`` are those of all workers together.
    """
    cells = sum(not cell.reason for entry in declared for cell in entry.cells)
    runs = sum(len(entry.runs) for entry in declared)
    line = f"{_count(len(declared), 'study', 'studies')}, {_count(cells, 'cell', 'cells')}, "
    line += f"{_count(runs, 'run', 'runs')}: {runs - len(work)} done"
    if not len(work):
        return f"{line}, nothing to do"
    minutes = seconds / (workers or 1) / 60
    about = "under a minute" if minutes < 1 else f"about {minutes:.0f} min"
    later = f", {len(work) - len(wanted)} left for later" if len(wanted) < len(work) else ""
    # A cluster says only when it is asked to start how many workers it has room for.
    who = f"on {_count(workers, 'worker', 'workers')}" if workers else "of one worker's time"
    return f"{line}, {len(wanted)} to do ({about} {who}){later}"


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def describe(stacks: list[Stack], ensembles: Sequence[Run]) -> list[str]:
    """Return one line for each way in which runs are trained or combined, and why."""
    groups = Counter(
        (stack.trainer.value, len(stack.runs), stack.reason, stack.runs[0].study)
        for stack in stacks
    )
    return [
        f"  {study}: {count} × {trainer}, {size} run{'s' if size > 1 else ''} each: {reason}"
        for (trainer, size, reason, study), count in groups.items()
    ] + [
        f"  {study}: {count} × combined: from what other runs predict, without training"
        for study, count in Counter(run.study for run in ensembles).items()
    ]


def _plan(
    invocation: Invocation, runs: tuple[Run, ...], accelerators: Accelerators | None
) -> list[Stack]:
    return plan(
        once(runs),
        data_root=invocation.workers_root,
        plugins=invocation.plugins,
        accelerators=accelerators,
        devices=invocation.engine.devices_per_run,
    )


def _train(invocation: Invocation, declared: list[Declared], work: Pending, *, until: float) -> int:
    """Carry out the pending runs; return the exit status of a call in which they ended so."""
    used = {run.config["data"]["name"] for run in work.training if "data" in run.config}
    for name in sorted(used):
        verify(name, invocation.root)
    # Nothing of this is imported when there is nothing to do.
    from ablation_lab.runner.progress import Display
    from ablation_lab.runner.schedule import Driver, verify_modules

    cells = {(run.study, run.cell) for run in [*work.training, *work.ensembles]}
    with invocation.engine.start(invocation.plugins) as engine:
        # The first worker imports torch meanwhile: seconds in each of the two processes.
        with _imported_meanwhile("ablation_lab.store", "ablation_lab.runner.queue"):
            stacks = _plan(invocation, work.training, engine.accelerators)
            verify_modules(stacks, engine)
        from ablation_lab.runner.queue import Queue
        from ablation_lab.store.write import Tracker

        # Only now: a call that is refused leaves no store behind.
        queues = {
            entry.study.name: Queue(
                invocation.queue_uri,
                f"{entry.study.name} ({invocation.profile})",
                {f.name: f.levels for f in entry.study.factors},
                entry.study.metric,
            )
            for entry in declared
        }
        tracker = Tracker(invocation.tracking_uri, invocation.artifacts)
        for entry in declared:
            tracker.cleanup(entry.study.name)
        _declare(invocation, declared)
        with Display(runs=len(work), cells=len(cells)) as display:
            driver = Driver(
                tracker=tracker,
                queues=queues,
                metrics={
                    entry.study.name: (entry.study.metric, *entry.study.further)
                    for entry in declared
                },
                display=display,
                until=until,
            )
            try:
                while len(work):
                    mine = driver.lease(work, lambda: _finished(invocation, declared))
                    with driver.leases_renewed():
                        stacks = _plan(invocation, mine.training, engine.accelerators)
                        driver.train(stacks, engine)
                        driver.combine(mine.ensembles, invocation.data_root)
                    work = _held_by_others(invocation, declared, mine, work)
                    if len(work):
                        time.sleep(PATIENCE)
            finally:
                driver.release()
    for line in [*failures(driver.failed), *misfits(driver.failed)]:
        print(line, file=sys.stderr)  # noqa: T201 - what a user must know
    return status(driver.failed)


@contextmanager
def _imported_meanwhile(*modules: str) -> Iterator[None]:
    """Import modules in a thread while the body runs."""
    thread = threading.Thread(target=lambda: [import_module(name) for name in modules])
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _held_by_others(
    invocation: Invocation, declared: list[Declared], mine: Pending, work: Pending
) -> Pending:
    """Return what another runner held and has not finished in the meantime."""
    if len(mine) == len(work):
        return Pending((), ())
    finished = _finished(invocation, declared)
    tried = {run.key for run in [*mine.training, *mine.ensembles]}
    return work.only(lambda run: run.key not in tried and run.key not in finished[run.study])


def _finished(invocation: Invocation, declared: list[Declared]) -> dict[str, dict[str, str]]:
    names = [entry.study.name for entry in declared]
    return finished_runs(stored_runs(invocation.tracking_uri, names))


def _declare(invocation: Invocation, declared: list[Declared]) -> None:
    from ablation_lab.store.write import Tracker

    tracker = Tracker(invocation.tracking_uri, invocation.artifacts)
    if invocation.references:
        tracker.keep_references(references_text(invocation.references))
    for entry in declared:
        tracker.declare(
            entry.study.name,
            invocation.profile,
            declaration_of(entry, provenance()).model_dump(mode="json"),
        )
