"""The last section, where there is a CUDA device: a grid of MNIST runs on one card.

It is extrapolated from a few epochs of a stack as the plan makes it, and of a few Lightning fits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from statistics import median

import torch

from ablation_lab.data import TrainingData
from ablation_lab.engines import devices
from ablation_lab.study.run import Run, Stack
from ablation_lab.training import stacked
from ablation_lab.training.cost import Accelerators
from ablation_lab.training.plan import plan
from ablation_lab.training.schedule import steps_per_epoch
from tests.bench import rivals
from tests.bench.measure import FEW, Cost, cost, in_turns
from tests.bench.report import Section
from tests.bench.rows import LIGHTNING, SECONDS, Row, Wanted
from tests.bench.workloads import MLP, Workload, drawn

RUNS, EPOCHS = 1000, 15
EXAMPLES, VALIDATION = 55_000, 5_000
TEXT = f"""{RUNS:,} runs of {EPOCHS} epochs of {EXAMPLES:,} drawn images, in float32, on one
card: in stacks as the plan makes them, and as one Lightning fit after the other. Both are
extrapolated, from one and three epochs of one stack and of one fit. Set-up is included in both,
validation in the lab's alone.
"""
VARIABLE = "CUDA_VISIBLE_DEVICES"


def sections(visible: Sequence[str]) -> list[Section]:
    """Return the section for the first of the visible devices; none without any."""
    measures = [partial(rows_on, device) for device in visible[:1]]
    return [Section("One card", TEXT, measure) for measure in measures]


def rows_on(device: str, rounds: int) -> list[Row]:
    """Measure on one device, in a process of its own that sees it."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_see, initargs=(device,)) as pool:
        return pool.submit(_rows, min(rounds, FEW)).result()


def _see(device: str) -> None:
    os.environ[VARIABLE] = device
    torch.set_num_threads(1)


def _rows(rounds: int) -> list[Row]:
    if not torch.cuda.is_available():
        return [Row(MLP.title, "on a card", missing="torch sees no CUDA device")]
    work = replace(MLP, title=f"{MLP.title}, {torch.cuda.get_device_name()}")
    data = drawn(work.dataset, EXAMPLES, validation=VALIDATION)
    accelerators = Accelerators.of(workers=1, card=devices.memory())
    rivals.lightning_fit(work, data.train, 2)  # The first one wakes the card.
    return rows_of_grid(work, data, rounds, stacks_of(work, accelerators, RUNS), epochs=EPOCHS)


def stacks_of(work: Workload, accelerators: Accelerators, count: int) -> list[Stack]:
    """Return the stacks to which the plan groups so many runs, the largest first."""
    stacks = plan(work.runs(count), data_root=None, plugins=(), accelerators=accelerators)
    return sorted(stacks, key=lambda stack: len(stack.runs), reverse=True)


def rows_of_grid(
    work: Workload, data: TrainingData, rounds: int, stacks: Sequence[Stack], *, epochs: int
) -> list[Row]:
    """Measure what these stacks take, and one Lightning fit after the other for their runs."""
    count, largest = sum(len(stack.runs) for stack in stacks), stacks[0].runs
    stacked_name = f"lab, stacks of {len(largest):,}"
    found = in_turns(
        rounds,
        {
            stacked_name: lambda: stack_cost(work, data, largest).of(epochs) * count / len(largest),
            "Lightning fit per run": lambda: fit_cost(work, data).of(epochs) * count,
        },
    )
    against = {LIGHTNING: median(found["Lightning fit per run"])}
    wanted = {stacked_name: (Wanted(30, LIGHTNING),)}
    title = f"{count:,} runs of {work.title} × {epochs} epochs"
    return [
        Row(title, name, SECONDS, values, against, wanted.get(name, ()))
        for name, values in found.items()
    ]


def stack_cost(work: Workload, data: TrainingData, runs: Sequence[Run]) -> Cost:
    """Return what a stack costs: to set it up, and an epoch of it."""

    def seconds(epochs: int) -> float:
        changed = [replace(run, config=_lasting(run, epochs)) for run in runs]
        started = time.perf_counter()
        stacked.train(changed, data, work.dataset)
        return time.perf_counter() - started

    return cost(seconds, 1)


def fit_cost(work: Workload, data: TrainingData) -> Cost:
    """Return what a Lightning fit costs: to set it up, and an epoch of it."""
    epoch = steps_per_epoch(len(data.train), work.batch_size)
    return cost(lambda epochs: rivals.lightning_fit(work, data.train, epochs * epoch), 1)


def _lasting(run: Run, epochs: int) -> dict[str, object]:
    training = {**run.config["training"], "steps": None, "epochs": epochs}
    return {**run.config, "training": training}
