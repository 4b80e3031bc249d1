"""Stacks hold each run once, equal shapes only, and say why."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.plan import LARGEST_STACK, estimated, plan, shape, why_alone
from experiments.run import Run, TrainerName
from experiments.schedule import once

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
        assert stack.trainer is (TrainerName.SOLO if alone else TrainerName.STACKED)
        assert len(stack.runs) == 1 or not alone
    trainers = [stack.trainer for stack in stacks]
    assert trainers == sorted(trainers, key=lambda name: name is TrainerName.SOLO)


def test_initialisation_and_rate_share_a_stack_and_nothing_else_does(make_run: MakeRun) -> None:
    runs = [make_run(cell=f"c{index}", **changes) for index, changes in enumerate(CHANGES)]
    (first, *_) = [s for s in plan(runs, data_root=None, plugins=()) if runs[0] in s.runs]
    assert {run.cell for run in first.runs} == {"c0", "c3", "c4"}


@pytest.mark.parametrize(("runs", "sizes"), [(1024, [1024]), (1025, [513, 512]), (1, [1])])
def test_no_stack_is_larger_than_the_largest(
    make_run: MakeRun, runs: int, sizes: list[int]
) -> None:
    first = make_run()
    many = [dataclasses.replace(first, replicate=n, key=str(n)) for n in range(runs)]
    stacks = plan(many, data_root=None, plugins=())
    assert sorted((len(stack.runs) for stack in stacks), reverse=True) == sizes
    assert max(sizes) <= LARGEST_STACK


def test_long_stacks_come_first(make_run: MakeRun) -> None:
    runs = [make_run(cell=str(steps), training__steps=steps) for steps in (10, 10_000, 100)]
    stacks = plan(runs, data_root=None, plugins=())
    assert [stack.runs[0].cell for stack in stacks] == ["10000", "100", "10"]
    assert [estimated(s) for s in stacks] == sorted(map(estimated, stacks), reverse=True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": {"family": "convnet"}, "data__name": "digits"}, "family convnet does not stack"),
        ({"training__batch_size": 2}, "mini-batches"),
        ({"optimizer__name": "adam"}, "optimiser adam with state"),
        ({"optimizer__momentum": 0.5}, "optimiser sgd with state"),
        ({"model__keep_prob": 0.9}, "dropout does not stack"),
        ({"model__init": "lsuv"}, "LSUV"),
        ({"model__widths": [64, 64]}, "more than 4096 weights"),
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
