"""What is missing of the declared runs, and how it will be trained. Pure.

Comes in: the declared studies and what the store has of them. Goes out: the missing runs, and the
stacks in which those that are wanted now will train, with about what they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

from ablation_lab.runner.configuration import Invocation
from ablation_lab.store.runs import FINISHED
from ablation_lab.study.declare import Declared
from ablation_lab.study.run import Run, Stack
from ablation_lab.training.cost import Accelerators
from ablation_lab.training.plan import estimated, plan

Cell = tuple[str, str]  # study, cell
Thing = TypeVar("Thing")
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Stored:
    """What a store had: study → key → (MLflow run id, status) of the run that counts."""

    runs: Mapping[str, Mapping[str, tuple[str, str]]]


@dataclass(frozen=True)
class Asked:
    """What studies that run until decided ask for by now: study → cell → replicates.

    ``open`` are the cells that may ask for more, ``said`` tells how many comparisons are decided.
    """

    replicates: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    open: Mapping[str, Collection[str]] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)

    def includes(self, run: Run) -> bool:
        """Whether a run is asked for by now; every one of another study is."""
        return run.replicate < self.replicates.get(run.study, {}).get(run.cell, inf)

    def may_include(self, run: Run) -> bool:
        """Whether a run may be asked for later."""
        return not self.includes(run) and run.cell in self.open.get(run.study, ())


@dataclass(frozen=True)
class Missing:
    """What the store lacks of what is asked for by now, and what this call wants to train of it.

    ``asked`` are the declared runs that are asked for by now, ``later`` those that may be.
    """

    declared: tuple[Declared, ...]
    stored: Stored
    asked: tuple[Run, ...]
    later: tuple[Run, ...]
    every: tuple[Run, ...]
    wanted: tuple[Run, ...]


@dataclass(frozen=True)
class Planned:
    """The stacks of the wanted runs that train; the others combine what these predict.

    ``seconds`` are those of all workers together; ``workers`` is None where nothing is to be done,
    or only a cluster that has been asked to start can tell.
    """

    missing: Missing
    stacks: tuple[Stack, ...]
    seconds: float
    workers: int | None

    @property
    def combined(self) -> tuple[Run, ...]:
        """The wanted ensembles."""
        return tuple(run for run in self.missing.wanted if run.is_ensemble)


def find_missing(
    call: Invocation,
    declared: tuple[Declared, ...],
    stored: Stored,
    asked: Asked = Asked(),
    *,
    also_untuned: bool = False,
) -> Missing:
    """Return the runs that are asked for and have no finished run in the store.

    A cell that is still to be tuned has other runs than those that it will have: no call wants
    them, and a plan counts them.
    """
    runs = [run for entry in declared for run in entry.runs]
    now = tuple(filter(asked.includes, runs))
    every = without_finished(now, stored)
    untuned = {(entry.study.name, cell) for entry in declared for cell in entry.untuned}
    wanted = [run for run in every if call.now.wants(run)]
    ready = [run for run in wanted if also_untuned or cell_of(run) not in untuned]
    later = tuple(filter(asked.may_include, runs))
    return Missing(declared, stored, now, later, every, tuple(ready))


def without_finished(runs: Iterable[Run], stored: Stored) -> tuple[Run, ...]:
    """Return those of the runs that have no finished run in the store."""
    none = ("", "")
    return tuple(
        run for run in runs if stored.runs.get(run.study, {}).get(run.key, none)[1] != FINISHED
    )


def plan_runs(call: Invocation, missing: Missing) -> Planned:
    """Group what is wanted to stacks, before any worker has started."""
    accelerators = call.engine.accelerators
    stacks = stacks_of(call, missing.wanted, accelerators)
    return Planned(
        missing=missing,
        stacks=tuple(stacks),
        seconds=sum(estimated(stack, accelerators) for stack in stacks),
        workers=call.engine.expected_workers if missing.wanted else None,
    )


def stacks_of(
    call: Invocation,
    runs: Iterable[Run],
    accelerators: Accelerators | None,
    alone: Mapping[Cell, str] | None = None,
) -> list[Stack]:
    """Group the runs that train to stacks; of those that have the same key one trains.

    Cells that are ``alone``, each for a reason, are in none.
    """
    return plan(
        once(run for run in runs if not run.is_ensemble),
        data_root=call.workers_root,
        plugins=call.plugins,
        accelerators=accelerators,
        devices=call.engine.devices_per_run,
        alone=alone,
        project=call.conf.parent,
    )


def once(runs: Iterable[Run]) -> list[Run]:
    """Keep one of the runs that have the same key, one that keeps its logits if there is one."""
    unique: dict[str, Run] = {}
    for run in runs:
        if run.key not in unique or (run.keep_logits and not unique[run.key].keep_logits):
            unique[run.key] = run
    return list(unique.values())


def groups(things: Iterable[Thing], of: Callable[[Thing], Name]) -> dict[Name, list[Thing]]:
    """Return the things by what ``of`` says of each, in the order in which they come."""
    found: dict[Name, list[Thing]] = {}
    for thing in things:
        found.setdefault(of(thing), []).append(thing)
    return found


def cell_of(run: Run) -> Cell:
    """Return the names of a run's study and cell."""
    return run.study, run.cell


def summary(planned: Planned) -> str:
    """Return the line that says what there is, what is done, and about how long it takes."""
    missing = planned.missing
    cells = sum(not cell.reason for entry in missing.declared for cell in entry.cells)
    runs = len(missing.asked)
    line = f"{count(len(missing.declared), 'study', 'studies')}, {count(cells, 'cell')}, "
    line += f"{count(runs, 'run')}: {runs - len(missing.every)} done"
    more = f", up to {len(missing.later)} more until decided" if missing.later else ""
    if not missing.every:
        return f"{line}, nothing to do{more}"
    later = len(missing.every) - len(missing.wanted)
    return (
        f"{line}, {len(missing.wanted)} to do ({duration(planned.seconds, planned.workers)})"
        f"{f', {later} left for later' if later else ''}{more}"
    )


def duration(seconds: float, workers: int | None) -> str:
    """Say about how long so many seconds of work take."""
    minutes = seconds / (workers or 1) / 60
    about = "under a minute" if minutes < 1 else f"about {minutes:.0f} min"
    # A cluster says only when it is asked to start how many workers it has room for.
    return f"{about} on {count(workers, 'worker')}" if workers else f"{about} of one worker's time"


def count(number: int, one: str, more: str = "") -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else more or f'{one}s'}"
