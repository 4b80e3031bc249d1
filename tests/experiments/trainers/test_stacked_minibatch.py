"""A stack on mini-batches is its solo runs, with dropout in distribution."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from experiments.run import Run
from experiments.trainers import stacked
from experiments.trainers.minibatch import MiniBatch
from experiments.trainers.trained import Trained
from tests.experiments.trainers.stacks import (
    DIGITS,
    MakeRun,
    compare,
    losses,
    train_solo,
    train_stack,
)


# Each of the choices that a mini-batch stack has, most of them in pairs.
@pytest.mark.parametrize(
    "settings",
    [
        {"model__activation": "relu", "model__init": "lsuv"},
        {"model__activation": "maxout", "model__init": "lsuv", "training__l2": 0.01},
        {"model__activation": "sigmoid", "optimizer": {"name": "sgd", "learning_rate": 0.1}},
        {"model__activation": "tanh", "optimizer": {"name": "momentum", "learning_rate": 0.05}},
        {"model__activation": "softsign", "optimizer": {"name": "rmsprop", "learning_rate": 0.01}},
        {"model__activation": "very_leaky_relu", "training__loss": "printed"},
        {"model__init": "xavier_uniform", "optimizer": {"name": "adagrad", "learning_rate": 0.1}},
        {"model__init": "he_normal", "optimizer": {"name": "adadelta", "learning_rate": 1.0}},
        {"model__init": "orthonormal", "training": {"epochs": 5, "loss": "stable"}},
        {"model__init": "normal_001", "training": {"steps": 10, "batch_size": 25}},
        {"model": {"family": "linear"}},
        {"model": {"family": "convnet", "channels": [3, 4], "conv_bias": True, "dense": [5]}},
        {"model": {"family": "convnet", "channels": [2], "activation": "maxout", "init": "lsuv"}},
    ],
    ids=lambda settings: " ".join(f"{k.rpartition('_')[2]}={v}" for k, v in settings.items()),
)
def test_a_stack_on_mini_batches_is_its_runs(
    monkeypatch: pytest.MonkeyPatch, make_run: MakeRun, settings: dict[str, Any]
) -> None:
    common = {key: value for key, value in DIGITS.items() if not _replaced(key, settings)}
    runs = [make_run(replicate=n, **common, **settings) for n in range(3)]
    compare(monkeypatch, runs, program=MiniBatch)


def _replaced(key: str, settings: dict[str, Any]) -> bool:
    return key in settings or (key.startswith("model__") and "model" in settings)


def test_runs_of_a_stack_may_differ_in_initialisation_loss_and_l2(
    monkeypatch: pytest.MonkeyPatch, make_run: MakeRun
) -> None:
    differences: list[dict[str, Any]] = [
        {"model__init": "normal"},
        {"model__init": "lsuv", "training__loss": "printed"},
        {"model__init": "zeros", "training__l2": 0.1, "replicate": 4},
    ]
    compare(monkeypatch, [make_run(**DIGITS, **each) for each in differences], program=MiniBatch)


def test_dropout_masks_belong_to_the_run(make_run: MakeRun) -> None:
    keeps = [0.5, 1.0, 0.8, 0.5]
    runs = [make_run(replicate=n, model__keep_prob=k, **DIGITS) for n, k in enumerate(keeps)]
    every, few = train_stack(runs), train_stack([runs[3], runs[0]])
    for one, other in ((every[3], few[0]), (every[0], few[1])):
        assert losses(one) == pytest.approx(losses(other), rel=1e-5)
    # The run that keeps every unit is the solo run, whatever its neighbours drop.
    assert losses(every[1]) == pytest.approx(losses(train_solo(runs[1])), rel=1e-5)
    # Two replicates and two keep_probs drop different units.
    assert losses(every[0]) != losses(every[3])


def test_dropout_is_that_of_a_solo_run_in_distribution(make_run: MakeRun) -> None:
    """Mean final loss of 60 replicates each way, within four standard errors of the difference."""
    runs = [make_run(replicate=n, model__keep_prob=0.6, **DIGITS) for n in range(60)]
    together = [trained.curves["train_loss"][-1][1] for trained in train_stack(runs)]
    alone = [train_solo(run).curves["train_loss"][-1][1] for run in runs]
    # Replicates share their draw and their order, so that the difference is paired.
    difference = torch.tensor(together) - torch.tensor(alone)
    error = float(difference.std()) / len(runs) ** 0.5
    assert 0 < abs(float(difference.mean())) < 4 * error


class Full(torch.OutOfMemoryError):
    """What an accelerator raises when its memory is full."""


def test_a_stack_that_does_not_fit_is_trained_in_halves(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(replicate=n, **DIGITS) for n in range(5)]
    whole = train_stack(runs)
    fits, tried = stacked._train_together, []

    def small(some: list[Run], *rest: Any) -> list[Trained]:
        tried.append(len(some))
        if len(some) > 2:
            raise Full
        return fits(some, *rest)

    monkeypatch.setattr(stacked, "_train_together", small)
    parts = train_stack(runs)
    assert tried == [5, 2, 3, 1, 2]
    for one, other in zip(whole, parts, strict=True):
        assert losses(one) == pytest.approx(losses(other), rel=1e-5)
    monkeypatch.setattr(stacked, "_train_together", lambda *_: (_ for _ in ()).throw(Full()))
    with pytest.raises(torch.OutOfMemoryError):
        train_stack(runs[:1])
