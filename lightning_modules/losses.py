"""Losses, accuracy, and what is measured on a part of the data, by task.

Comes in: logits (..., C) and labels (...), int64, where C = 1 is binary with labels 0 and 1; or
what else a module gives for examples. Goes out: one number, the mean, or one for each example.
What does not agree in shape is refused, as torch would broadcast it.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.registry import LOSSES
from lightning_modules.task import ONE_ROW, Task, compared, disagreement, validate_labels

LossFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Measure: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]

# Distances between all pairs: this many of each side tell enough, and take well under a second.
COMPARED = 1000


class Loss(StrEnum):
    """How cross-entropy is computed: from the logits, or as the formula is written.

    UNCLIPPED takes the logarithm of a float32 sigmoid or softmax without clipping: once it
    saturates, 0 x log(0) is NaN, as in programs that follow the formula. STABLE removes that, and
    so changes results.
    """

    STABLE = "stable"
    UNCLIPPED = "unclipped"


class CrossEntropy(Protocol):
    """A form of cross-entropy: (logits (B, C), labels (B,)) -> (B,), or their mean, a scalar."""

    def __call__(self, logits: Tensor, labels: Tensor, *, mean: bool) -> Tensor:
        """Return the loss; C = 1 is binary."""


def loss_function(loss: Loss | str, classes: int, *, mean: bool = True) -> LossFunction:
    """Return the loss: (logits (B, C), labels (B,)) -> the mean, or each example's.

    It refuses (ValueError) labels that are no class numbers, or not one for each row of logits.
    Errors: UnknownName for an unknown loss, ValueError for classes < 1.
    """
    if classes < 1:
        raise ValueError(f"classes: expected 1 (binary) or more, found {classes!r}")
    return partial(LOSSES.get(str(loss)), mean=mean)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over all rows of logits (..., C) with labels (...), a scalar."""
    _validate(logits, labels)
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten())


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error per entry, a scalar.

    Errors: ValueError for shapes that would be broadcast; an axis of one entry may be missing.
    """
    return functional.mse_loss(*compared(Task.REGRESSION, outputs, outputs, targets))


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Return which examples are classified rightly: bool (B,), for sequences (B, T).

    Binary: class 1 where the float32 sigmoid(z) > 0.5. That is not quite z > 0: near 0 the sigmoid
    rounds to 0.5, which is class 0. A row with a NaN is wrong.
    """
    logits, labels = compared(Task.CLASSIFICATION, logits, logits, labels)
    binary = logits.shape[-1] == 1
    predicted = (
        (logits[..., 0].float().sigmoid() > 0.5).to(labels.dtype) if binary else logits.argmax(-1)
    )
    return (predicted == labels) & ~logits.isnan().any(-1)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the share of examples classified rightly, a scalar in [0, 1]."""
    return correct(logits, labels).float().mean()


def share_right(outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the share of labels (B,) or symbols (B, T) that are right, a scalar."""
    return accuracy(outputs, y)


def error_of_targets(outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean squared error against y, a scalar."""
    return squared_error(outputs, y)


def reconstruction_error(outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean squared error against x, per entry, a scalar."""
    return functional.mse_loss(*compared(Task.RECONSTRUCTION, outputs, x, y))


def energy_distance(outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the energy distance between new examples and x (Szekely and Rizzo, 2013), a scalar.

    2 E|a - b| - E|a - a'| - E|b - b'| for a from the new examples and b from x, over all pairs of
    the first 1,000 of each: at least 0, and small only if the two look alike.
    """
    pair = compared(Task.GENERATION, outputs, x, y)
    a, b = (part[:COMPARED].flatten(1).float() for part in pair)
    return 2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()


# Task -> the name of the validation curve, and its measure.
MEASURES: dict[Task, tuple[str, Measure]] = {
    Task.CLASSIFICATION: ("val_accuracy", share_right),
    Task.SEQUENCE: ("val_accuracy", share_right),
    Task.REGRESSION: ("val_loss", error_of_targets),
    Task.RECONSTRUCTION: ("val_loss", reconstruction_error),
    Task.GENERATION: ("val_distance", energy_distance),
}


def _validate(logits: Tensor, labels: Tensor) -> None:
    """Refuse what would be broadcast, or taken for something else; it costs no look at a value."""
    if labels.dtype.is_floating_point or labels.dtype == torch.bool:
        validate_labels(labels)
    if logits.shape[:-1] != labels.shape:
        raise disagreement(logits, "labels", labels, ONE_ROW)


@LOSSES.register("stable")
def stable(logits: Tensor, labels: Tensor, *, mean: bool) -> Tensor:
    """Cross-entropy from the logits."""
    _validate(logits, labels)
    reduction = "mean" if mean else "none"
    if logits.shape[-1] > 1:
        return functional.cross_entropy(logits, labels, reduction=reduction)
    z = logits[..., 0]
    y = labels.to(z.dtype)
    return functional.binary_cross_entropy_with_logits(z, y, reduction=reduction)


@LOSSES.register("unclipped")
def unclipped(logits: Tensor, labels: Tensor, *, mean: bool) -> Tensor:
    """Cross-entropy as the formula is written, without clipping."""
    _validate(logits, labels)
    losses = (_many if logits.shape[-1] > 1 else _binary)(logits.float(), labels)
    return losses.mean() if mean else losses


def _binary(logits: Tensor, labels: Tensor) -> Tensor:
    h = torch.sigmoid(logits[..., 0])
    y = labels.to(h.dtype)
    return -(y * torch.log(h) + (1 - y) * torch.log(1 - h))


def _many(logits: Tensor, labels: Tensor) -> Tensor:
    h = torch.softmax(logits, -1)
    # The sum runs over all classes, as in the formula: 0 x log(0) of another class is NaN too.
    y = (labels.unsqueeze(-1) == torch.arange(h.shape[-1], device=h.device)).to(h.dtype)
    return -(y * torch.log(h)).sum(-1)
