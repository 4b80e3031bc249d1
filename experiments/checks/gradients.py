"""Derivatives of the decks, by autograd: chain rule, derivative table, vanishing gradients."""

from collections.abc import Callable, Iterable
from math import prod

import torch
from torch import Tensor

from ablation_lab.study.checks import CHECKS

# The factors s(1 - s) of ten sigmoid layers, as printed: two for each.
FACTORS = (0.5, 0.5, 0.1, 0.9, 0.8, 0.2, 0.5, 0.5, 0.3, 0.7,
           0.4, 0.6, 0.5, 0.5, 0.2, 0.8, 0.5, 0.5, 0.6, 0.4)  # fmt: skip
# Where the derivatives of the table are taken: x and y.
POINT = (3.0, 5.0)


@CHECKS.register("backprop_example")
def backprop_example() -> Iterable[float]:
    """F = g + b, g = w·x at w=-2, x=5, b=3: df/dg, df/db, dg/dw, dg/dx, df/dx, df/dw."""
    w, x, b = (_leaf(value) for value in (-2.0, 5.0, 3.0))
    g = w * x
    dg_dw, dg_dx = torch.autograd.grad(g, (w, x), retain_graph=True)
    df_dg, df_db, df_dx, df_dw = torch.autograd.grad(g + b, (g, b, x, w))
    return [float(d) for d in (df_dg, df_db, dg_dw, dg_dx, df_dx, df_dw)]


@CHECKS.register("square_error_gradient")
def square_error_gradient() -> Iterable[float]:
    """dE/dw of E = (w·1 - 1)^2 at w = -2, 0, 1 and 3."""
    return [_slope(lambda w: (w * 1 - 1) ** 2, at) for at in (-2.0, 0.0, 1.0, 3.0)]


@CHECKS.register("sigmoid_derivative")
def sigmoid_derivative() -> Iterable[float]:
    """The largest gap between autograd and s(1-s) on [-8, 8], and the largest derivative."""
    z = torch.linspace(-8, 8, 1601, dtype=torch.float64, requires_grad=True)
    s = torch.sigmoid(z)
    (slope,) = torch.autograd.grad(s.sum(), z)
    closed = (s * (1 - s)).detach()
    return [float((slope - closed).abs().max()), float(slope.max())]


@CHECKS.register("derivative_table")
def derivative_table() -> Iterable[float]:
    """df/dx of 3, x, 2x, x+x and x+3, then df/dx and df/dy of xy, at x = 3, y = 5."""
    at, y = POINT
    functions: list[Callable[[Tensor], Tensor]] = [
        lambda x: 0 * x + 3,
        lambda x: x,
        lambda x: 2 * x,
        lambda x: x + x,
        lambda x: x + 3,
        lambda x: x * y,
    ]
    return [*(_slope(f, at) for f in functions), _slope(lambda v: at * v, y)]


@CHECKS.register("vanishing_product")
def vanishing_product() -> Iterable[float]:
    """The product of the printed factors."""
    return [prod(FACTORS)]


@CHECKS.register("sigmoid_factors")
def sigmoid_factors() -> Iterable[float]:
    """How many factors ten sigmoid layers give, counted in the printed product."""
    return [len(FACTORS)]


def _leaf(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def _slope(function: Callable[[Tensor], Tensor], at: float) -> float:
    x = _leaf(at)
    (slope,) = torch.autograd.grad(function(x), x)
    return float(slope)
