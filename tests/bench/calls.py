"""The third section: whole calls of the lab, in stores of their own, and what tracking costs."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ablation_lab.engines.devices import cores
from ablation_lab.store.write import Tracker
from ablation_lab.study.run import Stack, TrainerName
from ablation_lab.training.execute import execute
from tests.bench import measure
from tests.bench.machine import Processes, lightning_cost
from tests.bench.report import Section
from tests.bench.rows import LIGHTNING, RUN, SECONDS, Row, Wanted
from tests.bench.workloads import XOR, Workload

ROOT = Path(__file__).resolve().parents[2]
TEXT = """Seconds from the start of a command to its end: imports, training, tracking, and a
store of its own. *Lightning fit per run* is extrapolated from fits of {short:,} and {long:,}
steps in a process on every core: the set-up of each run once and its {steps:,} steps, without
imports or tracking. *Tracking* is the writing of records to the store, with about a dozen points
of each curve.
"""


@dataclass(frozen=True)
class Grid:
    """So many runs of a workload, of so many steps, as cells of a study that ``words`` choose."""

    study: str
    profile: str
    words: str
    runs: int
    work: Workload
    steps: int

    @property
    def title(self) -> str:
        """What a table calls it."""
        return f"{self.runs:,} XOR runs × {self.steps:,} steps, tracked"


# The decks' four-layer net on XOR, in the paper profile.
THOUSAND = Grid(
    study="xor_depth",
    profile="paper",
    words="now.where.depth=[4] now.where.activation=[sigmoid] now.where.init=[normal]",
    runs=1000,
    work=XOR,
    steps=10_001,
)


@dataclass(frozen=True)
class Store:
    """A store in a folder, and the folder in which its workers find compiled programs."""

    folder: Path
    cache: Path

    def call(self, words: str) -> float:
        """Return the seconds of one call of the lab on this store."""
        self.folder.mkdir(parents=True, exist_ok=True)
        places = {
            "tracking.uri": f"sqlite:///{self.folder}/mlflow.db",
            "tracking.artifacts": f"{self.folder}/artifacts",
            "tracking.queue": f"sqlite:///{self.folder}/queue.db",
        }
        settings = [*words.split(), *(f"{key}={value}" for key, value in places.items())]
        return self._timed("ablation_lab", "run", *settings)

    def train(self, grid: Grid) -> float:
        """Return the seconds that training a grid takes, without a report."""
        return self.call(f"study={grid.study} profile={grid.profile} {grid.words} reports=null")

    def report(self, grid: Grid) -> float:
        """Return the seconds that a report of what is there of a grid's study takes."""
        options = {
            "--store": f"sqlite:///{self.folder}/mlflow.db",
            "--profile": grid.profile,
            "--reports": f"{self.folder}/reports",
            "--studies": grid.study,
        }
        return self._timed(
            "ablation_lab.report", *(word for option in options.items() for word in option)
        )

    def _timed(self, *arguments: str) -> float:
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(self.cache)}
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - started


def rows_of_calls(rounds: int) -> Iterator[Row]:
    """Measure the calls of the targets, and tracking."""
    yield from rows_of_grid(THOUSAND, rounds)
    yield from rows_of_repetition("`make ablation`", "profile=quick", rounds)
    yield from rows_of_tracking(XOR, rounds)


def rows_of_grid(grid: Grid, rounds: int) -> list[Row]:
    """Measure a call that trains a grid, its report, and what a fit for each run would take."""
    empty, filled, reports = [], [], []
    with tempfile.TemporaryDirectory() as place:
        for number in range(rounds):
            if number < measure.FEW:
                cache = Path(place, f"cache-{number}")
                empty.append(Store(Path(place, f"empty-{number}"), cache).train(grid))
            store = Store(Path(place, f"filled-{number}"), cache)
            filled.append(store.train(grid))
            reports.append(store.report(grid))
    rival = fit_per_run(grid, rounds)
    against = {LIGHTNING: median(rival)}
    wanted = Wanted(25), Wanted(150, LIGHTNING)
    return [
        Row(grid.title, "compile cache empty", SECONDS, empty, against, (Wanted(60),)),
        Row(grid.title, "compile cache filled", SECONDS, filled, against, wanted),
        Row(grid.title, f"Lightning fit per run, {cores()} processes", SECONDS, rival, against),
        Row(
            f"Report from {grid.runs:,} runs", "`make report`", SECONDS, reports, {}, (Wanted(10),)
        ),
    ]


def fit_per_run(grid: Grid, rounds: int) -> list[float]:
    """Return the seconds that a Lightning fit for each run of a grid takes the whole machine."""
    data = grid.work.training_data()

    def seconds() -> float:
        costs = processes.measure(lightning_cost, grid.work, data)
        return grid.runs / sum(1 / each.of(grid.steps) for each in costs)

    with Processes(cores()) as processes:
        seconds()  # The first fit of a process imports.
        return [seconds() for _ in range(rounds)]


def rows_of_repetition(name: str, words: str, rounds: int) -> list[Row]:
    """Measure a call once, with an empty compile cache, and then again when nothing is to do."""
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place), Path(place, "cache"))
        first = store.call(f"{words} reports={place}/reports")
        again = [store.call(f"{words} reports={place}/reports") for _ in range(rounds)]
        runs = finished_runs(Path(place, "reports"))
    return [
        Row(name, f"{runs:,} runs and their report", SECONDS, [first], {}, (Wanted(300),)),
        Row(name, "again, nothing to do", SECONDS, again, {}, (Wanted(6),)),
    ]


def finished_runs(reports: Path) -> int:
    """Return how many runs the reports in a folder hold as finished."""
    count = 0
    for path in reports.rglob("runs.csv"):
        with path.open(encoding="utf-8", newline="") as rows:
            count += sum(row["status"] == "finished" for row in csv.DictReader(rows))
    return count


def rows_of_tracking(work: Workload, rounds: int) -> list[Row]:
    """Measure what keeping a run costs, as one of a stack and by itself."""
    what = {
        "one run of a stack of 100": lambda: tracking(
            work, TrainerName.STACKED, runs=200, size=100
        ),
        "one run that trained alone": lambda: tracking(work, TrainerName.SINGLE, runs=20, size=1),
    }
    found = measure.in_turns(rounds, what)
    return [Row("Tracking", name, RUN, values, {}, (Wanted(15),)) for name, values in found.items()]


def tracking(work: Workload, trainer: TrainerName, *, runs: int, size: int) -> float:
    """Return the seconds that keeping one of so many runs takes, of which ``size`` end at once."""
    every = work.runs(runs, steps=100)
    records = [
        execute(Stack(tuple(every[first : first + size]), trainer, "bench"))
        for first in range(0, runs, size)
    ]
    with tempfile.TemporaryDirectory() as folder:
        tracker = Tracker(f"sqlite:///{folder}/mlflow.db", Path(folder, "artifacts"))
        tracker.write(records[0][:1])
        started = time.perf_counter()
        for part in records:
            tracker.write(part)
        return (time.perf_counter() - started) / runs


CALLS = Section(
    "Whole calls",
    TEXT.format(short=XOR.steps, long=3 * XOR.steps, steps=THOUSAND.steps),
    rows_of_calls,
)
