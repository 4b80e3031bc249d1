"""The rules of n/c, each at its border."""

from __future__ import annotations

import math

import pytest

from ablation_lab.study.record import NoConvergence, chance, no_convergence


@pytest.mark.parametrize(("classes", "share"), [(1, 0.5), (2, 0.5), (7, 1 / 7), (10, 0.1)])
def test_chance(classes: int, share: float) -> None:
    assert chance(classes) == share


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite(loss: float) -> None:
    rule = no_convergence(finite=True, train_loss=loss, accuracy=1.0, classes=10)
    assert rule is NoConvergence.NON_FINITE


def test_a_parameter_that_is_not_finite_comes_first() -> None:
    rule = no_convergence(finite=False, train_loss=9.0, accuracy=0.0, classes=10)
    assert rule is NoConvergence.NON_FINITE


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_the_loss_of_guessing(classes: int) -> None:
    border = 0.98 * math.log(max(classes, 2))
    above = no_convergence(finite=True, train_loss=border + 1e-9, accuracy=1.0, classes=classes)
    at = no_convergence(finite=True, train_loss=border, accuracy=1.0, classes=classes)
    assert above is NoConvergence.LOSS_AT_CHANCE
    assert at is NoConvergence.NONE


def test_the_accuracy_of_guessing() -> None:
    at = no_convergence(finite=True, train_loss=0.1, accuracy=chance(10) + 0.05, classes=10)
    above = no_convergence(finite=True, train_loss=0.1, accuracy=0.1501, classes=10)
    assert at is NoConvergence.ACCURACY_AT_CHANCE
    assert above is NoConvergence.NONE


def test_none_is_false_and_empty_in_tables() -> None:
    assert not NoConvergence.NONE
    assert str(NoConvergence.NONE) == ""
