"""``python -m experiments.bench``: measure, print the table, write it with its figure.

Rivals and the lab take turns, so that a machine that slows down slows both; every figure is the
median of the rounds, with the smallest and the largest beside it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from experiments.bench import measure, rivals
from experiments.bench.report import Report, Row, growth_figure
from experiments.bench.workloads import MLP, WORKLOADS, XOR, Workload
from experiments.output import say

ROUNDS = 5
GROWTH = (10, 30, 100, 300, 1000, 3000, 10_000)


def main() -> None:
    """Measure everything and write ``bench.md`` and its figure."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measurements of each figure")
    parser.add_argument("--folder", type=Path, default=Path("docs/results"), help="where to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds = options.rounds
    report = Report(rounds)
    for work in WORKLOADS:
        for row in _rows(work, rounds):
            report.add(row)
            say(row.line)
    for row in (*_machine(rounds), *_tracking(rounds), *_end_to_end()):
        report.add(row)
        say(row.line)
    options.folder.mkdir(parents=True, exist_ok=True)
    growth_figure(_growth(), options.folder / "bench_growth.svg")
    (options.folder / "bench.md").write_text(report.markdown(), encoding="utf-8")
    say(f"{options.folder / 'bench.md'}")


def _in_turns(rounds: int, what: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, function in what.items():
            found[name].append(function())
    return found


def _rows(work: Workload, rounds: int) -> list[Row]:
    """Return the rows of one network, on one core: seconds a step of one run."""
    data = work.training_data()
    what: dict[str, Callable[[], float]] = {
        "plain loop": lambda: rivals.plain_loop(work, data.train, threads=1),
        "Lightning fit": lambda: rivals.lightning_fit(work, data.train),
        "lab, alone": lambda: measure.alone(work, data),
    }
    for size in work.stacks:
        what[f"lab, stack of {size}"] = lambda size=size: measure.in_stack(work, data, size)  # type: ignore[misc]
    found = _in_turns(rounds, what)
    base = median(found["plain loop"])
    return [Row(work.title, name, "µs a step", 1e6, values, base) for name, values in found.items()]


def _machine(rounds: int) -> list[Row]:
    """Return the rows of the whole machine: one plain loop with all threads, or one run a core."""
    data, cores = MLP.training_data(), measure.CORES
    alone = measure.alone(MLP, data)
    found = _in_turns(
        rounds,
        {
            f"plain loop, {cores} threads": lambda: rivals.plain_loop(
                MLP, data.train, threads=cores
            ),
            f"lab, {cores} processes": lambda: measure.whole_machine(
                MLP, data, seconds_alone=alone
            ),
            "large matrix products alone": _ideal_step,
        },
    )
    (rival, *_) = found.values()
    title = f"{MLP.title}, whole machine"
    return [Row(title, name, "µs a step", 1e6, v, median(rival)) for name, v in found.items()]


def _ideal_step() -> float:
    """Return the seconds a step would take if all cores only multiplied large matrices."""
    weights = 784 * 256 + 256 * 256 + 256 * 10
    operations = 6 * weights * (MLP.batch_size or 1) - 2 * 784 * 256 * (MLP.batch_size or 1)
    return operations / measure.products() / measure.CORES


def _tracking(rounds: int) -> list[Row]:
    values = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            values.append(measure.tracking(Path(folder), XOR))
    return [Row("Tracking", "one run of a stack of 100", "ms a run", 1e3, values, None)]


def _end_to_end() -> list[Row]:
    """Return the rows of 1,000 tracked XOR runs, with an empty and with a filled compile cache."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for name in ("compile cache empty", "compile cache filled"):
            with tempfile.TemporaryDirectory() as folder:
                values = [measure.end_to_end(Path(folder), Path(cache))]
            rows.append(Row("1,000 XOR runs × 10,001 steps, tracked", name, "s", 1, values, None))
    step = rivals.lightning_fit(XOR, XOR.training_data().train)
    serial = [step * 10_001 * measure.END_TO_END_RUNS / measure.CORES]
    rival = (
        f"Lightning fit per run, {measure.CORES} processes (extrapolated from {XOR.steps:,} steps)"
    )
    return [*rows, Row(rows[0].title, rival, "s", 1, serial, None)]


def _growth() -> dict[int, float]:
    """Return number of XOR runs → seconds that 1,000 steps of all of them take, in full stacks."""
    data = XOR.training_data()
    measure.whole_stacks(XOR, data, [10])
    found = {}
    for runs in GROWTH:
        full, rest = divmod(runs, 1000)
        found[runs] = measure.whole_stacks(XOR, data, [1000] * full + [rest] * bool(rest))
    return found


if __name__ == "__main__":
    main()
