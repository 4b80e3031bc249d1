"""What a module is trained for; it decides what is measured. Standard library only.

Shapes are held against each other here, for torch tensors and for numpy arrays: of two arrays that
do not agree both libraries broadcast, and measure something else without a word.
"""

from enum import StrEnum
from math import prod
from typing import Any


class Task(StrEnum):
    """The kinds of task. A module says its own as the attribute `task`; without, it classifies.

    Shapes of what `forward` gives for examples x (B, ...), and of the targets y:

    - CLASSIFICATION: logits (B, C), y (B,) of class numbers
    - SEQUENCE: logits (B, T, C), y (B, T) of class numbers
    - REGRESSION: numbers (B, N), y (B, N)
    - RECONSTRUCTION: x again, of the shape of x; y is not looked at
    - GENERATION: new examples, of the shape of x; neither x nor y is looked at
    - OWN: anything; nothing is measured but what the module logs itself
    """

    CLASSIFICATION = "classification"
    SEQUENCE = "sequence"
    REGRESSION = "regression"
    RECONSTRUCTION = "reconstruction"
    GENERATION = "generation"
    OWN = "own"


# What labels need, beside being class numbers.
ONE_ROW = "a row of logits, one for each class, for each label"


def task_of(module: object) -> Task:
    """Return the module's task."""
    return Task(getattr(module, "task", Task.CLASSIFICATION))


def compared(task: Task, outputs: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Return outputs and what they are held against, in the shapes that `Task` says.

    An axis of one entry may be missing or too many, which changes no number: targets (B,) for
    outputs (B, 1), labels (B, 1), logits (B,) of two classes; and an image may be a row.
    Errors: ValueError, one line with both shapes and what to do, for those that do not agree;
    and for labels that are no class numbers.
    """
    match task:
        case Task.OWN:
            return outputs, y
        case Task.RECONSTRUCTION | Task.GENERATION:
            if len(outputs) != len(x) or prod(outputs.shape) != prod(x.shape):
                raise disagreement(outputs, "examples", x, "one entry for each of theirs")
            return outputs.reshape(x.shape), x
        case Task.REGRESSION:
            if _without_ones(outputs.shape) != _without_ones(y.shape):
                raise disagreement(outputs, "targets", y, "one number for each of theirs")
            return outputs, y.reshape(outputs.shape)
    validate_labels(y)
    if outputs.ndim == 1:
        outputs = outputs.reshape(-1, 1)
    if _without_ones(outputs.shape[:-1]) != _without_ones(y.shape):
        raise disagreement(outputs, "labels", y, ONE_ROW)
    return outputs, y.reshape(outputs.shape[:-1])


def validate_labels(y: Any) -> None:
    """Refuse labels that are no class numbers: probabilities, truth values.

    Errors: ValueError.
    """
    if "int" not in str(y.dtype):
        raise ValueError(
            f"labels: expected class numbers of type int64, found {y.dtype}; convert them, or let "
            "the module say `task = Task.REGRESSION`, for numbers to predict"
        )


def disagreement(outputs: Any, name: str, others: Any, expected: str) -> ValueError:
    """Return the error that names two shapes which would be broadcast, and what to do."""
    return ValueError(
        f"outputs of shape {tuple(outputs.shape)} do not fit {name} of shape "
        f"{tuple(others.shape)}: expected {expected}; change what `forward` gives, or the data set"
    )


def _without_ones(shape: Any) -> tuple[int, ...]:
    return (*shape[:1], *(size for size in shape[1:] if size != 1))
