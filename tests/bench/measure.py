"""How measurements are taken: in turns, steps apart from their set-up, stacks made once.

Every function returns seconds for one unit of work; the medians are taken by the caller.
"""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from ablation_lab.data import TrainingData
from ablation_lab.training import single, stacked
from ablation_lab.training.cost import memory_of_run
from ablation_lab.training.schedule import Chunk
from ablation_lab.training.trained import tensors
from tests.bench.workloads import Workload

# As many steps as the decks take: whether compiling pays is decided for these.
FULL_STEPS = 10_001
# Rounds of what takes long.
FEW = 3
# To tell set-up and steps apart.
ATTEMPTS = 5
# A stack of which a step would take more seconds, if it were nothing but products, is left out.
PATIENCE = 5.0


@dataclass(frozen=True)
class Cost:
    """Seconds that setting a fit up takes, and each step after that."""

    setup: float
    step: float

    def of(self, steps: int) -> float:
        """Return the seconds of a whole fit."""
        return self.setup + steps * self.step


def cost(seconds: Callable[[int], float], steps: int) -> Cost:
    """Tell set-up and steps apart: from a fit of so many steps and one of three times as many.

    Where something else held the shorter one up for longer than the further steps take, both are
    measured again: what disturbs a measurement adds to it, so that the least is the best.
    Errors: RuntimeError if that does not help, because the steps are too few.
    """
    short = long = math.inf
    for _ in range(ATTEMPTS):
        short, long = min(short, seconds(steps)), min(long, seconds(3 * steps))
        if long > short:
            step = (long - short) / (2 * steps)
            return Cost(setup=short - steps * step, step=step)
    raise RuntimeError(
        f"a fit of {3 * steps} steps took {long:.4f} s, one of {steps} took {short:.4f} s, "
        f"{ATTEMPTS} times each: measure more steps"
    )


def in_turns(rounds: int, what: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure each thing in each round, so that a machine that slows down slows all of them."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, function in what.items():
            found[name].append(function())
    return found


def alone(work: Workload, data: TrainingData, *, steps: int | None = None) -> Cost:
    """Return what a fit of one run costs in the solo trainer, from fits of about so many steps."""

    def seconds(steps: int) -> float:
        (run,) = work.runs(1, steps=steps)
        started = time.perf_counter()
        single.train(run, data, work.dataset)
        return time.perf_counter() - started

    return cost(seconds, steps or work.steps)


class PreparedStack:
    """A stack of ``size`` that is built, compiled if it pays, and warm."""

    def __init__(self, work: Workload, data: TrainingData, size: int) -> None:
        runs = work.runs(size, steps=FULL_STEPS)
        self._program = stacked.program_of(runs, data, work.dataset)
        self._program.start(*tensors(data.train, torch.device("cpu")))
        self._steps, self._size, self._taken = work.stacks[size], size, 0
        self._advance(max(1, self._steps // 10))

    def seconds(self) -> float:
        """Return the seconds a step of one run takes."""
        started = time.perf_counter()
        self._advance(self._steps)
        return (time.perf_counter() - started) / self._steps / self._size

    def _advance(self, steps: int) -> None:
        self._program.advance(Chunk(first=self._taken, steps=steps, point=False, window=1))
        self._taken += steps


def why_not(work: Workload, size: int, *, products: float) -> str:
    """Say why no stack of this size is measured here, at so many ``products`` a second, or ''."""
    need = size * memory_of_run(work.runs(1)[0].config)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if need > memory / 2:
        return f"about {need / 2**30:.0f} GiB, over half of this machine's memory"
    seconds = size * work.operations / products
    return f"over {seconds:.0f} s a step" if seconds > PATIENCE else ""


def whole_stacks(work: Workload, data: TrainingData, sizes: Sequence[int]) -> float:
    """Return the seconds that stacks of these sizes take on one core, from set-up to result."""
    started = time.perf_counter()
    for size in sizes:
        stacked.train(work.runs(size, steps=work.steps), data, work.dataset)
    return time.perf_counter() - started


def products(size: int = 1024, repeats: int = 10) -> float:
    """Return how many operations a second a large matrix product does on one core."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    torch.mm(a, b)
    started = time.perf_counter()
    for _ in range(repeats):
        torch.mm(a, b)
    return repeats * 2 * size**3 / (time.perf_counter() - started)
