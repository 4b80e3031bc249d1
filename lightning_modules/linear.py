"""One dense layer: softmax and logistic regression, and linear regression on real numbers.

Comes in: images, vectors or windows of any shape, flattened here. Goes out: logits, or one number
each.
"""

import math
from collections.abc import Sequence
from typing import Unpack

from torch import Tensor

from lightning_modules.classifier import Classifier, Common
from lightning_modules.layers import sizes
from lightning_modules.learner import Learner
from lightning_modules.losses import squared_error
from lightning_modules.mlp import MLPNetwork
from lightning_modules.registry import FAMILIES
from lightning_modules.task import Task


@FAMILIES.register("linear")
class Linear(Classifier):
    """logits = W x + b: logistic regression where classes is 1, softmax regression otherwise.

    Arguments: `input_shape` of one example, `classes`; the others as for `Classifier`.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        init: str = "xavier_uniform",
        bias_init: str = "zeros",
        **common: Unpack[Common],
    ) -> None:
        network = MLPNetwork(
            inputs=math.prod(sizes("input_shape", input_shape)),
            outputs=sizes("classes", (classes,))[0],
        )
        super().__init__(
            network=network,
            classes=classes,
            init=init,
            bias_init=bias_init,
            **common,
        )


@FAMILIES.register("linear_regression")
class LinearRegression(Learner):
    """y = W x + b, trained on the mean squared error, without the factor 1/2 of some texts.

    Arguments: `input_shape` of one example; `classes` is 0, as y holds real numbers; the others
    as for `Learner`.
    """

    task = Task.REGRESSION

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int = 0,
        init: str = "xavier_uniform",
        bias_init: str = "zeros",
        **common: Unpack[Common],
    ) -> None:
        real_targets("linear_regression", classes)
        super().__init__(
            network=MLPNetwork(inputs=math.prod(sizes("input_shape", input_shape)), outputs=1),
            init=init,
            bias_init=bias_init,
            **common,
        )

    def loss_of(self, outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean squared error."""
        return squared_error(outputs, y)


def real_targets(family: str, classes: int) -> None:
    """Refuse a data set of classes.

    Errors: ValueError.
    """
    if classes != 0:
        raise ValueError(
            f"family {family!r}: expected data with real numbers to predict, found {classes} "
            "classes; take such a data set, or the family 'linear'"
        )
