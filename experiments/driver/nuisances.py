"""A study whose nuisance factors are tuned, before anything of it is declared.

Comes in: an invocation and a study. Goes out: the study as declared, with the tuned levels in the
configuration, and so in the key, of every run. What is tuned already is read, not done again.
"""

from __future__ import annotations

import time
from dataclasses import replace

from experiments.data import verify
from experiments.declaration.configuration import Invocation
from experiments.declaration.declare import Declared, declare
from experiments.declaration.grid import Cell, Choices
from experiments.declaration.names import check_names
from experiments.declaration.study import Study, Tuning
from experiments.output import say


def tuned_declaration(invocation: Invocation, study: Study, *, until: float) -> Declared:
    """Declare a study, after tuning its nuisance factors if it has any.

    Only the cells that this call wants are tuned, and no trial begins after ``until`` (of the
    monotonic clock). A dry run tunes nothing and declares the first levels where nothing is tuned.
    """
    declared = declare(study, invocation.profile, invocation.presets)
    budget = study.budget(invocation.profile).tuning
    if budget is None:
        return declared
    if not invocation.plugins:  # a plugin may register more names
        check_names(declared)
    cells = [cell for cell in declared.cells if not cell.reason]
    choices = _choices(invocation, study, cells, budget, until=until)
    made = declare(study, invocation.profile, invocation.presets, choices=choices)
    return replace(made, untuned=frozenset(cell.name for cell in cells) - set(choices))


def _choices(
    invocation: Invocation, study: Study, cells: list[Cell], budget: Tuning, *, until: float
) -> Choices:
    # Optuna takes a second to import, which studies without nuisance factors need not wait for.
    from experiments.driver.tuning import Tuner

    tuner = Tuner(invocation.ledger_uri, study, invocation.profile, invocation.presets)
    choices = tuner.choices()
    missing = [
        cell.name
        for cell in cells
        if cell.name not in choices and invocation.now.wants_cell(cell.factors)
    ]
    if not missing:
        return choices
    names = ", ".join(factor.name for factor in study.nuisances)
    say(
        f"{study.name}: tuning {names}, cells: {len(missing)}, trials of each: {budget.trials}, "
        f"replicates of a trial: {budget.replicates}"
    )
    if invocation.dry_run:
        return choices
    for name in sorted({cell.config["data"]["name"] for cell in cells}):
        verify(name, invocation.root)
    with invocation.engine.start(invocation.plugins) as engine:
        tuner.tune(
            engine,
            missing,
            data_root=invocation.workers_root,
            plugins=invocation.plugins,
            goes_on=lambda: time.monotonic() < until,
        )
    return tuner.choices()
