"""The step that tunes nuisance factors, before anything of their studies is declared for good.

Comes in: the studies, declared with the first levels. Goes out: the studies as declared, with the
tuned levels in the configuration, and so in the key, of every run. What is tuned already is read,
not done again. Trials cost hours, so whatever a later step would refuse of any study is looked at
before the first of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ablation_lab.output import say
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.planning import stacks_of
from ablation_lab.runner.verifying import verify_data, verify_modules
from ablation_lab.store.connect import is_absent
from ablation_lab.store.places import validate_places
from ablation_lab.study.declare import Declared, declare
from ablation_lab.study.grid import Cell, expand
from ablation_lab.study.run import Run

if TYPE_CHECKING:
    # Optuna takes a second to import, which studies without nuisance factors need not wait for.
    from ablation_lab.runner.tuning import Tuner


def tune(call: Invocation, declared: tuple[Declared, ...], *, until: float) -> tuple[Declared, ...]:
    """Return the studies as declared after tuning the nuisance factors of those that have any.

    Only the cells that this call wants are tuned, and no trial begins after ``until`` (of the
    monotonic clock).
    """
    known = with_choices(call, declared)
    missing = {entry.study.name: untuned(call, entry) for entry in known}
    if not any(missing.values()):
        return known
    validate_places(call)
    for entry in known:
        for line in tuning_lines(call, entry):
            say(line)
    if call.now.seconds:
        _tune(call, declared, missing, until=until)
    return with_choices(call, declared)


def with_choices(call: Invocation, declared: tuple[Declared, ...]) -> tuple[Declared, ...]:
    """Return the studies as declared with the levels that are tuned by now."""
    # A queue that does not exist yet is not created for a call that may be refused.
    tuners = {} if is_absent(call.queue_uri) else _tuners(call, declared)
    return tuple(
        _chosen(entry, tuners.get(entry.study.name)) if entry.study.nuisances else entry
        for entry in declared
    )


def untuned(call: Invocation, entry: Declared) -> list[str]:
    """Return the names of the cells that are still to be tuned, of those that this call wants."""
    wants = call.now.wants_cell
    return [c.name for c in entry.cells if c.name in entry.untuned and wants(c.factors)]


def tuning_lines(call: Invocation, entry: Declared) -> Iterator[str]:
    """Yield the line that says what is still to be tuned of a study, if anything is."""
    budget, cells = entry.study.budget(call.profile).tuning, untuned(call, entry)
    if cells and budget is not None:
        names = ", ".join(factor.name for factor in entry.study.nuisances)
        yield (
            f"{entry.study.name}: tuning {names}, cells: {len(cells)}, "
            f"trials of each: {budget.trials}, replicates of a trial: {budget.replicates}"
        )


def level_by_level(call: Invocation, entry: Declared) -> Iterator[Cell]:
    """Yield every cell with its nuisance factors at their first levels, at their second, ..."""
    factors = entry.study.nuisances
    for index in range(max((len(factor.levels) for factor in factors), default=0)):
        labels = {f.name: f.levels[min(index, len(f.levels) - 1)] for f in factors}
        text = ", ".join(f"{name}={label}" for name, label in labels.items())
        choices = {cell.name: labels for cell in entry.cells}
        for cell in expand(entry.study, call.profile, choices=choices):
            yield replace(cell, name=f"{cell.name}; {text}")


def _tuners(call: Invocation, declared: Iterable[Declared]) -> dict[str, Tuner]:
    tuning = [entry.study for entry in declared if entry.study.nuisances]
    if not tuning:
        return {}
    from ablation_lab.runner.tuning import Tuner

    return {study.name: Tuner(call.queue_uri, study, call.profile) for study in tuning}


def _chosen(entry: Declared, tuner: Tuner | None) -> Declared:
    choices = tuner.choices() if tuner else {}
    made = declare(entry.study, entry.profile, choices=choices)
    cells = {cell.name for cell in made.cells if not cell.reason}
    return replace(made, untuned=frozenset(cells - set(choices)))


def _tune(
    call: Invocation,
    declared: tuple[Declared, ...],
    missing: Mapping[str, list[str]],
    *,
    until: float,
) -> None:
    runs = [run for entry in declared for run in _first_runs(call, entry)]
    verify_data(call, runs)
    with call.engine.start(call.plugins) as engine:
        verify_modules(stacks_of(call, runs, None), engine)
        for name, tuner in _tuners(call, declared).items():
            tuner.tune(
                engine,
                missing[name],
                data_root=call.workers_root,
                plugins=call.plugins,
                goes_on=lambda: time.monotonic() < until,
            )


def _first_runs(call: Invocation, entry: Declared) -> Iterator[Run]:
    """Yield a run of every cell that trains; where something is tuned, with each of its levels."""
    first = {run.cell: run for run in reversed(entry.runs) if not run.is_ensemble}
    yield from (run for run in first.values() if call.now.wants(run))
    for cell in level_by_level(call, entry):
        run = first.get(cell.name.partition("; ")[0])
        if run is not None and call.now.wants(run):
            key = f"{entry.study.name} {cell.name}"  # any will do that no other run has
            yield replace(run, cell=cell.name, config=cell.config, key=key)
