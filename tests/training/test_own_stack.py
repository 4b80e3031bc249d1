"""A module of a user's own that says it stacks trains in a stack as it does alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ablation_lab.study.key import run_key
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.stacking import why_alone
from ablation_lab.training import computing
from ablation_lab.training.plan import plan
from ablation_lab.training.validate import validate_stack
from tests.training.own_modules import Stacking
from tests.training.stacks import data_of, same_result, train_single, train_stack
from tests.training.tape import tape

MakeRun = Callable[..., Run]
pytestmark = pytest.mark.usefixtures("_own_modules")
OWN: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 60},
    "model": {"family": "test_stacking"},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "training": {"epochs": 4, "batch_size": 20},
}
RESNET: dict[str, Any] = {
    **OWN,
    "model": {"family": "resnet", "blocks": 1, "width": 2},
    "optimizer": {"name": "momentum", "learning_rate": 0.01, "momentum": 0.9},
}


def hold(runs: list[Run]) -> None:
    """Hold runs in a stack against the same runs alone."""
    for run, together in zip(runs, train_stack(runs), strict=True):
        alone = train_single(run)
        same_result(together, alone)
        x = data_of(run).validation.x
        np.testing.assert_allclose(together.predict(x), alone.predict(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("settings", [OWN, RESNET], ids=["own", "resnet"])
@pytest.mark.parametrize("training", [OWN["training"], {"steps": 15}], ids=["batches", "full"])
def test_a_stack_is_its_runs_normalisation_included(
    make_run: MakeRun, settings: dict[str, Any], training: dict[str, Any]
) -> None:
    hold([make_run(**{**settings, "training": training}, replicate=n) for n in range(3)])


def test_running_statistics_are_those_of_the_best_point(make_run: MakeRun) -> None:
    best = {**OWN["training"], "epochs": 8, "selection": "best_on_validation"}
    small = {"family": "resnet", "blocks": 1, "width": 1}
    runs = [make_run(**{**RESNET, "model": small, "training": best}, replicate=n) for n in range(3)]
    hold(runs)
    assert {trained.selected_step for trained in train_stack(runs)} != {24}


def test_capturing_a_step_leaves_the_statistics_alone(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(**RESNET, replicate=n) for n in range(2)]
    plain = train_stack(runs)
    monkeypatch.setitem(computing.CAPTURES, "cpu", tape)
    x = data_of(runs[0]).validation.x
    for one, other in zip(train_stack(runs), plain, strict=True):
        assert one.facts["step"] == "captured and replayed"
        np.testing.assert_allclose(one.predict(x), other.predict(x), rtol=1e-3, atol=1e-4)


def test_the_plan_stacks_what_says_so_and_says_why_not(make_run: MakeRun) -> None:
    runs = [make_run(**OWN, replicate=n) for n in range(3)]
    other = make_run(**{**OWN, "training": {**OWN["training"], "l2": 0.1}}, replicate=9)
    silent = make_run(**{**OWN, "model": {"family": "test_telling"}})
    stacks = plan([*runs, other, silent], data_root=None, plugins=())
    # Its own settings may mean anything, so runs of a stack differ in none of them.
    assert sorted(len(each.runs) for each in stacks) == [1, 1, 3]
    assert [each.reason for each in stacks if each.trainer is TrainerName.SINGLE] == [
        "family test_telling has a on_train_epoch_end, which a stack would not call"
    ]


def test_resnet_stacks_on_an_accelerator_alone(make_run: MakeRun) -> None:
    run = make_run(**RESNET)
    assert "convolutions" in why_alone(run.config)
    assert why_alone(run.config, accelerator=True) == ""
    augmented = make_run(**{**RESNET, "model": {**RESNET["model"], "augment": True}})
    assert "changed images" in why_alone(augmented.config, accelerator=True)


def test_the_key_is_that_of_the_promise(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_run(**OWN).config
    stacked = run_key(config, 0, 0)
    monkeypatch.setattr(Stacking, "stacks", False)
    from ablation_lab.study.key import config_digest

    config_digest.cache_clear()
    assert run_key(config, 0, 0) != stacked


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("stacking", ""),
        ("noisy", "random"),
        ("individual", "are others than alone"),
        ("wholematrix", "its optimiser is a LBFGS, expected one of SGD"),
        ("validating", "a stack would not call its validation_step"),
    ],
)
def test_a_promise_that_is_broken_is_refused_in_one_line(
    make_run: MakeRun, family: str, words: str
) -> None:
    run = make_run(**{**OWN, "model": {"family": f"test_{family}"}})
    said = validate_stack(Stack((run,), TrainerName.STACKED, "a test"))
    assert words in said
    assert "\n" not in said
    assert bool(said) == bool(words)
    if words:
        assert said.startswith(f"study/small.yaml: c: family 'test_{family}' says `stacks = True`")
