"""Early stopping and the best point on validation for the runs of a stack, each for itself.

Comes in: the training settings that the runs share, and the validation curves as they grow. Goes
out: the runs whose patience is at its end, and the state that the selection rule reports of each.
It is ``rules.Rules`` for K runs; without settings nothing happens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ablation_lab.study.run import BEST_ON_VALIDATION, Training

OfRun = Callable[[int], list[Tensor]]


class StackRules:
    """The rules of K runs, and what they remember of each.

    ``best`` holds, by run, the values of its parameters at the best point of its curve, and
    ``selected_step`` the step of that point; both are empty where no rule selects.
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

        ``values`` (K,) are those of all runs, ``of_run`` gives the parameters of one. An accuracy
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
