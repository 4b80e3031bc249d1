"""Stacks hold each run once, equal shapes only, and say why."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation_lab.data import DATASETS
from ablation_lab.runner.planning import once
from ablation_lab.study.key import run_key
from ablation_lab.study.run import Run, TrainerName
from ablation_lab.study.stacking import why_alone
from ablation_lab.training.cost import Accelerators, memory_of_run, step_elements
from ablation_lab.training.plan import (
    CACHED_ELEMENTS,
    LARGEST_STACK,
    SOONEST,
    TIMES,
    estimated,
    limit_of,
    plan,
    shape,
)

MakeRun = Callable[..., Run]
CHANGES: list[dict[str, Any]] = [
    {},
    {"model__widths": [2]},
    {"model__activation": "sigmoid"},
    {"model__init": "he_normal"},
    {"optimizer__learning_rate": 0.01},
    {"training__loss": "stable"},
    {"training__l2": 0.01},
    {"training__steps": 30},
    {"data__name": "points6"},
    {"model__keep_prob": 0.5},
    {"optimizer__name": "adam"},
    {"optimizer__momentum": 0.9},
    {"model__init": "lsuv"},
    {"training__batch_size": 2},
    {"training__batch_size": 2, "optimizer__name": "adam", "training__l2": 0.1},
    {"model": {"family": "convnet"}, "data__name": "digits"},
]


@given(counts=st.lists(st.integers(0, 6), min_size=len(CHANGES), max_size=len(CHANGES)))
def test_every_run_is_in_one_stack_of_its_shape(make_run: MakeRun, counts: list[int]) -> None:
    runs = [
        make_run(cell=f"c{index}", replicate=replicate, **changes)
        for index, (changes, count) in enumerate(zip(CHANGES, counts, strict=True))
        for replicate in range(count)
    ]
    stacks = plan(runs, data_root="/data", plugins=("p",))
    assert Counter(run.key for stack in stacks for run in stack.runs) == Counter(
        run.key for run in runs
    )
    for stack in stacks:
        assert len({shape(run) for run in stack.runs}) == 1
        assert (stack.data_root, stack.plugins) == ("/data", ("p",))
        assert stack.reason
        alone = bool(why_alone(stack.runs[0].config))
        assert stack.trainer is (TrainerName.SINGLE if alone else TrainerName.STACKED)
        assert len(stack.runs) == 1 or not alone
    trainers = [stack.trainer for stack in stacks]
    assert trainers == sorted(trainers, key=lambda name: name is TrainerName.SINGLE)


def test_initialisation_and_rate_share_a_stack_and_nothing_else_does(make_run: MakeRun) -> None:
    runs = [make_run(cell=f"c{index}", **changes) for index, changes in enumerate(CHANGES)]
    (first, *_) = [s for s in plan(runs, data_root=None, plugins=()) if runs[0] in s.runs]
    assert {run.cell for run in first.runs} == {"c0", "c3", "c4", "c12"}


def test_limits_change_neither_key_nor_stack_and_a_stack_has_those_of_its_runs(
    make_run: MakeRun,
) -> None:
    limited = {"limits__minutes": 0.5, "limits__memory": 2}
    runs = [make_run(cell="a"), make_run(cell="b", **limited), make_run(cell="c", **limited)]
    assert len({run_key(run.config, 0, 0) for run in runs}) == 1
    (stack,) = plan(runs, data_root=None, plugins=())
    every = limit_of(stack)  # of one of its runs nothing is said
    assert (every.seconds, every.bytes) == (SOONEST, math.inf)
    said = limit_of(dataclasses.replace(stack, runs=stack.runs[1:]))
    assert (said.seconds, said.bytes) == (60.0, 2e9)
    long = dataclasses.replace(stack, runs=(make_run(training__steps=10**9),))
    assert limit_of(long).seconds > TIMES * estimated(long) > 0


def test_dropout_loss_and_l2_share_a_stack_on_mini_batches(make_run: MakeRun) -> None:
    adam = {"optimizer__name": "adam", "training__batch_size": 2}
    together = [
        {},
        {"model__keep_prob": 0.5},
        {"training__loss": "stable"},
        {"training__l2": 0.1},
        {"model__init": "lsuv"},
    ]
    apart = [{"optimizer__learning_rate": 0.01}, {"training__steps": 7}, {"model__widths": [4]}]
    runs = [make_run(cell=f"c{n}", **adam, **each) for n, each in enumerate([*together, *apart])]
    stacks = [{run.cell for run in s.runs} for s in plan(runs, data_root=None, plugins=())]
    assert sorted(map(sorted, stacks)) == [["c0", "c1", "c2", "c3", "c4"], ["c5"], ["c6"], ["c7"]]


def test_an_accelerator_stacks_what_a_cpu_does_not_as_far_as_memory_goes(
    make_run: MakeRun,
) -> None:
    first = make_run(
        data__name="mnist",
        model={"family": "convnet", "channels": [32, 64]},
        training={"epochs": 1, "batch_size": 100},
        optimizer__name="adam",
    )
    runs = [dataclasses.replace(first, replicate=n, key=str(n)) for n in range(500)]
    on_a_cpu = plan(runs, data_root=None, plugins=())
    card = Accelerators.of(workers=1, card=10 << 30)
    on_a_card = plan(runs, data_root=None, plugins=(), accelerators=card)
    assert {len(stack.runs) for stack in on_a_cpu} == {1}
    assert sum(len(stack.runs) for stack in on_a_card) == 500
    for stack in on_a_card:
        assert 1 < len(stack.runs) <= 0.8 * (10 << 30) / memory_of_run(first.config)
        assert stack.reason.endswith("in 8.0 GiB (measured)")
    shared = Accelerators.of(workers=2, card=10 << 30, sharing=2)
    halves = plan(runs, data_root=None, plugins=(), accelerators=shared)
    assert len(halves) == pytest.approx(2 * len(on_a_card), abs=1)


def test_no_accelerator_waits_for_another(make_run: MakeRun) -> None:
    """A stack that fits one is cut where several workers would have nothing to do."""
    adam = {"data__name": "digits", "optimizer__name": "adam", "training__batch_size": 10}
    runs = [make_run(replicate=n, **adam) for n in range(10)]
    for workers, sizes in [(1, [10]), (4, [3, 3, 3, 1]), (20, [1] * 10)]:
        cards = Accelerators.of(workers=workers, card=None)
        stacks = plan(runs, data_root=None, plugins=(), accelerators=cards)
        assert [len(stack.runs) for stack in stacks] == sizes
    assert "1 for each of 20 workers" in stacks[0].reason
    assert "(assumed)" in stacks[0].reason


def test_a_run_that_is_spread_over_devices_trains_by_itself(make_run: MakeRun) -> None:
    runs = [make_run(replicate=n) for n in range(3)]
    stacks = plan(runs, data_root=None, plugins=(), devices=2)
    assert [(len(s.runs), s.trainer, s.devices) for s in stacks] == [(1, TrainerName.SINGLE, 2)] * 3
    assert {stack.reason for stack in stacks} == {"spread over 2 devices"}
    assert {stack.devices for stack in plan(runs, data_root=None, plugins=())} == {1}


def test_memory_counts_weights_and_maps(make_run: MakeRun) -> None:
    net = {"family": "convnet", "channels": [2], "dense": [5]}
    config = make_run(data__name="digits", model=net, training__batch_size=10).config
    order = 8 * DATASETS.get("digits").examples
    # 8x8 -> two maps, pooled to 4x4 -> 32 -> 5 -> 10; maps are counted before and after the pool.
    maps = 64 + 2 * 2 * 64 + 32 + 5 + 10
    assert memory_of_run(config) == 16 * (9 * 2 + 32 * 5 + 5 * 10 + 10 * maps) + order


@given(size=st.integers(1, 60))
def test_an_innermost_stack_stays_in_the_cache(make_run: MakeRun, size: int) -> None:
    first = make_run(model__widths=[size, size])
    runs = [dataclasses.replace(first, replicate=n, key=str(n)) for n in range(1500)]
    for stack in plan(runs, data_root=None, plugins=()):
        assert len(stack.runs) * step_elements(first.config) <= CACHED_ELEMENTS


@pytest.mark.parametrize(("runs", "sizes"), [(1024, [1024]), (1025, [513, 512]), (1, [1])])
def test_no_stack_is_larger_than_the_largest(
    make_run: MakeRun, runs: int, sizes: list[int]
) -> None:
    first = make_run()
    many = [dataclasses.replace(first, replicate=n, key=str(n)) for n in range(runs)]
    stacks = plan(many, data_root=None, plugins=())
    assert sorted((len(stack.runs) for stack in stacks), reverse=True) == sizes
    assert max(sizes) <= LARGEST_STACK


@pytest.mark.parametrize(("width", "size"), [(20, 128), (100, 32)])
def test_tiny_steps_share_a_larger_stack(make_run: MakeRun, width: int, size: int) -> None:
    settings = {"data__name": "digits", "optimizer__name": "adam", "training__batch_size": 10}
    first = make_run(model__widths=[width], **settings)
    runs = [dataclasses.replace(first, replicate=n, key=str(n)) for n in range(256)]
    assert {len(s.runs) for s in plan(runs, data_root=None, plugins=())} == {size}


def test_long_stacks_come_first(make_run: MakeRun) -> None:
    runs = [make_run(cell=str(steps), training__steps=steps) for steps in (10, 10_000, 100)]
    stacks = plan(runs, data_root=None, plugins=())
    assert [stack.runs[0].cell for stack in stacks] == ["10000", "100", "10"]
    assert [estimated(s) for s in stacks] == sorted(map(estimated, stacks), reverse=True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": {"family": "convnet"}, "data__name": "digits"}, "convolutions"),
        ({"model__widths": [300, 300]}, "more than 65536 weights"),
        ({"data__name": "mnist", "training__batch_size": 100}, "more than 256 inputs"),
        ({"optimizer__name": "adam", "training__batch_size": 2}, ""),
        ({"model__keep_prob": 0.9, "model__init": "lsuv"}, ""),
        ({"training__patience": 3, "training__lr_milestones": [2]}, ""),
        ({"model": {"family": "char_rnn"}, "data__name": "hihello"}, ""),
        ({"model": {"family": "lstm"}, "data__name": "ramp"}, ""),
        ({"model": {"family": "linear_regression"}, "data__name": "line2"}, ""),
        ({"model": {"family": "gan"}, "data__name": "digits"}, "family gan does not stack"),
        ({"optimizer__name": "ftrl", "training__batch_size": 2}, ""),
        ({"training__shuffle": False}, "a stored order"),
        ({}, ""),
    ],
)
def test_why_alone(make_run: MakeRun, changes: dict[str, Any], reason: str) -> None:
    found = why_alone(make_run(**changes).config)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_twins_train_once_and_keep_logits_if_one_does(make_run: MakeRun) -> None:
    run = make_run()
    twin = dataclasses.replace(run, study="other", keep_logits=True)
    other = make_run(replicate=1)
    assert once([run, twin, other]) == [twin, other]
    assert once([twin, run, other]) == [twin, other]
    assert once([run, dataclasses.replace(run, study="other")]) == [run]
