"""Softmax and logistic regression: one dense layer.

Comes in: images or vectors of any shape, flattened here. Goes out: logits.
"""

import math
from collections.abc import Sequence

from lightning_modules.classifier import Classifier
from lightning_modules.layers import sizes
from lightning_modules.losses import Loss
from lightning_modules.mlp import MLPNetwork
from lightning_modules.optimizers import ADAM, Optimizer
from lightning_modules.registry import FAMILIES


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
        loss: str = Loss.STABLE,
        optimizer: Optimizer = ADAM,
        l2: float = 0.0,
        seed: int = 0,
    ) -> None:
        network = MLPNetwork(
            inputs=math.prod(sizes("input_shape", input_shape)),
            outputs=sizes("classes", (classes,))[0],
        )
        super().__init__(
            network=network,
            classes=classes,
            loss=loss,
            optimizer=optimizer,
            l2=l2,
            init=init,
            bias_init=bias_init,
            seed=seed,
        )
