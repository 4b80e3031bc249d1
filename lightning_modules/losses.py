"""Losses and accuracy, on logits.

Comes in: logits (B, C) and labels (B,), int64; C = 1 is binary, with labels 0 and 1.
Goes out: one number, the mean over the batch, or one per example.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.registry import LOSSES

LossFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]


class Loss(StrEnum):
    """How cross-entropy is computed: from the logits, or as the formula is written.

    UNCLIPPED takes the logarithm of a float32 sigmoid or softmax without clipping: once it
    saturates, 0 x log(0) is NaN, as in programs that follow the formula. STABLE removes that, and
    so changes results.
    """

    STABLE = "stable"
    UNCLIPPED = "unclipped"


@dataclass(frozen=True)
class Form:
    """A form of cross-entropy, of two classes and of ``many``: the mean, and each example's."""

    binary: tuple[LossFunction, LossFunction]
    many: tuple[LossFunction, LossFunction]


def loss_function(loss: Loss | str, classes: int) -> LossFunction:
    """Return the mean loss: (logits (B, C), labels (B,)) -> scalar.

    Errors: UnknownName for an unknown loss, ValueError for classes < 1.
    """
    return _choose(loss, classes, per_example=False)


def per_example_loss(loss: Loss | str, classes: int) -> LossFunction:
    """Return the loss of each example: (logits (B, C), labels (B,)) -> (B,).

    Errors: UnknownName for an unknown loss, ValueError for classes < 1.
    """
    return _choose(loss, classes, per_example=True)


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Return which examples are classified rightly: bool (B,).

    Binary: class 1 where the float32 sigmoid(z) > 0.5. That is not quite z > 0: near 0 the sigmoid
    rounds to 0.5, which is class 0. A row with a NaN is wrong.
    """
    binary = logits.shape[-1] == 1
    predicted = (
        (logits[..., 0].float().sigmoid() > 0.5).to(labels.dtype) if binary else logits.argmax(-1)
    )
    return (predicted == labels) & ~logits.isnan().any(-1)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the share of examples classified rightly, a scalar in [0, 1]."""
    return correct(logits, labels).float().mean()


def _choose(loss: Loss | str, classes: int, *, per_example: bool) -> LossFunction:
    if classes < 1:
        raise ValueError(f"classes: expected 1 (binary) or more, found {classes!r}")
    form = LOSSES.get(str(loss))
    return (form.binary if classes == 1 else form.many)[per_example]


def _binary_stable(logits: Tensor, labels: Tensor) -> Tensor:
    z = logits[..., 0]
    return functional.binary_cross_entropy_with_logits(z, labels.to(z.dtype), reduction="none")


def _binary_stable_mean(logits: Tensor, labels: Tensor) -> Tensor:
    z = logits[..., 0]
    return functional.binary_cross_entropy_with_logits(z, labels.to(z.dtype))


def _binary_unclipped(logits: Tensor, labels: Tensor) -> Tensor:
    h = torch.sigmoid(logits[..., 0].float())
    y = labels.to(h.dtype)
    return -(y * torch.log(h) + (1 - y) * torch.log(1 - h))


def _binary_unclipped_mean(logits: Tensor, labels: Tensor) -> Tensor:
    return _binary_unclipped(logits, labels).mean()


def _stable(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels, reduction="none")


def _stable_mean(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels)


def _unclipped(logits: Tensor, labels: Tensor) -> Tensor:
    h = torch.softmax(logits.float(), -1)
    # The sum runs over all classes, as in the formula: 0 x log(0) of another class is NaN too.
    y = (labels.unsqueeze(-1) == torch.arange(h.shape[-1], device=h.device)).to(h.dtype)
    return -(y * torch.log(h)).sum(-1)


def _unclipped_mean(logits: Tensor, labels: Tensor) -> Tensor:
    return _unclipped(logits, labels).mean()


# Module-level functions: a classifier can be pickled.
LOSSES.register("stable")(
    Form(binary=(_binary_stable_mean, _binary_stable), many=(_stable_mean, _stable))
)
LOSSES.register("unclipped")(
    Form(binary=(_binary_unclipped_mean, _binary_unclipped), many=(_unclipped_mean, _unclipped))
)
