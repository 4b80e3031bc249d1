"""What is measured on a part of the data, by task.

Comes in: what a module gives for examples x, and x and y themselves. Goes out: one number.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.losses import accuracy
from lightning_modules.task import Task

Measure: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]

# Distances between all pairs: this many of each side tell enough, and take well under a second.
COMPARED = 1000


def share_right(outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the share of labels (B,) or symbols (B, T) that are right, a scalar."""
    return accuracy(outputs, y)


def squared_error(outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean squared error against y, a scalar."""
    return functional.mse_loss(outputs, y)


def reconstruction_error(outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean squared error against x, per entry, a scalar."""
    return functional.mse_loss(outputs.reshape(x.shape), x)


def energy_distance(outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the energy distance between new examples and x (Szekely and Rizzo, 2013), a scalar.

    2 E|a - b| - E|a - a'| - E|b - b'| for a from the new examples and b from x, over all pairs of
    the first 1,000 of each: at least 0, and small only if the two look alike.
    """
    a, b = (part[:COMPARED].flatten(1).float() for part in (outputs, x))
    return 2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()


# Task -> the name of the validation curve, and its measure.
MEASURES: dict[Task, tuple[str, Measure]] = {
    Task.CLASSIFICATION: ("val_accuracy", share_right),
    Task.SEQUENCE: ("val_accuracy", share_right),
    Task.REGRESSION: ("val_loss", squared_error),
    Task.RECONSTRUCTION: ("val_loss", reconstruction_error),
    Task.GENERATION: ("val_distance", energy_distance),
}
