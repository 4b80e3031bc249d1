"""Perceptrons of many layers, or of one: softmax, logistic and linear regression.

Comes in: images, vectors or windows of any shape, flattened here. Goes out: logits, or one number
each.
"""

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from lightning_modules.activations import activation_along, pieces
from lightning_modules.families import Classifier, Common, Learner
from lightning_modules.initializers import fans
from lightning_modules.layers import Dense, dropout, layers_of, sizes
from lightning_modules.losses import squared_error
from lightning_modules.registry import FAMILIES
from lightning_modules.task import Task


class MLPNetwork(nn.Module):
    """h <- dropout(activation(W h + b)) for each hidden layer, then logits = W h + b.

    There is no dropout on the input. `linears` holds the layers, the last one gives the logits;
    in front of maxout they are `pieces` times as wide as `widths` says.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        widths: Sequence[int] = (),
        activation: str = "relu",
        keep_prob: float = 1.0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.keep_prob = keep_prob
        self.activate = activation_along(activation, -1)
        self.dropout = dropout(keep_prob)
        ends = (inputs, *widths)
        hidden = [
            Dense(ends[i], ends[i + 1], pieces=pieces(activation)) for i in range(len(widths))
        ]
        self.linears = nn.ModuleList([*hidden, Dense(ends[-1], outputs)])

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits. Shapes: (B, ...) with D entries per example -> (B, C)."""
        *hidden, last = self.linears
        h = x.flatten(1)
        for linear in hidden:
            h = self.dropout(self.activate(linear(h)))
        logits: Tensor = last(h)
        return logits


@FAMILIES.register("mlp")
class MLP(Classifier):
    """A multilayer perceptron with hidden layers of the given widths.

    Example::

        model = MLP(input_shape=(1, 28, 28), classes=10, widths=(256, 256), keep_prob=0.7)
        pl.Trainer(max_epochs=2).fit(model, DataLoader(...))

    Arguments: `input_shape` of one example, `classes` (1 = binary), `keep_prob` the probability
    to keep a hidden unit; the others as for `Classifier`.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        widths: Sequence[int] = (256, 256),
        activation: str = "relu",
        init: str = "xavier_uniform",
        bias_init: str = "zeros",
        keep_prob: float = 1.0,
        **common: Unpack[Common],
    ) -> None:
        network = MLPNetwork(
            inputs=math.prod(sizes("input_shape", input_shape)),
            outputs=sizes("classes", (classes,))[0],
            widths=sizes("widths", widths),
            activation=activation,
            keep_prob=keep_prob,
        )
        super().__init__(
            network=network,
            classes=classes,
            init=init,
            bias_init=bias_init,
            **common,
        )


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
