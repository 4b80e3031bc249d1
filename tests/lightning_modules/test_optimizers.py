"""Optimisers: the update of each, and settings that are refused."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules import tf_optimizers  # noqa: F401 - the file registers more
from lightning_modules.optimizers import (
    ADAM,
    build_optimizer,
    optimizer_settings,
    torch_optimizers,
)
from lightning_modules.registry import OPTIMIZERS, UnknownName
from lightning_modules.signatures import UNFIT
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


@pytest.mark.parametrize("name", [*OPTIMIZERS.names(), *torch_optimizers()])
def test_what_holds_of_every_optimizer(name: str) -> None:
    check_optimizer(name)


@pytest.mark.parametrize("name", STEPS)
def test_two_steps_by_the_formula(name: str) -> None:
    parameter = nn.Parameter(torch.zeros(3))
    optimizer = build_optimizer([parameter], {"name": name, "learning_rate": RATE})
    for expected in STEPS[name]:
        before = parameter.detach().clone()
        parameter.grad = torch.full((3,), 2.0)
        optimizer.step()
        change = parameter.detach() - before
        if expected is not None:
            torch.testing.assert_close(change, torch.full((3,), expected), rtol=1e-4, atol=1e-9)


def built(parameters: list[nn.Parameter], **settings: object) -> torch.optim.Optimizer:
    return build_optimizer(parameters, {"learning_rate": RATE, **settings})


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
def test_fused_for_float32_and_not_for_float64(name: str) -> None:
    single = built([nn.Parameter(torch.zeros(2))], name=name)
    double = built([nn.Parameter(torch.zeros(2, dtype=torch.float64))], name=name)
    assert single.defaults["fused"] is True
    assert not double.defaults["fused"]


def test_sgd_takes_momentum_and_momentum_takes_its_own() -> None:
    parameters = [nn.Parameter(torch.zeros(2))]
    for name in ("sgd", "momentum"):
        assert built(parameters, name=name, momentum=0.5).defaults["momentum"] == 0.5


def test_gradients_are_clipped_to_a_norm_of_50_over_all_parameters() -> None:
    parameters = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(2))]
    optimizer = built(parameters, name="momentum_clipped", momentum=0.5)
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
    parameters = [nn.Parameter(torch.zeros(2))]
    assert built(parameters, name="adam", epsilon=1e-7).defaults["eps"] == 1e-7
    assert build_optimizer(parameters, ADAM).defaults["eps"] == 1e-8


# Settings of ours, and the same of torch's class, with its own names.
AS_TORCH: list[tuple[dict[str, Any], Callable[..., torch.optim.Optimizer], dict[str, Any]]] = [
    ({"name": "adamw", "weight_decay": 0.1, "betas": [0.8, 0.9]}, torch.optim.AdamW,
     {"weight_decay": 0.1, "betas": (0.8, 0.9)}),
    ({"name": "adamw", "epsilon": 0.1}, torch.optim.AdamW, {"eps": 0.1}),
    ({"name": "adam", "weight_decay": 0.1, "amsgrad": True}, torch.optim.Adam,
     {"weight_decay": 0.1, "amsgrad": True}),
    ({"name": "sgd", "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}, torch.optim.SGD,
     {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    ({"name": "nadam", "momentum_decay": 0.1}, torch.optim.NAdam, {"momentum_decay": 0.1}),
    ({"name": "radam"}, torch.optim.RAdam, {}),
    ({"name": "adamax"}, torch.optim.Adamax, {}),
    ({"name": "asgd", "lambd": 0.1}, torch.optim.ASGD, {"lambd": 0.1}),
    ({"name": "rprop", "etas": [0.4, 1.3]}, torch.optim.Rprop, {"etas": (0.4, 1.3)}),
    ({"name": "adafactor", "d": 2.0}, torch.optim.Adafactor, {"d": 2.0}),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "kind", "theirs"), AS_TORCH, ids=lambda value: str(value)[:50])
def test_steps_are_those_of_torchs_class(
    ours: dict[str, Any], kind: Callable[..., torch.optim.Optimizer], theirs: dict[str, Any]
) -> None:
    ends = []
    for make in (
        lambda w: built([w], **ours),
        lambda w: kind([w], lr=RATE, **theirs),
    ):
        w = nn.Parameter(torch.tensor([[2.0, -1.0]], dtype=torch.float64))
        optimizer = make(w)
        for _ in range(8):
            optimizer.zero_grad()
            (w.square() / 2).sum().backward()
            optimizer.step()
        ends.append(w.detach().clone())
    assert torch.equal(*ends)


def test_every_optimizer_of_torch_has_a_name_here() -> None:
    here = {*OPTIMIZERS.names(), *torch_optimizers(), *UNFIT}
    kinds = [name for name, kind in vars(torch.optim).items() if isinstance(kind, type)]
    assert {name.lower() for name in kinds} <= here


@pytest.mark.parametrize("rate", [0, -1.0, math.inf, math.nan, "0.1", True, None])
def test_impossible_learning_rates(rate: object) -> None:
    with pytest.raises(ValueError, match="learning_rate: expected a finite number > 0"):
        optimizer_settings({"learning_rate": rate})


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("sgd", {"momentum": 1.0}),
        ("sgd", {"momentum": -0.1}),
        ("adam", {"epsilon": -1e-8}),
        ("adam", {"epsilon": None}),
        ("adamw", {"weight_decay": -1}),
    ],
)
def test_other_impossible_numbers(name: str, setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"optimizer '{name}': .*expected a finite number"):
        optimizer_settings({"name": name, "learning_rate": RATE, **setting})


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "adam", "momentum": 0.9},
        {"name": "sgd", "epsilon": 1e-8},
        {"name": "adamw", "lr": 1},
        {"name": "radam", "foreach": True},
    ],
)
def test_a_setting_without_effect_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UnknownName, match="unknown setting of optimizer"):
        build_optimizer([nn.Parameter(torch.zeros(2))], {"learning_rate": RATE, **settings})


def test_settings_from_a_mapping() -> None:
    found = optimizer_settings({"name": "momentum", "learning_rate": 0.5})
    assert found == {"name": "momentum", "learning_rate": 0.5, "momentum": 0.9, "nesterov": False}
    assert optimizer_settings(found) == found
    with pytest.raises(UnknownName, match="nearest: 'learning_rate'"):
        optimizer_settings({"learning_rat": 0.5})
    with pytest.raises(ValueError, match="'sgd': learning_rate: expected a value"):
        optimizer_settings({"name": "sgd"})
    with pytest.raises(UnknownName, match="nearest: 'adam'"):
        optimizer_settings({"name": "adm"})
    with pytest.raises(UnknownName, match=r"known: .*adamw"):
        optimizer_settings({"name": "lbfgs"})
