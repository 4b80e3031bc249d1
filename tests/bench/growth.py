"""How seconds grow with the number of runs: what the page's figure shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.bench import measure
from tests.bench.workloads import Workload

SIZES = (10, 30, 100, 300, 1000, 3000, 10_000)
LARGEST = 1000


def growth(work: Workload, sizes: Sequence[int], rounds: int) -> Mapping[int, Sequence[float]]:
    """Return number of runs → seconds, round by round, that a fit of all takes in full stacks."""
    data = work.training_data()
    measure.whole_stacks(work, data, [10])  # The first fit of a process imports.

    def seconds(runs: int) -> float:
        full, rest = divmod(runs, LARGEST)
        return measure.whole_stacks(work, data, [LARGEST] * full + [rest] * bool(rest))

    found: dict[int, list[float]] = {runs: [] for runs in sizes}
    for _ in range(rounds):
        for runs, values in found.items():
            values.append(seconds(runs))
    return found
