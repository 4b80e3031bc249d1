"""Early stopping, falling rates and stored order: off without a setting, exact with one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName, Training
from ablation_lab.training.execute import execute
from ablation_lab.training.order import batches
from ablation_lab.training.rules import Rules, fall
from ablation_lab.training.validate import validate_own_loop

MakeRun = Callable[..., Run]
DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 100},
    "model": {"family": "linear"},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
}
PLAIN = Training(epochs=1, steps=None, batch_size=2, loss="stable", l2=0.0)


def training(**settings: Any) -> Training:
    return Training(**{**vars(PLAIN), **settings})


def alone(run: Run) -> Record:
    (record,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
    assert record.status is Status.FINISHED, record.error
    return record


def said_of(rules: Rules, name: str, values: list[float]) -> list[bool]:
    """Say after which of these points of its curve, ten steps apart, a run stops.

    Its one weight is the number of the point.
    """
    return [
        bool(rules.say_stop(lambda _: [torch.tensor(float(n))], name, 10 * n, [value], [0]))  # noqa: B023
        for n, value in enumerate(values)
    ]


def test_without_settings_nothing_happens() -> None:
    rules = Rules(PLAIN, 1)
    assert not any(said_of(rules, "val_accuracy", [0.0] * 100))
    assert rules.best == rules.selected_step == {}


def test_the_rate_falls_by_ten_at_its_steps() -> None:
    falling = training(lr_milestones=(2, 3))
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    rates = []
    for step in range(5):
        fall(optimizer, falling, step)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1, 1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize(
    ("name", "values"), [("val_accuracy", [0.5, 0.7, 0.6, 0.6]), ("val_loss", [0.5, 0.3, 0.4, 0.4])]
)
def test_patience_stops_and_keeps_the_best(name: str, values: list[float]) -> None:
    rules = Rules(training(patience=2), 1)
    assert said_of(rules, name, values) == [False, False, False, True]
    assert [value.item() for value in rules.best[0]] == [1.0]
    assert rules.selected_step == {0: 10}


def test_the_best_on_validation_is_the_first_of_the_best_and_nothing_stops() -> None:
    rules = Rules(training(selection="best_on_validation"), 1)
    assert not any(said_of(rules, "val_accuracy", [0.5, 0.7, 0.7, *[0.6] * 50]))
    assert [value.item() for value in rules.best[0]] == [1.0]
    assert rules.selected_step == {0: 10}


def test_a_run_is_scored_in_its_best_state_validation_score(make_run: MakeRun) -> None:
    # A rate of 30 throws the run about, so that its last state is not its best one.
    settings = {**DIGITS, "optimizer": {"name": "sgd", "learning_rate": 30.0}}
    training = {"epochs": 12, "batch_size": 20}
    last = alone(make_run(**settings, training=training))
    best = alone(make_run(**settings, training={**training, "selection": "best_on_validation"}))
    assert best.curves == last.curves
    assert best.steps == last.steps
    shares = dict(best.curves["val_accuracy"])
    step = best.metrics["selected_step"]
    assert shares[int(step)] == max(shares.values()) > shares[last.steps]
    short = alone(make_run(**settings, training={"steps": int(step), "batch_size": 20}))
    assert best.metrics["test_accuracy"] == short.metrics["test_accuracy"]
    assert "selected_step" not in last.metrics


def test_a_run_stops_early_and_says_how_long_it_took(make_run: MakeRun) -> None:
    # A rate of 100 leaves the best state in the first epochs.
    settings = {**DIGITS, "optimizer": {"name": "sgd", "learning_rate": 1e2}}
    record = alone(make_run(**settings, training={"epochs": 25, "batch_size": 20, "patience": 2}))
    points = record.curves["val_accuracy"]
    assert record.steps == points[-1][0] < 25 * 5
    assert max(share for _, share in points) == points[-3][1]


def test_a_rate_that_falls_to_nothing_stands_still(make_run: MakeRun) -> None:
    common = {"batch_size": 100}
    short = alone(make_run(**DIGITS, training={"steps": 3, **common}))
    falls = list(range(3, 15))
    long = alone(
        make_run(**DIGITS, training={"steps": 30, "lr_milestones": falls, **common}, replicate=0)
    )
    assert long.metrics["test_accuracy"] == pytest.approx(
        short.metrics["test_accuracy"], abs=0.0034
    )  # one of 300 images: what a tenth of a step and less still moves


def test_stored_order_is_the_same_in_every_epoch() -> None:
    stored = training(shuffle=False)
    for seed in (0, 1):
        rows = islice(batches(stored, examples=5, seed=seed), 4)
        assert [each.tolist() for each in rows if each is not None] == [[0, 1], [2, 3]] * 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shuffle": "stored"}, "shuffle: expected bool, found 'stored'"),
        ({"patience": 0}, "patience: expected at least 1, found 0"),
        ({"lr_milestones": [3, 2]}, "lr_milestones: expected a rising list"),
        ({"lr_milestones": []}, "lr_milestones: expected a rising list"),
        ({"selection": "best_on_test"}, "selection: unknown value 'best_on_test'; nearest"),
    ],
)
def test_wrong_rules_are_refused(make_run: MakeRun, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make_run(training={"steps": 5, **settings})


def test_absent_rules_do_not_show_in_a_configuration(make_run: MakeRun) -> None:
    assert set(make_run().config["training"]) == {"epochs", "steps", "batch_size", "loss", "l2"}
    assert make_run(training__patience=3).config["training"]["patience"] == 3


def test_a_module_that_trains_by_itself_refuses_them() -> None:
    module = pl.LightningModule()
    validate_own_loop(module, PLAIN, "gan")
    with pytest.raises(ValueError, match=r"training.patience: family 'gan' trains by itself"):
        validate_own_loop(module, training(patience=2), "gan")
