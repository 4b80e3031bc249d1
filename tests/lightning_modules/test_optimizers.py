"""Optimisers: the update of each, and settings that are refused."""

import math

import pytest
import torch
from torch import nn

from lightning_modules import tf_optimizers  # noqa: F401 - the file registers more
from lightning_modules.optimizers import (
    OPTIMIZERS,
    OptimizerSettings,
    build_optimizer,
    optimizer_settings,
)
from lightning_modules.registry import UnknownName
from tests.lightning_modules.properties import check_optimizer

RATE = 0.1
# name -> change of w after the 1st and the 2nd step with gradient 2, by the published formulas
STEPS = {
    "sgd": (-RATE * 2, -RATE * 2),
    "momentum": (-RATE * 2, -RATE * (2 + 0.9 * 2)),
    # Three gradients of 2 have a norm below 50.
    "momentum_clipped": (-RATE * 2, -RATE * (2 + 0.9 * 2)),
    "adam": (-RATE, -RATE),
    "rmsprop": (-RATE * 2 / math.sqrt(0.1 * 4), -RATE * 2 / math.sqrt(0.09 * 4 + 0.1 * 4)),
    "adagrad": (-RATE * 2 / math.sqrt(0.1 + 4), -RATE * 2 / math.sqrt(0.1 + 8)),
    "adadelta": (
        -RATE * math.sqrt(1e-8) / math.sqrt(0.05 * 4 + 1e-8) * 2,
        None,
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_what_holds_of_every_optimizer(name: str) -> None:
    check_optimizer(name)


@pytest.mark.parametrize("name", STEPS)
def test_two_steps_by_the_formula(name: str) -> None:
    parameter = nn.Parameter(torch.zeros(3))
    optimizer = build_optimizer([parameter], OptimizerSettings(name=name, learning_rate=RATE))
    for expected in STEPS[name]:
        before = parameter.detach().clone()
        parameter.grad = torch.full((3,), 2.0)
        optimizer.step()
        change = parameter.detach() - before
        if expected is not None:
            torch.testing.assert_close(change, torch.full((3,), expected), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_fused_for_float32_and_not_for_float64(name: str) -> None:
    settings = OptimizerSettings(name=name)
    single = build_optimizer([nn.Parameter(torch.zeros(2))], settings)
    double = build_optimizer([nn.Parameter(torch.zeros(2, dtype=torch.float64))], settings)
    assert single.defaults["fused"] is True
    assert not double.defaults["fused"]


def test_sgd_takes_momentum_and_momentum_takes_its_own() -> None:
    parameters = [nn.Parameter(torch.zeros(2))]
    for name in ("sgd", "momentum"):
        settings = OptimizerSettings(name=name, momentum=0.5)
        assert build_optimizer(parameters, settings).defaults["momentum"] == 0.5


def test_gradients_are_clipped_to_a_norm_of_50_over_all_parameters() -> None:
    parameters = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(2))]
    optimizer = build_optimizer(
        parameters, OptimizerSettings(name="momentum_clipped", learning_rate=RATE, momentum=0.5)
    )
    # |(30, 0, 40)| = 50 stays, ten times that becomes it; v2 = 0.5 v1 + g2.
    for size, change in [(1, 1.0), (10, 1.5)]:
        before = [parameter.detach().clone() for parameter in parameters]
        parameters[0].grad = torch.tensor([30.0 * size])
        parameters[1].grad = torch.tensor([0.0, 40.0 * size])
        optimizer.step()
        moved = [p.detach() - old for p, old in zip(parameters, before, strict=True)]
        torch.testing.assert_close(
            torch.cat(moved), -RATE * change * torch.tensor([30.0, 0.0, 40.0]), rtol=1e-4, atol=0
        )


def test_epsilon_is_passed_on() -> None:
    settings = OptimizerSettings(name="adam", epsilon=1e-7)
    optimizer = build_optimizer([nn.Parameter(torch.zeros(2))], settings)
    assert optimizer.defaults["eps"] == 1e-7
    assert (
        build_optimizer([nn.Parameter(torch.zeros(2))], OptimizerSettings()).defaults["eps"] == 1e-8
    )


@pytest.mark.parametrize("rate", [0, -1.0, math.inf, math.nan, "0.1", True, None])
def test_impossible_learning_rates(rate: object) -> None:
    with pytest.raises(ValueError, match="learning_rate: expected a finite number > 0"):
        OptimizerSettings(learning_rate=rate)


@pytest.mark.parametrize("settings", [{"momentum": 1.0}, {"momentum": -0.1}, {"epsilon": -1e-8}])
def test_other_impossible_numbers(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected a finite number"):
        OptimizerSettings(**settings)


@pytest.mark.parametrize(
    "settings",
    [{"name": "adam", "momentum": 0.9}, {"name": "sgd", "epsilon": 1e-8}],
)
def test_a_setting_without_effect_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"leave it out"):
        build_optimizer([nn.Parameter(torch.zeros(2))], OptimizerSettings(**settings))


def test_settings_from_a_mapping() -> None:
    found = optimizer_settings({"name": "sgd", "learning_rate": 0.5})
    assert found == OptimizerSettings(name="sgd", learning_rate=0.5)
    assert optimizer_settings(found) is found
    with pytest.raises(ValueError, match="nearest: 'learning_rate'"):
        optimizer_settings({"learning_rat": 0.5})
    with pytest.raises(UnknownName, match="nearest: 'adam'"):
        optimizer_settings({"name": "adm"})
