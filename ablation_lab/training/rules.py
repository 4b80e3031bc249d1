"""Rules of a recipe beside its steps: when the learning rate falls, and when training stops early.

Comes in: the training settings, and the validation curve as it grows. Goes out: changed learning
rates, the word to stop, and the state that the selection rule reports: the best on validation
instead of the last. Without settings nothing happens.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from ablation_lab.study.run import BEST_ON_VALIDATION, Training

DIVISOR = 10.0


class Rules:
    """The rules of one run, and what they remember."""

    def __init__(self, training: Training) -> None:
        self._falls = frozenset(training.divide_rate_at or ())
        self._patience = training.patience or math.inf
        self._selects = training.patience is not None or training.selection == BEST_ON_VALIDATION
        self._best: dict[str, Any] | None = None
        self._best_value = float("-inf")
        self._waited = 0
        self.selected_step: int | None = None

    def before_step(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Divide the learning rate by 10 if ``step``, counted from 0, is one of the falls."""
        if step in self._falls:
            for group in optimizer.param_groups:
                group["lr"] /= DIVISOR

    def says_stop(self, module: nn.Module, name: str, step: int, value: float) -> bool:
        """Note a point of the validation curve ``name``; say whether the patience is at its end.

        An accuracy is better where it is higher, a loss or distance where it is lower. Of equal
        points the first is kept.
        """
        if not self._selects:
            return False
        found = value if name.endswith("accuracy") else -value
        if found > self._best_value:
            self._best_value, self._waited, self.selected_step = found, 0, step
            self._best = copy.deepcopy(module.state_dict())
        else:
            self._waited += 1
        return self._waited >= self._patience

    def give_back(self, module: nn.Module) -> None:
        """Set the module to its best state, if a rule selects it."""
        if self._best is not None:
            module.load_state_dict(self._best)


def refuse_rules(training: Training, family: str) -> None:
    """Refuse rules for a module that Lightning fits batch by batch: they would be ignored.

    Errors: ValueError.
    """
    for name in ("patience", "divide_rate_at", "selection"):
        value = getattr(training, name)
        if value:
            raise ValueError(
                f"training.{name}: family {family!r} trains by itself and would ignore {value!r}; "
                "leave it out, or set it in the module"
            )
