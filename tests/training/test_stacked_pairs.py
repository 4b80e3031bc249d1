"""Whatever may stack, stacks truly: every family with every optimiser, activation and loss.

Runs first; the names come from the registries, so that a new one is held to it from its first day.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from ablation_lab.data import DATASETS
from ablation_lab.study.stacking import STACKED_FAMILIES, STACKED_OPTIMIZERS, why_alone
from ablation_lab.training.minibatch import MiniBatch
from ablation_lab.training.single import build_module
from lightning_modules.losses import Loss
from lightning_modules.optimizers import torch_optimizers
from lightning_modules.registry import ACTIVATIONS, FAMILIES, OPTIMIZERS
from lightning_modules.signatures import signature_of
from tests.training.stacks import MakeRun, compare

DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 40},
    "training": {"steps": 4, "batch_size": 16, "loss": "stable"},
}
RAMP: dict[str, Any] = {
    "data": {"name": "ramp"},
    "training": {"steps": 4, "batch_size": 16, "loss": "stable"},
}
TEXT: dict[str, Any] = {"data": {"name": "hihello"}, "training": {"steps": 4, "loss": "stable"}}
# Every family that stacks, as small as it gets.
SMALL: dict[str, dict[str, Any]] = {
    "linear": {**DIGITS, "model": {"family": "linear"}},
    "mlp": {**DIGITS, "model": {"family": "mlp", "widths": [4, 3]}},
    "convnet": {**DIGITS, "model": {"family": "convnet", "channels": [2], "dense": [3]}},
    "resnet": {**DIGITS, "model": {"family": "resnet", "blocks": 1, "width": 2}},
    "autoencoder": {**DIGITS, "model": {"family": "autoencoder", "widths": [4, 2]}},
    "linear_regression": {**RAMP, "model": {"family": "linear_regression"}},
    "lstm": {**RAMP, "model": {"family": "lstm"}},
    "char_rnn": {**TEXT, "model": {"family": "char_rnn", "width": 3}},
}
# Of a family that classifies; all others have one form of the loss only.
CLASSIFIERS = ("linear", "mlp", "convnet", "resnet")
# Adadelta divides by the root of what it has seen so far, so that its first steps are tiny.
RATES = {"adadelta": 1.0}


@dataclass(frozen=True)
class Case:
    """One stack: a family with an optimiser, with an activation where it has one, and losses."""

    family: str
    optimizer: str
    activation: str | None
    losses: tuple[str, ...]

    def __str__(self) -> str:
        """Return what pytest calls it."""
        return " ".join(filter(None, (self.family, self.optimizer, self.activation)))


def activations_of(family: str) -> tuple[str | None, ...]:
    """Return the activations that a family may have; of one that has none, None."""
    settings = signature_of(FAMILIES.get(family)).settings
    return ACTIVATIONS.names() if "activation" in settings else (None,)


def cases_of(family: str, shift: int) -> list[Case]:
    """Return as few stacks as have every optimiser and every activation, paired by ``shift``."""
    activations = activations_of(family)
    losses = tuple(Loss) if family in CLASSIFIERS else (Loss.STABLE,)
    return [
        Case(
            family,
            STACKED_OPTIMIZERS[number % len(STACKED_OPTIMIZERS)],
            activations[(number + shift) % len(activations)],
            losses,
        )
        for number in range(max(len(STACKED_OPTIMIZERS), len(activations)))
    ]


CASES = [case for shift, family in enumerate(SMALL) for case in cases_of(family, shift)]


def test_no_family_optimiser_activation_or_loss_is_left_out() -> None:
    assert set(SMALL) == set(STACKED_FAMILIES)
    assert {(case.family, case.optimizer) for case in CASES} == set(
        product(STACKED_FAMILIES, STACKED_OPTIMIZERS)
    )
    for family in STACKED_FAMILIES:
        mine = [case for case in CASES if case.family == family]
        assert {case.activation for case in mine} == set(activations_of(family))
        losses = set(Loss) if family in CLASSIFIERS else {Loss.STABLE}
        assert {loss for case in mine for loss in case.losses} == losses
    # It clips the norm over all weights, and so would mix the runs of a stack.
    # Adafactor keeps sums over the rows and columns of a weight, which a stack has not.
    every = {*OPTIMIZERS.names(), *torch_optimizers()}
    assert every - set(STACKED_OPTIMIZERS) == {"momentum_clipped", "adafactor"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_pair_of_choices_stacks_truly(
    monkeypatch: pytest.MonkeyPatch, make_run: MakeRun, case: Case
) -> None:
    """Two runs, which differ in their replicate, and in their loss where there are two."""
    settings = {
        **SMALL[case.family],
        "optimizer": {"name": case.optimizer, "learning_rate": RATES.get(case.optimizer, 0.05)},
    }
    if case.activation is not None:
        settings["model__activation"] = case.activation
    runs = [
        make_run(replicate=n, **settings, training__loss=case.losses[n % len(case.losses)])
        for n in range(2)
    ]
    assert not any(why_alone(run.config, accelerator=True) for run in runs)
    compare(monkeypatch, runs, program=MiniBatch)


@pytest.mark.parametrize("family", sorted(set(SMALL) - set(CLASSIFIERS)))
def test_a_family_with_one_form_of_the_loss_refuses_the_other(
    make_run: MakeRun, family: str
) -> None:
    run = make_run(**SMALL[family], training__loss=Loss.UNCLIPPED)
    with pytest.raises(ValueError, match="one form only"):
        build_module(run, DATASETS.get(run.config["data"]["name"]))
