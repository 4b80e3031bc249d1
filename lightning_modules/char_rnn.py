"""Character networks: a basic recurrent cell, and a dense layer on every state.

Comes in: one-hot characters. Goes out: logits of the next character, for every character.
"""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.classifier import Common
from lightning_modules.layers import Dense, sizes
from lightning_modules.learner import Learner
from lightning_modules.registry import FAMILIES
from lightning_modules.task import Task


class BasicRNNNetwork(nn.Module):
    """h_t = tanh(W [x_t, h_(t-1)] + b), h_0 = 0; logits_t = V h_t + c.

    As TensorFlow's BasicRNNCell, `cell` has one kernel for input and state, so that its fans are
    those of the joined matrix.
    """

    def __init__(self, *, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.width = width
        self.cell = Dense(inputs + width, width)
        self.head = Dense(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits. Shapes: (B, T, D) -> (B, T, C)."""
        state = x.new_zeros(x.shape[0], self.width)
        states = []
        for step in x.unbind(1):
            state = torch.tanh(self.cell(torch.cat([step, state], 1)))
            states.append(state)
        logits: Tensor = self.head(torch.stack(states, 1))
        return logits


@FAMILIES.register("char_rnn")
class CharRNN(Learner):
    """Predicts the next character of a text; the deck's one has 705 parameters.

    Arguments: `input_shape` (T, D) of one text, `classes` how many characters there are, `width`
    of the state (None: as many as characters, as in the deck); the others as for `Learner`.
    """

    task = Task.SEQUENCE

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        width: int | None = None,
        init: str = "xavier_uniform",
        bias_init: str = "zeros",
        **common: Unpack[Common],
    ) -> None:
        shape = sizes("input_shape", input_shape)
        if len(shape) != 2:
            raise ValueError(f"input_shape: expected (steps, numbers), found {shape}")
        network = BasicRNNNetwork(
            inputs=shape[1],
            width=sizes("width", (classes if width is None else width,))[0],
            outputs=sizes("classes", (classes,))[0],
        )
        super().__init__(
            network=network,
            init=init,
            bias_init=bias_init,
            **common,
        )

    def loss_of(self, outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean cross-entropy over all characters of all texts."""
        return functional.cross_entropy(outputs.flatten(0, 1), y.flatten())
