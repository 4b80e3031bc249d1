"""Activations by name: functions from a tensor to a tensor, without state.

Comes in: the pre-activations of a layer. Goes out: its activations, of the same shape, but for
maxout, which takes `pieces` times the width and returns the width.
"""

from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.registry import ACTIVATIONS

# Non-decreasing functions of one number: the maximum of the activations over a window is the
# activation of the maximum, so pooling may come first, on a quarter of the work.
MONOTONE = frozenset({"sigmoid", "relu", "tanh", "softsign", "very_leaky_relu", "identity"})
VERY_LEAKY_SLOPE = 1 / 3
MAXOUT_PIECES = 2


@ACTIVATIONS.register("sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + exp(-x))."""
    return torch.sigmoid(x)


@ACTIVATIONS.register("relu")
def relu(x: Tensor) -> Tensor:
    """Return max(x, 0)."""
    return torch.relu(x)


@ACTIVATIONS.register("tanh")
def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent."""
    return torch.tanh(x)


@ACTIVATIONS.register("softsign")
def softsign(x: Tensor) -> Tensor:
    """Return x / (1 + |x|)."""
    return functional.softsign(x)


@ACTIVATIONS.register("very_leaky_relu")
def very_leaky_relu(x: Tensor) -> Tensor:
    """Return x where x > 0 and x / 3 elsewhere (VLReLU; Mishkin and Matas, 2015)."""
    return functional.leaky_relu(x, VERY_LEAKY_SLOPE)


@ACTIVATIONS.register("identity")
def identity(x: Tensor) -> Tensor:
    """Return x."""
    return x


def maxout(x: Tensor, *, axis: int = -1, pieces: int = MAXOUT_PIECES) -> Tensor:
    """Return the maximum over the pieces (Goodfellow et al., 2013).

    Shapes: `axis` of x holds piece 0, then piece 1, ..., each of one width:
    (..., pieces x width) -> (..., width). Dense layers have it last, convolutions at axis 1.
    Errors: ValueError if the axis cannot be divided into the pieces.
    """
    if x.shape[axis] % pieces:
        raise ValueError(
            f"maxout: axis {axis} of {tuple(x.shape)} has {x.shape[axis]} entries, "
            f"expected a multiple of {pieces}; make the layer `pieces('maxout')` times as wide"
        )
    return reduce(torch.maximum, x.chunk(pieces, axis))


ACTIVATIONS.register("maxout")(maxout)


def pieces(activation: str) -> int:
    """Return how many linear pieces a unit with this activation has: 2 for maxout, else 1.

    Errors: UnknownName if there is no such activation.
    """
    ACTIVATIONS.get(activation)
    return MAXOUT_PIECES if activation == "maxout" else 1


def activation_along(activation: str, axis: int) -> Callable[[Tensor], Tensor]:
    """Return the activation for maps whose channels lie at `axis` (only maxout uses it).

    Errors: UnknownName if there is no such activation.
    """
    function: Callable[..., Tensor] = ACTIVATIONS.get(activation)
    return function if pieces(activation) == 1 else partial(function, axis=axis)
