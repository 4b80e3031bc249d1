"""What a run's outputs are worth on the test part, by task. Pure numpy, without torch.

Comes in: what the trained module gives for the test examples. Goes out: final metrics by name.
The names are the same in every study: ``test_accuracy`` (classes, or symbols of a sequence),
``test_loss`` (mean squared error per entry), ``test_distance`` (energy distance); where the test
set is the training set they start with ``train_``, and ``train_fit`` is the squared error there.
What a run answers at points that its source asks about are ``answer_1``, ``answer_2``, …: the value
of a regression, the logit of a binary classifier (so that the points 0 and 1 give the weights of a
linear one); of several classes ``answer_1_class_0``, …: their probabilities.

Shapes: logits (N, C), labels (N,); C = 1 is binary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation_lab.data import Part
from ablation_lab.study.metric import METRICS
from ablation_lab.study.record import Curve
from ablation_lab.training.fault import trying
from lightning_modules.task import Task, compared

if TYPE_CHECKING:
    from ablation_lab.training.trained import Trained

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

COMPARED = 1000
WITH_HITS = (Task.CLASSIFICATION, Task.SEQUENCE)


def predictions(scores: Floats) -> Labels:
    """Return the class of each example: the largest score, or sigmoid(z) > 0.5 where C = 1.

    The sigmoid is computed in float32, as in the loss: near z = 0 it rounds to 0.5, class 0.
    """
    if scores.shape[-1] > 1:
        return np.asarray(scores.argmax(-1), dtype=np.int64)
    return np.asarray(_sigmoid(scores[..., 0]) > 0.5, dtype=np.int64)


def _sigmoid(z: Floats) -> Floats:
    # tanh does not overflow where exp(-z) would.
    half = np.float32(0.5)
    return np.asarray(half + half * np.tanh(half * z.astype(np.float32)), dtype=np.float32)


def accuracy_of(scores: Floats, labels: Labels) -> float:
    """Return the share of rightly classified examples; a row with a NaN is wrong.

    Errors: ValueError for labels that are not one for each row.
    """
    return float(_right(*compared(Task.CLASSIFICATION, scores, scores, labels)).mean())


def _right(scores: Floats, labels: Labels) -> NDArray[np.bool_]:
    return np.asarray((predictions(scores) == labels) & ~np.isnan(scores).any(-1), dtype=np.bool_)


def kept_hits(task: Task, outputs: Floats, targets: Labels) -> NDArray[np.bool_]:
    """Return which test items (M,) are right: examples, or every symbol of the sequences.

    Errors: ValueError for a task whose examples are not right or wrong.
    """
    if task not in WITH_HITS:
        raise ValueError(
            f"training.keep_hits: expected a task with classes, found one of kind {task.value}, "
            f"whose test examples are not right or wrong"
        )
    return _right(outputs, targets).ravel()


@dataclass(frozen=True)
class Scores:
    """Final metrics, and the accuracy among them where the task has one."""

    metrics: Mapping[str, float]
    accuracy: float | None


def score(task: Task, outputs: NDArray[np.float32], test: Part, *, test_is_train: bool) -> Scores:
    """Measure outputs on the test part; shapes as in ``lightning_modules.task``.

    Errors: ValueError for those that do not agree.
    """
    outputs, targets = compared(task, outputs, test.x, test.y)
    prefix = "train" if test_is_train else "test"
    match task:
        case Task.CLASSIFICATION | Task.SEQUENCE:
            accuracy = accuracy_of(outputs, targets)
            return Scores({f"{prefix}_accuracy": accuracy}, accuracy)
        case Task.REGRESSION:
            error = _mean_square(outputs - targets)
            metrics = {"train_fit" if test_is_train else "test_loss": error}
            if outputs.size == 1:
                # One test example is a question of the source: its answer is a number of its own.
                metrics["prediction"] = float(outputs.reshape(()))
            return Scores(metrics, None)
        case Task.RECONSTRUCTION:
            error = _mean_square(outputs - targets)
            return Scores({"train_fit" if test_is_train else "test_loss": error}, None)
        case Task.OWN:
            return Scores({}, None)
        case Task.GENERATION:
            return Scores({f"{prefix}_distance": energy_distance(outputs, targets)}, None)


def measured(task: Task, *, test_is_train: bool) -> tuple[str, ...]:
    """Return the names of what ``score`` and the record of a run have for such a task."""
    prefix, loss = ("train", "train_fit") if test_is_train else ("test", "test_loss")
    accuracy = (f"{prefix}_accuracy", *(("success",) if test_is_train else ()))
    return {
        Task.CLASSIFICATION: accuracy,
        Task.SEQUENCE: (*accuracy, "first_exact_step"),
        Task.REGRESSION: (loss, "prediction"),
        Task.RECONSTRUCTION: (loss,),
        Task.GENERATION: (f"{prefix}_distance",),
        Task.OWN: (),
    }[task]


# All that the lab measures itself, in one task or another.
OWN_NAMES = frozenset(
    name for task in Task for whole in (True, False) for name in measured(task, test_is_train=whole)
)


def registered(
    names: Sequence[str], outputs: NDArray[np.float32], targets: NDArray[Any]
) -> dict[str, float]:
    """Return the metrics of these names that are functions of outputs and targets.

    Both are handed over in shapes that agree.
    Errors: UnknownName; whatever a function raises, which knows the metric.
    """
    found = {}
    for name in names:
        function = METRICS.get(name).function
        if function is not None:
            with trying(f"computing metric {name!r}"):
                found[name] = float(function(outputs, targets))
    return found


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


def answers(
    trained: Trained, points: Sequence[Sequence[float]], shape: tuple[int, ...]
) -> Mapping[str, float]:
    """Return the answers by name.

    Errors: ValueError for points that are no examples of this shape, and for a task without them.
    """
    if trained.task not in (Task.CLASSIFICATION, Task.REGRESSION):
        raise ValueError(
            f"training.predict_at: a task of kind {trained.task} has no answer at a point"
        )
    outputs = trained.predict(asked(points, shape)).astype(np.float64)
    found: dict[str, float] = {}
    for number, row in enumerate(outputs.reshape(len(points), -1), start=1):
        if len(row) == 1:
            found[f"answer_{number}"] = float(row[0])
            continue
        shares = np.exp(row - row.max())
        for name, share in enumerate(shares / shares.sum()):
            found[f"answer_{number}_class_{name}"] = float(share)
    return found


def asked(points: Sequence[Sequence[float]], shape: tuple[int, ...]) -> np.ndarray:
    """Return the points as examples (N, *shape).

    Errors: ValueError that names the first point of another size.
    """
    size = int(np.prod(shape))
    for point in points:
        if len(point) != size:
            raise ValueError(
                f"training.predict_at: expected points of {size} numbers, found {list(point)}"
            )
    return np.array(points, dtype=np.float32).reshape(len(points), *shape)
