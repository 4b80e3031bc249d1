"""Early stopping, selection and falling rates in a stack: each run follows its own curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ablation_lab.study.stacking import descends_innermost, why_alone
from ablation_lab.training.descent import Descent
from ablation_lab.training.minibatch import MiniBatch
from lightning_modules.stack import LearnerStack
from tests.training.stacks import (
    DIGITS,
    MakeRun,
    compare,
    data_of,
    losses,
    train_single,
    train_stack,
)

# A rate that throws the runs about, so that their curves have best points of their own.
WILD: dict[str, Any] = {
    **DIGITS,
    "optimizer": {"name": "adam", "learning_rate": 0.1},
    "training": {"epochs": 24, "batch_size": 20, "loss": "stable"},
}
FULL: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 60},
    "model": {"family": "linear", "init": "normal"},
    "optimizer": {"name": "sgd", "learning_rate": 2.0},
    "training": {"epochs": 30, "loss": "stable"},
}


@pytest.mark.parametrize(
    ("settings", "program"),
    [
        ({**WILD, "training__patience": 3}, MiniBatch),
        ({**WILD, "training__selection": "best_on_validation"}, MiniBatch),
        ({**WILD, "training__patience": 4, "training__lr_milestones": [6, 9]}, MiniBatch),
        ({**FULL, "training__patience": 2}, Descent),
        ({**FULL, "training__lr_milestones": [3, 20]}, MiniBatch),
    ],
    ids=["patience", "selection", "patience and falls", "innermost patience", "innermost falls"],
)
def test_a_stack_with_rules_is_its_runs(
    monkeypatch: pytest.MonkeyPatch, make_run: MakeRun, settings: dict[str, Any], program: type
) -> None:
    runs = [make_run(replicate=n, **settings) for n in range(4)]
    assert not any(why_alone(run.config) for run in runs)
    together = compare(monkeypatch, runs, program=program)
    training = runs[0].config["training"]
    if training.get("patience"):
        assert len({trained.steps for trained in together}) > 1
    if training.get("patience") or training.get("selection"):
        assert all(t.selected_step in dict(t.curves["val_accuracy"]) for t in together)
        assert any(t.selected_step != t.steps for t in together)


@pytest.mark.parametrize("optimizer", ["momentum", "adam_tf"])
def test_a_stack_goes_on_without_the_runs_that_have_stopped(
    monkeypatch: pytest.MonkeyPatch, make_run: MakeRun, optimizer: str
) -> None:
    """Those that are left keep their loss, L2, order and what the optimiser keeps of them."""
    sizes, keep = [], LearnerStack.keep

    def keep_and_note(stack: LearnerStack, rows: Sequence[int]) -> None:
        keep(stack, rows)
        sizes.append(stack.size)

    monkeypatch.setattr(LearnerStack, "keep", keep_and_note)
    differences: list[dict[str, Any]] = [
        {"training__loss": "unclipped"},
        {},
        {"training__l2": 0.01},
        {"training__l2": 0.1, "training__loss": "unclipped"},
        {"model__init": "he_normal"},
    ]
    settings = {**WILD, "optimizer": {"name": optimizer, "learning_rate": 0.1}}
    settings["training"] = {**WILD["training"], "patience": 2}
    runs = [make_run(replicate=n, **settings, **each) for n, each in enumerate(differences)]
    compare(monkeypatch, runs, program=MiniBatch)
    assert sizes
    assert sizes[0] < len(runs) / 2


@pytest.mark.parametrize("keep_prob", [1.0, 0.8])
def test_a_run_that_stops_disturbs_no_neighbour(make_run: MakeRun, keep_prob: float) -> None:
    patient = {**WILD, "training__patience": 3, "model__keep_prob": keep_prob}
    runs = [make_run(replicate=n, **patient) for n in range(4)]
    every = train_stack(runs)
    last = max(range(4), key=lambda index: every[index].steps)
    assert every[last].steps > min(trained.steps for trained in every)
    (alone,) = train_stack([runs[last]])
    assert losses(every[last]) == pytest.approx(losses(alone), rel=1e-4)
    assert (every[last].steps, every[last].selected_step) == (alone.steps, alone.selected_step)


def test_a_fit_ends_when_no_run_is_left(make_run: MakeRun) -> None:
    patient = {**WILD, "training": {**WILD["training"], "epochs": 10**6, "patience": 2}}
    for trained in train_stack([make_run(replicate=n, **patient) for n in range(2)]):
        assert trained.steps < 10**6


def test_a_run_that_diverges_reports_its_best_state(make_run: MakeRun) -> None:
    """Its curve ends where it left the finite numbers; what it predicts is from before that."""
    settings = {**FULL, "training": {**FULL["training"], "loss": "unclipped", "patience": 9}}
    settings |= {"optimizer": {"name": "sgd", "learning_rate": 10.0}}
    runs = [make_run(replicate=n, **settings) for n in range(3)]
    for together, run in zip(train_stack(runs), runs, strict=True):
        alone, x = train_single(run), data_of(run).validation.x
        assert not alone.finite
        assert (together.finite, together.nonfinite_step) == (False, alone.nonfinite_step)
        assert together.steps == alone.steps
        assert together.selected_step == alone.selected_step
        assert together.predict(x) == pytest.approx(alone.predict(x), rel=1e-3, abs=1e-4)


def test_falling_rates_need_the_layout_that_has_them(make_run: MakeRun) -> None:
    assert descends_innermost(make_run(**FULL).config)
    assert not descends_innermost(make_run(**FULL, training__lr_milestones=[3]).config)
