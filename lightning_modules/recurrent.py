"""Recurrent networks: a basic cell on characters, and one LSTM unit whose state is the prediction.

Comes in: one-hot characters, or windows of numbers. Goes out: logits of the next character, for
every character; or one number each, in (-1, 1).
"""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from lightning_modules.families import Common, Learner
from lightning_modules.initializers import initialize
from lightning_modules.layers import Dense, sizes
from lightning_modules.losses import cross_entropy, squared_error
from lightning_modules.mlp import real_targets
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
    """Predicts the next character of a text.

    Arguments: `input_shape` (T, D) of one text, `classes` how many characters there are, `width`
    of the state (None: as many as characters); the others as for `Learner`.
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
        return cross_entropy(outputs, y)


GATES = 4


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return 0.2 x + 0.5 cut to [0, 1], the recurrent activation of Keras 2.0 to 2.2."""
    return (0.2 * x + 0.5).clamp(0, 1)


class KerasLSTM(nn.Module):
    """One LSTM layer, i, f, o = hard_sigmoid(...), c <- f c + i tanh(...), h <- o tanh(c).

    `kernel` holds the weights of the inputs and the biases, `recurrent` those of the state, each
    for the gates i, f, c, o in this order.
    """

    def __init__(self, *, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.kernel = Dense(inputs, GATES * units)
        self.recurrent = Dense(units, GATES * units)
        self.recurrent.register_parameter("bias", None)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last state. Shapes: (B, T, D) -> (B, units)."""
        h = c = x.new_zeros(x.shape[0], self.units)
        for step in x.unbind(1):
            i, f, g, o = (self.kernel(step) + self.recurrent(h)).chunk(GATES, 1)
            c = hard_sigmoid(f) * c + hard_sigmoid(i) * torch.tanh(g)
            h = hard_sigmoid(o) * torch.tanh(c)
        return h


@FAMILIES.register("lstm")
class LSTM(Learner):
    """LSTM(1) on windows, trained on the mean squared error; there is no dense layer after it.

    Arguments: `input_shape` (T, D) of one window; `classes` is 0, as y holds real numbers;
    `recurrent_init` for the weights of the state; the others as for `Learner`. The biases of the
    forget gate start at 1, whatever `bias_init` says of the others.
    """

    task = Task.REGRESSION

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int = 0,
        init: str = "xavier_uniform",
        recurrent_init: str = "orthonormal",
        bias_init: str = "zeros",
        **common: Unpack[Common],
    ) -> None:
        shape = sizes("input_shape", input_shape)
        if len(shape) != 2:
            raise ValueError(f"input_shape: expected (steps, numbers), found {shape}")
        real_targets("lstm", classes)
        network = KerasLSTM(inputs=shape[1], units=1)
        super().__init__(
            network=network,
            init=init,
            bias_init=bias_init,
            **common,
        )
        initialize(network.recurrent, weight=recurrent_init, bias="zeros", seed=self.seed)
        with torch.no_grad():
            network.kernel.bias[network.units : 2 * network.units] = 1.0

    def loss_of(self, outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean squared error."""
        return squared_error(outputs, y)
