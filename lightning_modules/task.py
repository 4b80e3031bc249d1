"""What a module is trained for; it decides what is measured. Standard library only."""

from enum import StrEnum


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


def task_of(module: object) -> Task:
    """Return the module's task."""
    return Task(getattr(module, "task", Task.CLASSIFICATION))
