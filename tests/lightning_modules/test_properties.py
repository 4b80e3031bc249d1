"""The properties of registered functions can fail: each refuses what breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.registry import ACTIVATIONS, INITIALIZERS, OPTIMIZERS
from tests.lightning_modules.properties import (
    check_activation,
    check_initializer,
    check_optimizer,
)


def global_normal(weight: Tensor, *, generator: torch.Generator) -> None:
    """Draw from the global random state."""
    nn.init.normal_(weight)


def half(weight: Tensor, *, generator: torch.Generator) -> None:
    """Fill the first row only."""
    weight[0].normal_(generator=generator)


def ascent(parameters: list[nn.Parameter], *, learning_rate: float) -> torch.optim.Optimizer:
    """Go up."""
    return torch.optim.SGD(parameters, lr=learning_rate, maximize=True)


def silent(
    parameters: list[nn.Parameter], *, learning_rate: float, momentum: float = 0.9
) -> torch.optim.Optimizer:
    """Ignore momentum."""
    return torch.optim.SGD(parameters, lr=learning_rate)


@pytest.mark.parametrize(
    ("registry", "check", "broken", "said"),
    [
        (ACTIVATIONS, check_activation, lambda x: x.softmax(-1), "not close"),
        (ACTIVATIONS, check_activation, lambda x: x.clamp_(min=0), "changes what it is given"),
        (ACTIVATIONS, check_activation, lambda x: x.clamp(min=0).sqrt(), "gradient"),
        (ACTIVATIONS, check_activation, torch.sign, "lets no gradient through"),
        (INITIALIZERS, check_initializer, global_normal, "global random numbers"),
        (INITIALIZERS, check_initializer, half, "unfilled"),
        (INITIALIZERS, check_initializer, lambda weight, *, generator: None, "no docstring"),
        (OPTIMIZERS, check_optimizer, ascent, "does not descend"),
        (OPTIMIZERS, check_optimizer, silent, "ignores momentum in silence"),
    ],
)
def test_what_breaks_a_property_is_refused(
    registry: Any,
    check: Callable[[str], None],
    broken: Any,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry._things, "broken", broken)
    with pytest.raises(AssertionError, match=said):
        check("broken")
