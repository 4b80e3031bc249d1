"""What a trainer gives back for one run, before the test set is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ablation_lab.study.record import Curve
from lightning_modules.task import Task

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Trained:
    """A trained run: curves, the step at which it left the finite numbers, and its predictor.

    ``predict`` maps examples (N, *shape) to logits (N, C), or to what else the ``task`` gives.
    ``finite`` says whether every loss and every parameter is finite; ``nonfinite_step`` is the
    first step (counted from 1) whose loss was not. ``selected_step`` is the step after which
    ``predict`` answers, None for the last.
    """

    curves: Mapping[str, Curve]
    steps: int
    parameters: int
    finite: bool
    nonfinite_step: int | None
    predict: Predict
    facts: Mapping[str, str] = field(default_factory=dict)
    task: Task = Task.CLASSIFICATION
    selected_step: int | None = None
