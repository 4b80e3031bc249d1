"""Autoencoders: an MLP that narrows and widens again.

Comes in: images or vectors with entries in [0, 1]. Goes out: the same, as remembered.
"""

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor

from lightning_modules.families import Common, Learner
from lightning_modules.layers import sizes
from lightning_modules.losses import squared_error
from lightning_modules.mlp import MLPNetwork
from lightning_modules.registry import FAMILIES
from lightning_modules.task import Task


@FAMILIES.register("autoencoder")
class Autoencoder(Learner):
    """D-256-128-256-D for `widths` (256, 128); the output is a sigmoid, the loss a squared error.

    Arguments: `widths` of the encoder, the last one is the code's, and the decoder mirrors them;
    `input_shape` of one example; `classes` is not looked at; the others as for `Learner`.
    """

    task = Task.RECONSTRUCTION

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int = 0,
        widths: Sequence[int] = (256, 128),
        activation: str = "sigmoid",
        init: str = "xavier_uniform",
        bias_init: str = "zeros",
        **common: Unpack[Common],
    ) -> None:
        encoder = sizes("widths", widths)
        if not encoder:
            raise ValueError("widths: expected at least the width of the code, found none")
        entries = math.prod(sizes("input_shape", input_shape))
        mirrored = MLPNetwork(
            inputs=entries,
            outputs=entries,
            widths=(*encoder, *reversed(encoder[:-1])),
            activation=activation,
        )
        super().__init__(
            network=mirrored,
            init=init,
            bias_init=bias_init,
            **common,
        )
        self.mirrored = mirrored
        self.code_layers = len(encoder)

    def forward(self, x: Tensor) -> Tensor:
        """Return x as remembered, of the same shape, in (0, 1)."""
        return torch.sigmoid(self.network(x)).reshape(x.shape)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes. Shapes: (B, ...) -> (B, width of the code)."""
        h = x.flatten(1)
        for linear in list(self.mirrored.linears)[: self.code_layers]:
            h = self.mirrored.activate(linear(h))
        return h

    def loss_of(self, outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean squared error per entry."""
        return squared_error(outputs, x)
