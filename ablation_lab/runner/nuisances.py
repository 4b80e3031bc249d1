"""Studies whose nuisance factors are tuned, before anything of them is declared for good.

Comes in: an invocation and its studies, declared with the first levels. Goes out: the studies as
declared, with the tuned levels in the configuration, and so in the key, of every run. What is tuned
already is read, not done again. Trials cost hours, so whatever a later step would refuse of any
study is looked at before the first of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ablation_lab.data import verify
from ablation_lab.output import say
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.schedule import verify_modules
from ablation_lab.store.connect import is_absent
from ablation_lab.store.places import validate_places
from ablation_lab.study.declare import Declared, declare
from ablation_lab.study.grid import Cell, Choices, expand
from ablation_lab.study.names import check_names
from ablation_lab.study.run import Run
from ablation_lab.training.plan import plan

if TYPE_CHECKING:
    # Optuna takes a second to import, which studies without nuisance factors need not wait for.
    from ablation_lab.runner.tuning import Tuner


def tuned(invocation: Invocation, declared: list[Declared], *, until: float) -> list[Declared]:
    """Return the studies as declared after tuning the nuisance factors of those that have any.

    Only the cells that this call wants are tuned, and no trial begins after ``until`` (of the
    monotonic clock). A dry run tunes nothing and declares the first levels where nothing is tuned.
    """
    tuning = [entry for entry in declared if entry.study.budget(invocation.profile).tuning]
    if not tuning:
        return declared
    for entry in tuning:
        check_names(replace(entry, cells=tuple(_level_by_level(invocation, entry))))
    if not invocation.dry_run:
        validate_places(invocation)
    # A queue that does not exist yet is not created for a call that may be refused.
    tuners = {} if is_absent(invocation.queue_uri) else _tuners(invocation, tuning)
    missing = {e.study.name: _open(invocation, e, _choices(tuners, e)) for e in tuning}
    if invocation.dry_run:
        for entry in tuning:
            _say_what_is_tuned(invocation, entry, missing[entry.study.name])
    elif any(missing.values()):
        _tune(invocation, declared, missing, until=until)
        tuners = _tuners(invocation, tuning)
    return [
        _with(invocation, entry, _choices(tuners, entry)) if entry.study.name in missing else entry
        for entry in declared
    ]


def _tuners(invocation: Invocation, tuning: list[Declared]) -> dict[str, Tuner]:
    from ablation_lab.runner.tuning import Tuner

    return {
        entry.study.name: Tuner(invocation.queue_uri, entry.study, invocation.profile)
        for entry in tuning
    }


def _choices(tuners: Mapping[str, Tuner], entry: Declared) -> Choices:
    tuner = tuners.get(entry.study.name)
    return {} if tuner is None else tuner.choices()


def _tune(
    invocation: Invocation,
    declared: list[Declared],
    missing: Mapping[str, list[str]],
    *,
    until: float,
) -> None:
    runs = [run for entry in declared for run in _first_runs(invocation, entry)]
    for name in sorted({run.config["data"]["name"] for run in runs if "data" in run.config}):
        verify(name, invocation.root)
    with invocation.engine.start(invocation.plugins) as engine:
        stacks = plan(
            runs,
            data_root=invocation.workers_root,
            plugins=invocation.plugins,
            devices=invocation.engine.devices_per_run,
        )
        verify_modules(stacks, engine)
        tuning = [entry for entry in declared if missing.get(entry.study.name)]
        for entry, tuner in zip(tuning, _tuners(invocation, tuning).values(), strict=True):
            _say_what_is_tuned(invocation, entry, missing[entry.study.name])
            tuner.tune(
                engine,
                missing[entry.study.name],
                data_root=invocation.workers_root,
                plugins=invocation.plugins,
                goes_on=lambda: time.monotonic() < until,
            )


def _with(invocation: Invocation, entry: Declared, choices: Choices) -> Declared:
    made = declare(entry.study, invocation.profile, choices=choices)
    untuned = {cell.name for cell in entry.cells if not cell.reason} - set(choices)
    return replace(made, untuned=frozenset(untuned))


def _open(invocation: Invocation, entry: Declared, choices: Choices) -> list[str]:
    """Return the names of the cells that are still to be tuned, of those that this call wants."""
    return [
        cell.name
        for cell in entry.cells
        if not cell.reason and cell.name not in choices and invocation.now.wants_cell(cell.factors)
    ]


def _say_what_is_tuned(invocation: Invocation, entry: Declared, cells: list[str]) -> None:
    budget = entry.study.budget(invocation.profile).tuning
    if cells and budget is not None:
        names = ", ".join(factor.name for factor in entry.study.nuisances)
        say(
            f"{entry.study.name}: tuning {names}, cells: {len(cells)}, "
            f"trials of each: {budget.trials}, replicates of a trial: {budget.replicates}"
        )


def _first_runs(invocation: Invocation, entry: Declared) -> Iterator[Run]:
    """Yield a run of every cell that trains; where something is tuned, with each of its levels."""
    first = {run.cell: run for run in reversed(entry.runs) if not run.is_ensemble}
    yield from (run for run in first.values() if invocation.now.wants(run))
    for cell in _level_by_level(invocation, entry):
        run = first.get(cell.name.partition("; ")[0])
        if run is not None and invocation.now.wants(run):
            yield replace(run, cell=cell.name, config=cell.config)


def _level_by_level(invocation: Invocation, entry: Declared) -> Iterator[Cell]:
    """Yield every cell with its nuisance factors at their first levels, at their second, ..."""
    factors = entry.study.nuisances
    for index in range(max((len(factor.levels) for factor in factors), default=0)):
        labels = {f.name: f.levels[min(index, len(f.levels) - 1)] for f in factors}
        text = ", ".join(f"{name}={label}" for name, label in labels.items())
        choices = {cell.name: labels for cell in entry.cells}
        for cell in expand(entry.study, invocation.profile, choices=choices):
            yield replace(cell, name=f"{cell.name}; {text}")
