"""A stack on mini-batches is its solo runs, with dropout in distribution."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ablation_lab.study.run import Run
from ablation_lab.training import stacked
from ablation_lab.training.minibatch import MiniBatch
from ablation_lab.training.trained import Trained
from tests.training.stacks import (
    DIGITS,
    MakeRun,
    compare,
    data_of,
    losses,
    train_single,
    train_stack,
)

# A weight that only empty pixels reach has a gradient of 0, or of rounding, 1e-9, where a card adds
# in another order. Of that Adam by itself makes a step of 0.01; with this epsilon it makes none,
# and of the others, around 1e-2, what it always does.
STEADY = {"name": "adam", "learning_rate": 0.01, "epsilon": 1e-4}


# Each of the choices that a mini-batch stack has, most of them in pairs.
@pytest.mark.parametrize(
    "settings",
    [
        {"model__activation": "relu", "model__init": "lsuv"},
        {"model__activation": "maxout", "model__init": "lsuv", "training__l2": 0.01},
        {"model__activation": "sigmoid", "optimizer": {"name": "sgd", "learning_rate": 0.1}},
        {"model__activation": "tanh", "optimizer": {"name": "momentum", "learning_rate": 0.05}},
        {"model__activation": "softsign", "optimizer": {"name": "rmsprop", "learning_rate": 0.01}},
        {"model__activation": "very_leaky_relu", "training__loss": "unclipped"},
        {"model__init": "xavier_uniform", "optimizer": {"name": "adagrad", "learning_rate": 0.1}},
        {"model__init": "he_normal", "optimizer": {"name": "adadelta", "learning_rate": 1.0}},
        {"model__init": "orthonormal", "training": {"epochs": 5, "loss": "stable"}},
        {"model__init": "normal_001", "training": {"steps": 10, "batch_size": 25}},
        {"model": {"family": "linear"}},
        {
            "model": {"family": "convnet", "channels": [3, 4], "conv_bias": True, "dense": [5]},
            "optimizer": STEADY,
        },
        {
            "model": {"family": "convnet", "channels": [2], "activation": "maxout", "init": "lsuv"},
            "optimizer": STEADY,
        },
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
        {"model__init": "lsuv", "training__loss": "unclipped"},
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
    assert losses(every[1]) == pytest.approx(losses(train_single(runs[1])), rel=1e-5)
    # Two replicates and two keep_probs drop different units.
    assert losses(every[0]) != losses(every[3])


@pytest.mark.parametrize(
    "model",
    [
        {"family": "mlp", "widths": [6, 5], "keep_prob": 0.6},
        {"family": "convnet", "channels": [3], "keep_prob": 0.6},
    ],
    ids=lambda model: model["family"],
)
def test_dropout_is_that_of_a_solo_run_in_distribution(
    make_run: MakeRun, model: dict[str, Any]
) -> None:
    """Final loss and validation accuracy of 60 replicates each way, in the mean.

    Replicates share their draw and their order, so that differences are paired; their mean has to
    lie within four of its standard errors of 0.
    """
    runs = [make_run(replicate=n, **_on_digits(model)) for n in range(60)]
    together, alone = train_stack(runs), [train_single(run) for run in runs]
    for name in ("train_loss", "val_accuracy"):
        ends = [[one.curves[name][-1][1] for one in trained] for trained in (together, alone)]
        difference = torch.tensor(ends[0]) - torch.tensor(ends[1])
        error = float(difference.std()) / len(runs) ** 0.5
        # No masks are the solo run's own.
        assert error > 0
        assert abs(float(difference.mean())) < 4 * error


def _on_digits(model: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in DIGITS.items() if not k.startswith("model__")}, "model": model}


def test_a_run_that_diverges_disturbs_no_neighbour(make_run: MakeRun) -> None:
    """With Adam, on mini-batches: what the neighbours leave is the same to the last bit."""
    wide, printed = {**DIGITS, "model__widths": [30, 30]}, {"training__loss": "unclipped"}
    runs = [make_run(replicate=n, model__init="he_normal", **wide) for n in range(4)]
    runs[2] = make_run(replicate=2, model__init="he_normal", **wide, **printed)
    # Of logits so far apart the printed loss takes the logarithm of 0.
    wild = make_run(replicate=2, model__init="normal", **wide, **printed)
    calm, disturbed = train_stack(runs), train_stack([*runs[:2], wild, runs[3]])
    alone = train_single(wild)
    assert not disturbed[2].finite
    assert (disturbed[2].steps, disturbed[2].nonfinite_step) == (alone.steps, alone.nonfinite_step)
    assert calm[2].finite
    x = data_of(wild).validation.x
    for index in (0, 1, 3):
        assert disturbed[index].finite
        assert disturbed[index].curves == calm[index].curves
        assert disturbed[index].predict(x).tolist() == calm[index].predict(x).tolist()


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
