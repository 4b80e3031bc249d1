"""The lab's own figures: a step alone and in a stack, the whole machine, tracking, a whole call.

Every function returns seconds for one unit of work; the medians are taken by the caller.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from experiments.bench.workloads import Workload
from experiments.data import TrainingData
from experiments.execution.execute import execute
from experiments.run import Stack, TrainerName
from experiments.tracking import Tracker
from experiments.trainers import solo, stacked
from experiments.trainers.evaluation import tensors
from experiments.trainers.schedule import Chunk

# What an end-to-end call trains: the decks' four-layer net on XOR, in the paper profile.
END_TO_END = (
    "study=xor_depth profile=paper now.where.depth=[4] now.where.activation=[sigmoid] "
    "now.where.init=[normal] reports=null"
)
END_TO_END_RUNS = 1000
# As many steps as the decks take: whether compiling pays is decided for these.
FULL_STEPS = 10_001
CORES = os.cpu_count() or 1
ROOT = Path(__file__).resolve().parents[2]


def alone(work: Workload, data: TrainingData) -> float:
    """Return the seconds a step of one run takes in the solo trainer, without setting it up."""
    durations = []
    for steps in (work.steps, 3 * work.steps):
        (run,) = work.runs(1, steps=steps)
        started = time.perf_counter()
        solo.train(run, data, work.dataset)
        durations.append(time.perf_counter() - started)
    return (durations[1] - durations[0]) / (2 * work.steps)


def in_stack(work: Workload, data: TrainingData, size: int) -> float:
    """Return the seconds a step of one run takes in a stack of ``size``, compiled if it pays."""
    program = stacked.program_of(work.runs(size, steps=FULL_STEPS), data, work.dataset)
    program.start(*tensors(data.train, torch.device("cpu")))
    warm = max(2, work.steps // 10)
    program.advance(Chunk(first=0, steps=warm, point=False, window=1))
    started = time.perf_counter()
    program.advance(Chunk(first=warm, steps=work.steps, point=False, window=1))
    return (time.perf_counter() - started) / work.steps / size


def whole_stacks(work: Workload, data: TrainingData, sizes: Sequence[int]) -> float:
    """Return the seconds that stacks of these sizes take on one core, from set-up to result."""
    started = time.perf_counter()
    for size in sizes:
        stacked.train(work.runs(size, steps=work.steps), data, work.dataset)
    return time.perf_counter() - started


def whole_machine(work: Workload, data: TrainingData, *, seconds_alone: float) -> float:
    """Return the seconds a step takes when every core trains runs in a process of its own.

    ``seconds_alone`` sets how many steps are taken, so that a measurement lasts about two seconds.
    """
    cores = os.cpu_count() or 1
    steps = max(work.steps, int(2 / seconds_alone))
    with ProcessPoolExecutor(
        cores, mp_context=get_context("spawn"), initializer=_one_thread
    ) as pool:
        list(pool.map(_steps_of_process, [(work, data, 5)] * cores))
        durations = list(pool.map(_steps_of_process, [(work, data, steps)] * cores))
    # Cores work side by side: their rates add.
    return 1 / sum(steps / duration for duration in durations)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _steps_of_process(job: tuple[Workload, TrainingData, int]) -> float:
    work, data, steps = job
    (run,) = work.runs(1, steps=steps)
    started = time.perf_counter()
    solo.train(run, data, work.dataset)
    return time.perf_counter() - started


def products(size: int = 1024, repeats: int = 10) -> float:
    """Return how many operations a second a large matrix product does on one core."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    torch.mm(a, b)
    started = time.perf_counter()
    for _ in range(repeats):
        torch.mm(a, b)
    return repeats * 2 * size**3 / (time.perf_counter() - started)


def tracking(folder: Path, work: Workload, *, runs: int = 200, stack: int = 100) -> float:
    """Return the seconds that keeping one run takes, in stacks, with about a dozen curve points."""
    tracker = Tracker(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    every = work.runs(runs, steps=100)
    records = [
        execute(Stack(tuple(every[first : first + stack]), TrainerName.STACKED, "bench"))
        for first in range(0, runs, stack)
    ]
    tracker.write(records[0][:1])
    started = time.perf_counter()
    for part in records:
        tracker.write(part)
    return (time.perf_counter() - started) / runs


def end_to_end(folder: Path, cache: Path) -> float:
    """Return the seconds of one call that trains and tracks 1,000 XOR runs of 10,001 steps."""
    command = [sys.executable, "-m", "experiments", *END_TO_END.split()]
    command += [f"tracking.uri=sqlite:///{folder}/mlflow.db"]
    command += [f"tracking.artifacts={folder}/artifacts"]
    command += [f"tracking.ledger=sqlite:///{folder}/optuna.db"]
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(cache)}
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
