"""What a trained run answers at points that its source asks about. Pure numpy.

Comes in: the points of ``training.ask``. Goes out: metrics ``answer_1``, ``answer_2``, …: the value
of a regression, the logit of a binary classifier (so that the points 0 and 1 give the weights of a
linear one); of several classes ``answer_1_class_0``, …: their probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ablation_lab.training.trained import Trained
from lightning_modules.task import Task


def answers(
    trained: Trained, points: Sequence[Sequence[float]], shape: tuple[int, ...]
) -> Mapping[str, float]:
    """Return the answers by name.

    Errors: ValueError for points that are no examples of this shape, and for a task without them.
    """
    if trained.task not in (Task.CLASSIFICATION, Task.REGRESSION):
        raise ValueError(f"training.ask: a task of kind {trained.task} has no answer at a point")
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
                f"training.ask: expected points of {size} numbers, found {list(point)}"
            )
    return np.array(points, dtype=np.float32).reshape(len(points), *shape)
