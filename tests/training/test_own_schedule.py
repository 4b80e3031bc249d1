"""Recipes with a schedule of their own: whole epochs, and points at the steps that they name."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ablation_lab.study.run import TrainerName
from ablation_lab.study.stacking import why_alone
from ablation_lab.training.order import Order
from ablation_lab.training.plan import plan
from tests.training.stacks import (
    DIGITS,
    MakeRun,
    data_of,
    losses,
    same_result,
    train_single,
    train_stack,
)

# 60 examples in batches of 16: three full ones and one of 12.
KEEPING: dict[str, Any] = {
    **DIGITS,
    "training": {"epochs": 4, "batch_size": 16, "loss": "stable", "drop_last": False},
}


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 2**63 - 1))
def test_an_epoch_takes_each_example_once(examples: int, batch: int, seed: int) -> None:
    order = Order(examples=examples, batch_size=batch, seed=seed, whole=True)
    steps = -(-examples // batch)
    batches = list(islice(order, 2 * steps))
    for part in (batches[:steps], batches[steps:]):
        assert torch.cat(part).sort().values.tolist() == list(range(examples))
        assert {len(each) for each in part[:-1]} <= {batch}
    # As far as batches are full, it is the order of every other recipe.
    size = min(batch, examples)
    shuffled = islice(Order(examples=examples, batch_size=batch, seed=seed), examples // size)
    assert all(map(torch.equal, batches, shuffled))  # type: ignore[arg-type]


def test_without_a_remainder_it_is_the_solo_trainer(make_run: MakeRun) -> None:
    even = {**KEEPING, "training__batch_size": 20, "model__keep_prob": 0.8}
    alone = make_run(**even)
    kept, usual = train_single(alone), train_single(make_run(**even, training__drop_last=True))
    assert kept.curves == usual.curves
    x = data_of(alone).validation.x
    assert (kept.predict(x) == usual.predict(x)).all()


def test_an_epoch_has_one_step_more(make_run: MakeRun) -> None:
    kept, usual = (
        train_single(make_run(**{**KEEPING, "training__drop_last": dropped}))
        for dropped in (False, True)
    )
    assert (kept.steps, usual.steps) == (16, 12)
    assert losses(kept) != losses(usual)
    assert [step for step, _ in kept.curves["train_loss"]] == [4, 8, 12, 16]


def test_a_stack_that_keeps_the_remainder_is_its_runs(make_run: MakeRun) -> None:
    runs = [make_run(replicate=n, training__l2=0.01 * n, **KEEPING) for n in range(3)]
    assert not any(why_alone(run.config) for run in runs)
    for run, together in zip(runs, train_stack(runs), strict=True):
        alone = train_single(run)
        same_result(together, alone)
        x = data_of(run).validation.x
        assert together.predict(x) == pytest.approx(alone.predict(x), rel=1e-3, abs=1e-4)


def test_a_run_by_itself_goes_to_the_trainer_that_keeps(make_run: MakeRun) -> None:
    wide = make_run(**{**KEEPING, "model__widths": [600, 200]})
    (stack,) = plan([wide], data_root=None, plugins=())
    assert stack.trainer is TrainerName.SINGLE


POINTED: dict[str, Any] = {"training__steps": 50, "training__points": [7, 8, 9, 300]}


def test_named_points_change_nothing_but_where_the_curve_is_written(make_run: MakeRun) -> None:
    named, usual = make_run(**POINTED), make_run(training__steps=50)
    one, other = train_single(named), train_single(usual)
    steps = [step for step, _ in one.curves["train_loss"]]
    assert set(steps) == {7, 8, 9} | {step for step, _ in other.curves["train_loss"]}
    assert dict(other.curves["train_loss"]).items() <= dict(one.curves["train_loss"]).items()
    x = data_of(named).validation.x
    assert (one.predict(x) == other.predict(x)).all()


def test_a_stack_has_the_named_points_too(make_run: MakeRun) -> None:
    runs = [make_run(replicate=n, **POINTED) for n in range(2)]
    for run, together in zip(runs, train_stack(runs), strict=True):
        same_result(together, train_single(run))
