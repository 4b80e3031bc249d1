"""Rules of a recipe beside its steps: when the learning rate falls, and when training stops early.

Comes in: the training settings, and the validation curve as it grows. Goes out: changed learning
rates, the word to stop, and the state that the selection rule reports: the best on validation
instead of the last. Without settings nothing happens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablation_lab.study.run import BEST_ON_VALIDATION, Training

DIVISOR = 10.0

OfRun = Callable[[int], list[Tensor]]


def fall(optimizer: torch.optim.Optimizer, training: Training, step: int) -> None:
    """Divide the learning rate by 10 if ``step``, counted from 0, is one of those named for it."""
    if step in (training.lr_milestones or ()):
        for group in optimizer.param_groups:
            group["lr"] /= DIVISOR


class Schedule:
    """A schedule of the learning rate, in the form that Lightning takes, for epochs of some steps.

    It moves on where Lightning's own loop would: after each step, or after each whole epoch.
    """

    def __init__(self, settings: Mapping[str, Any], steps_per_epoch: int) -> None:
        self._scheduler: Any = settings["scheduler"]
        self._interval = 1 if settings["interval"] == "step" else steps_per_epoch
        self._watches = isinstance(self._scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
        self._losses: list[Tensor] = []

    def after_step(self, step: int, loss: Tensor) -> None:
        """Note the loss of ``step``, counted from 1, and move on if an interval ends with it."""
        if self._watches:
            self._losses.append(loss)
        if step % self._interval:
            return
        if self._watches:
            self._scheduler.step(float(torch.stack(self._losses).mean()))
            self._losses.clear()
        else:
            self._scheduler.step()


class Rules:
    """The rules of K runs, and what they remember of each.

    ``best`` holds, by run, its values at the best point of its curve, and ``selected_step`` the
    step of that point; both are empty where no rule selects.
    """

    def __init__(self, training: Training, size: int) -> None:
        self._patience = training.patience or math.inf
        self._selects = training.patience is not None or training.selection == BEST_ON_VALIDATION
        self._best_value: NDArray[np.float64] = np.full(size, -np.inf)
        self._waited = np.zeros(size, dtype=int)
        self.best: dict[int, list[Tensor]] = {}
        self.selected_step: dict[int, int] = {}

    def say_stop(
        self, of_run: OfRun, name: str, step: int, values: Sequence[float], runs: Sequence[int]
    ) -> list[int]:
        """Note a point of the curves ``name`` of these runs; return those that stop.

        ``values`` (K,) are those of all runs, ``of_run`` gives what one consists of. An accuracy
        is better where it is higher, a loss or distance where it is lower. Of equal points the
        first is kept, and a NaN is better than none of them.
        """
        if not self._selects or not runs:
            return []
        rows = np.asarray(runs)
        found = np.asarray(values, dtype=float)[rows] * (1 if name.endswith("accuracy") else -1)
        better = found > self._best_value[rows]
        self._best_value[rows[better]] = found[better]
        self._waited[rows] = np.where(better, 0, self._waited[rows] + 1)
        for run in rows[better].tolist():
            self.best[run] = [value.clone() for value in of_run(run)]
            self.selected_step[run] = step
        ended: list[int] = rows[self._waited[rows] >= self._patience].tolist()
        return ended
