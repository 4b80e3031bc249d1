"""The driver's memory stays flat, however many jobs are declared."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from ablation_lab.engines.contract import Engine
from tests.engines.lab import Jobs, Start

# What the driver may hold more at the end than after the first hundredth: far less than the jobs.
ALLOWED = 200_000
PAYLOAD = 1_000


def growth(engine: Engine, jobs: Jobs, count: int) -> int:
    """Map over so many jobs of a kilobyte; return by how many bytes the driver grew meanwhile."""

    def declared() -> Iterator[bytes]:
        for number in range(count):
            yield number.to_bytes(4) * (PAYLOAD // 4)

    # A hundred of them share a batch, where an engine has batches.
    done_jobs = engine.map(jobs["measure"], declared(), cost=lambda _: 3.0)
    first = last = 0
    tracemalloc.start()
    try:
        for seen, done in enumerate(done_jobs, start=1):
            assert done.result == PAYLOAD
            if seen == count // 100:
                gc.collect()
                first = tracemalloc.get_traced_memory()[0]
        assert seen == count
        gc.collect()
        last = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    return last - first


@pytest.mark.slow
@pytest.mark.usefixtures("fake_torch")
def test_memory_stays_flat(start: Start, jobs: Jobs, engine_name: str) -> None:
    # So many take minutes on Ray, and longer as processes of their own.
    count = {"local": 100_000, "ray": 10_000, "slurm": 2_000}[engine_name]
    with start(workers=2) as engine:
        assert growth(engine, jobs, count) < ALLOWED < count * PAYLOAD
