"""Softmax and logistic regression: one dense layer.

Comes in: images or vectors of any shape, flattened here. Goes out: logits.
"""

import math
from collections.abc import Sequence
from typing import Unpack

from lightning_modules.classifier import Classifier, Common
from lightning_modules.layers import sizes
from lightning_modules.mlp import MLPNetwork
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
