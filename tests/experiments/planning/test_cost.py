"""What a run costs: counted weights, and seconds that grow with the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from experiments.data import DATASETS
from experiments.planning.cost import (
    UNKNOWN_WEIGHTS,
    estimate,
    memory_of_run,
    multiply_adds,
    weights,
)
from experiments.run import Run
from experiments.trainers.solo import build_module

MakeRun = Callable[..., Run]


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"model__widths": [10, 10, 10]}, 2 * 10 + 10 * 10 + 10 * 10 + 10),
        ({"model": {"family": "linear"}}, 2),
        (
            {"model__widths": [256, 256], "data__name": "mnist"},
            784 * 256 + 256 * 256 + 256 * 10,
        ),
    ],
)
def test_dense_weights(make_run: MakeRun, changes: dict[str, Any], count: int) -> None:
    config = make_run(**changes).config
    assert weights(config) == multiply_adds(config) == count


@pytest.mark.parametrize(
    ("family", "data", "steps"),
    [("linear_regression", "ramp", 1), ("lstm", "ramp", 5), ("char_rnn", "hihello", 6)],
)
def test_weights_are_those_of_the_module(
    make_run: MakeRun, family: str, data: str, steps: int
) -> None:
    run = make_run(model={"family": family}, data__name=data, training__loss="stable")
    module = build_module(run, DATASETS.get(data))
    trained = sum(value.numel() for value in module.parameters() if value.dim() > 1)
    assert weights(run.config) == trained
    assert multiply_adds(run.config) == steps * trained
    assert memory_of_run(run.config) > 16 * trained


def test_convolutions_are_counted_by_position(make_run: MakeRun) -> None:
    config = make_run(model={"family": "convnet"}, data__name="mnist").config
    first, second = 28 * 28 * 1 * 32 * 9, 14 * 14 * 32 * 64 * 9
    assert multiply_adds(config) == first + second + 7 * 7 * 64 * 10


def test_an_unknown_family_has_a_guess(make_run: MakeRun) -> None:
    config = {**make_run().config, "model": {"family": "somebody's"}}
    assert multiply_adds(config) == UNKNOWN_WEIGHTS


def test_more_work_takes_longer(make_run: MakeRun) -> None:
    base = estimate(make_run().config, runs=1)
    assert estimate(make_run(training__steps=200).config, runs=1) > base
    assert estimate(make_run(model__widths=[500]).config, runs=1) > base
    assert estimate(make_run().config, runs=1000) > base
    # Together they take less than one by one: that is what a stack is for.
    assert estimate(make_run().config, runs=1000) < 1000 * base
