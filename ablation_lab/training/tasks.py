"""What a run's outputs are worth on the test part, by task. Pure numpy, without torch.

Comes in: what the trained module gives for the test examples. Goes out: final metrics by name.
The names are the same in every study: ``test_accuracy`` (classes, or symbols of a sequence),
``test_loss`` (mean squared error per entry), ``test_distance`` (energy distance); where the test
set is the training set they start with ``train_``, and ``train_fit`` is the squared error there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablation_lab.data import Part
from ablation_lab.study.record import Curve
from ablation_lab.training.scoring import accuracy_of
from lightning_modules.task import Task

COMPARED = 1000


@dataclass(frozen=True)
class Scores:
    """Final metrics, and the accuracy among them where the task has one."""

    metrics: Mapping[str, float]
    accuracy: float | None


def score(task: Task, outputs: NDArray[np.float32], test: Part, *, test_is_train: bool) -> Scores:
    """Measure outputs on the test part; shapes as in ``lightning_modules.task``."""
    prefix = "train" if test_is_train else "test"
    match task:
        case Task.CLASSIFICATION | Task.SEQUENCE:
            accuracy = accuracy_of(outputs, test.y)
            return Scores({f"{prefix}_accuracy": accuracy}, accuracy)
        case Task.REGRESSION:
            error = _mean_square(outputs - test.y)
            metrics = {"train_fit" if test_is_train else "test_loss": error}
            if outputs.size == 1:
                # One test example is a question of the source: its answer is a number of its own.
                metrics["prediction"] = float(outputs.reshape(()))
            return Scores(metrics, None)
        case Task.RECONSTRUCTION:
            error = _mean_square(outputs.reshape(test.x.shape) - test.x)
            return Scores({"train_fit" if test_is_train else "test_loss": error}, None)
        case Task.GENERATION:
            return Scores({f"{prefix}_distance": energy_distance(outputs, test.x)}, None)


def energy_distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return 2 E|a - b| - E|a - a'| - E|b - b'| over the first 1,000 rows of each."""
    first, second = (part[:COMPARED].reshape(len(part[:COMPARED]), -1) for part in (a, b))
    return 2 * _distance(first, second) - _distance(first, first) - _distance(second, second)


def first_exact_step(curve: Curve) -> float | None:
    """Return the step, counted from 0, after which every symbol was right first; None if never."""
    exact = [step for step, share in curve if share == 1.0]
    return float(exact[0] - 1) if exact else None


def _mean_square(difference: NDArray[np.float32]) -> float:
    # A run that diverged gives infinite squares, which are its result and no reason to warn.
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.square(difference.astype(np.float64)).mean())


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the mean Euclidean distance over all pairs of rows."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T
    return float(np.sqrt(np.maximum(squares, 0)).mean())
