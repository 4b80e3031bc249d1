"""The second section: the whole machine, every core with a process of its own.

Cores work side by side, so that their rates add.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from threading import Barrier
from typing import Any, Self, TypeVar

import torch

from ablation_lab.data import TrainingData
from ablation_lab.engines.devices import cores
from tests.bench import measure, rivals
from tests.bench.measure import Cost
from tests.bench.report import Section
from tests.bench.rows import CEILING, LIGHTNING, PLAIN, STEP, Row, Wanted
from tests.bench.workloads import MLP, Workload

Found = TypeVar("Found")

TEXT = """Every core trains runs in a process of its own with one thread, all at once; the plain
loop is one process with a thread for each core. Set-up is left out of all rows.
"""
# A process that does not come to the start for so long has died.
PATIENCE = 120.0
# Longer fits than where one process measures alone: processes have to overlap.
LONGER = 3


class Processes:
    """One process for each core, which begin every measurement together."""

    def __init__(self, count: int) -> None:
        context = get_context("spawn")
        self._count = count
        self._pool = ProcessPoolExecutor(
            count, mp_context=context, initializer=_prepare, initargs=(context.Barrier(count),)
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let the processes go."""
        self._pool.shutdown()

    def measure(self, function: Callable[..., Found], *arguments: Any) -> list[Found]:
        """Return what a function of a module gives in every process."""
        tasks = [self._pool.submit(_together, function, *arguments) for _ in range(self._count)]
        return [task.result() for task in tasks]


def rows_of_machine(rounds: int) -> list[Row]:
    """Measure the network on MNIST's images that is bound by matrix products."""
    return rows_of(MLP, rounds, processes=cores())


def rows_of(work: Workload, rounds: int, *, processes: int) -> list[Row]:
    """Measure one network with so many processes: seconds between two steps of any of them."""
    data = work.training_data()
    loop, fit = f"plain loop, {processes} threads", f"Lightning fit, {processes} processes"
    lab, ideal = f"lab, {processes} processes", "large matrix products alone"
    with Processes(processes) as pool:

        def step(function: Callable[[Workload, TrainingData], Cost]) -> float:
            return 1 / sum(1 / cost.step for cost in pool.measure(function, work, data))

        what: dict[str, Callable[[], float]] = {
            loop: lambda: rivals.plain_loop(work, data.train, threads=processes),
            fit: lambda: step(lightning_cost),
            lab: lambda: step(longer_alone),
            ideal: lambda: work.operations / sum(pool.measure(measure.products)),
        }
        measure.in_turns(1, what)  # The first fit of a process imports.
        found = measure.in_turns(rounds, what)
    against = {
        PLAIN: median(found[loop]),
        LIGHTNING: median(found[fit]),
        CEILING: median(found[ideal]),
    }
    wanted = {lab: (Wanted(1.4, PLAIN),)}
    title = f"{work.title}, whole machine"
    return [
        Row(title, name, STEP, values, against, wanted.get(name, ()))
        for name, values in found.items()
    ]


def lightning_cost(work: Workload, data: TrainingData) -> Cost:
    """Return what a Lightning fit costs, in a process."""
    return rivals.lightning_cost(work, data.train)


def longer_alone(work: Workload, data: TrainingData) -> Cost:
    """Return what a fit of the lab costs, in a process."""
    return measure.alone(work, data, steps=LONGER * work.steps)


_start: Barrier


def _prepare(start: Barrier) -> None:
    global _start  # noqa: PLW0603 - what an initialiser of a process can hand on
    _start = start
    torch.set_num_threads(1)


def _together(function: Callable[..., Found], *arguments: Any) -> Found:
    _start.wait(PATIENCE)
    return function(*arguments)


MACHINE = Section("The whole machine", TEXT, rows_of_machine)
