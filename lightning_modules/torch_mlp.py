"""Multilayer perceptrons that start as torch's own layers do.

Comes in: images or vectors of any shape. Goes out: logits.
"""

import math
from collections.abc import Sequence
from typing import Unpack

import torch

from lightning_modules.classifier import Common
from lightning_modules.initializers import fans
from lightning_modules.layers import layers_of
from lightning_modules.mlp import MLP
from lightning_modules.registry import FAMILIES


@FAMILIES.register("torch_mlp")
class TorchMLP(MLP):
    """An MLP whose biases start from U(-a, a), a = 1 / sqrt(fan_in), as those of `nn.Linear`.

    So do its weights, unless `init` says otherwise. The draws are those of every other network
    here: a hash of the seed, the parameter's name and its shape.

    Arguments: as for `MLP`, without `bias_init`.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        widths: Sequence[int] = (256, 256),
        activation: str = "relu",
        init: str = "torch_default",
        keep_prob: float = 1.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            input_shape=input_shape,
            classes=classes,
            widths=widths,
            activation=activation,
            init=init,
            bias_init="uniform",
            keep_prob=keep_prob,
            **common,
        )
        with torch.no_grad():
            for _, _, layer in layers_of(self.network):
                # An initialiser sees the bias alone, which does not know its fan_in: U(-1, 1).
                if layer.bias is not None:
                    layer.bias.mul_(1 / math.sqrt(fans(layer.weight)[0]))
