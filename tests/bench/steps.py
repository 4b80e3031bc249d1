"""The first section: a step of each network, alone and in stacks, and against its rivals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

from tests.bench import measure, rivals
from tests.bench.report import Section
from tests.bench.rows import CEILING, LIGHTNING, PLAIN, STEP, Row, Wanted
from tests.bench.workloads import WORKLOADS, XOR, Workload

TEXT = """Everything uses one thread. Steps of a stack are divided by its runs. Set-up is left
out of all figures alike: a fit's step is the difference between a short and a long fit, a loop's
and a stack's are timed when it is warm. *Of the ceiling* is the share of the rate at which large
matrix products alone run on this core; convolutions, which are not computed as such products, can
be above it. MNIST's images are drawn, not read.
"""
# What the innermost layout was made for, in µs a run-step.
QUICK_STEP = {(XOR.name, 1000): Wanted(0.5)}


def rows_of_steps(rounds: int) -> Iterator[Row]:
    """Measure every workload."""
    for work in WORKLOADS:
        yield from rows_of(work, rounds)


def rows_of(work: Workload, rounds: int) -> list[Row]:
    """Measure one network, on one core: seconds a step of one run."""
    data, rate = work.training_data(), measure.products()
    what: dict[str, Callable[[], float]] = {
        "products": lambda: work.operations / measure.products(),
        "plain loop": lambda: rivals.plain_loop(work, data.train, threads=1),
        "Lightning fit": lambda: rivals.lightning_cost(work, data.train).step,
        "lab, alone": lambda: measure.alone(work, data).step,
    }
    left_out = {size: measure.why_not(work, size, products=rate) for size in work.stacks}
    for size, reason in left_out.items():
        if not reason:
            what[_named(size)] = measure.PreparedStack(work, data, size).seconds
    found = measure.in_turns(rounds, what)
    against = {PLAIN: median(found["plain loop"]), LIGHTNING: median(found["Lightning fit"])}
    ideal = found.pop("products")
    if work.batch_size is not None:  # Of XOR's four points no product is large.
        against[CEILING] = median(ideal)
    wanted = {
        _named(size): (each,) for (name, size), each in QUICK_STEP.items() if name == work.name
    }
    rows = [
        Row(work.title, name, STEP, values, against, wanted.get(name, ()))
        for name, values in found.items()
    ]
    missing = {size: reason for size, reason in left_out.items() if reason}
    return rows + [Row(work.title, _named(size), missing=why) for size, why in missing.items()]


def _named(size: int) -> str:
    return f"lab, stack of {size}"


STEPS = Section("A step", TEXT, rows_of_steps)
