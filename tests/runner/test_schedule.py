"""When steps are taken: every step once, points where they belong, windows inside their chunk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation_lab.study.run import Training
from ablation_lab.training.schedule import (
    CHUNK_STEPS,
    chunks,
    log_spaced,
    steps_per_epoch,
    total_steps,
)

BATCH = st.one_of(st.none(), st.integers(1, 300))


def training(
    *, epochs: int | None = None, steps: int | None = None, batch_size: int | None = None
) -> Training:
    return Training(epochs=epochs, steps=steps, batch_size=batch_size, loss="stable", l2=0.0)


TRAININGS = st.one_of(
    st.builds(training, epochs=st.integers(1, 60), batch_size=BATCH),
    st.builds(training, steps=st.integers(1, 30_000), batch_size=BATCH),
)


@given(TRAININGS, st.integers(1, 2_000))
def test_chunks_cover_every_step_once(settings: Training, examples: int) -> None:
    plan = chunks(settings, examples)
    ends = [0]
    for chunk in plan:
        assert chunk.first == ends[-1]
        assert chunk.steps >= 1
        ends.append(chunk.first + chunk.steps)
    assert ends[-1] == total_steps(settings, examples)


@given(TRAININGS, st.integers(1, 2_000))
def test_the_chunk_before_a_point_holds_its_window(settings: Training, examples: int) -> None:
    plan = chunks(settings, examples)
    assert plan[-1].point
    last = 0
    for chunk in plan:
        if chunk.point:
            end = chunk.first + chunk.steps
            # Points closer together than a window average the steps since the last point.
            assert chunk.steps >= min(chunk.window, end - last)
            last = end


@given(st.integers(1, 40), BATCH, st.integers(1, 2_000))
def test_an_epoch_point_averages_exactly_its_epoch(
    epochs: int, batch: int | None, examples: int
) -> None:
    per_epoch = steps_per_epoch(examples, batch)
    for chunk in chunks(training(epochs=epochs, batch_size=batch), examples):
        if chunk.point:
            assert (chunk.first + chunk.steps) % per_epoch == 0
            assert chunk.window == per_epoch <= chunk.steps


@given(TRAININGS, st.integers(1, 2_000))
def test_no_chunk_is_longer_than_it_must_be(settings: Training, examples: int) -> None:
    window = steps_per_epoch(examples, settings.batch_size)
    assert all(chunk.steps <= max(CHUNK_STEPS, window) for chunk in chunks(settings, examples))


@given(st.integers(1, 30))
def test_every_epoch_has_its_point_up_to_thirty(epochs: int) -> None:
    plan = chunks(training(epochs=epochs, batch_size=100), 1_000)
    assert [c.first + c.steps for c in plan if c.point] == [10 * n for n in range(1, epochs + 1)]


@given(st.integers(1, 10**7), st.integers(2, 40))
def test_log_spaced_points(last: int, count: int) -> None:
    points = log_spaced(last, count)
    assert points[-1] == last
    assert points[0] == 1
    assert points == sorted(set(points))
    assert len(points) == last if last <= count else len(points) <= count


def test_ten_thousand_steps_write_twelve_points() -> None:
    plan = chunks(training(steps=10_001), 4)
    points = [chunk.first + chunk.steps for chunk in plan if chunk.point]
    assert points[0] == 1
    assert points[-1] == 10_001
    assert len(points) <= 12
    # A full batch is one step, so a point is the loss of that step, not a mean.
    assert {chunk.window for chunk in plan} == {1}


@pytest.mark.parametrize(
    ("examples", "batch", "steps"),
    [(55_000, 100, 550), (1_197, 100, 11), (50, 100, 1), (4, None, 1), (7, 7, 1), (7, 3, 2)],
)
def test_the_remainder_of_an_epoch_is_dropped(examples: int, batch: int | None, steps: int) -> None:
    assert steps_per_epoch(examples, batch) == steps
