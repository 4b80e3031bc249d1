"""Workers are held to their share of the cores: each engine, with the real torch."""

from __future__ import annotations

from tests.engines.lab import Jobs, Start


def test_workers_have_the_threads_that_they_are_given(start: Start, jobs: Jobs) -> None:
    with start(workers=1, threads=1) as engine:
        (done,) = engine.map(jobs["surroundings"], [0])
    assert (done.result, done.error) == ((1, "1"), "")
