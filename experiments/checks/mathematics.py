"""Tensors, derivatives and classical methods of the decks, by torch, autograd and a library.

Comes in: nothing; points are fixed or drawn from a fixed generator. Goes out: what the slides state
about each, as numbers.
"""

from collections.abc import Callable, Iterable
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablation_lab.study.metric import CHECKS

SQUARE = ((1.0, 2.0), (3.0, 4.0))


def flat(*tensors: Tensor) -> list[float]:
    """Return all entries, row by row."""
    return [float(value) for tensor in tensors for value in tensor.flatten()]


@CHECKS.register("add_nodes")
def add_nodes() -> Iterable[float]:
    """3 + 5."""
    return flat(torch.tensor(3.0) + torch.tensor(5.0))


@CHECKS.register("constant_product")
def constant_product() -> Iterable[float]:
    """5 · 6."""
    return flat(torch.tensor(5.0) * torch.tensor(6.0))


@CHECKS.register("column_times_row")
def column_times_row() -> Iterable[float]:
    """[[3], [2], [1]] times [[1, 2, 3]]."""
    return flat(torch.tensor([[3], [2], [1]]) @ torch.tensor([[1, 2, 3]]))


@CHECKS.register("ranks_and_shapes")
def ranks_and_shapes() -> Iterable[float]:
    """Rank and shape of a vector of 4, of a 2x2 matrix and of a (1, 2, 3, 4) tensor."""
    tensors = (torch.arange(4), torch.tensor(SQUARE), torch.arange(24).reshape(1, 2, 3, 4))
    return [float(n) for tensor in tensors for n in (tensor.ndim, *tensor.shape)]


@CHECKS.register("matmul_and_multiply")
def matmul_and_multiply() -> Iterable[float]:
    """The matrix product and the broadcast product of [[1, 2], [3, 5]] and [[2], [2]]."""
    a, b = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[2.0], [2.0]])
    return flat(a @ b, a * b)


@CHECKS.register("reduce_operations")
def reduce_operations() -> Iterable[float]:
    """Means of [1, 2] (whole numbers) and of [[1, 2], [3, 4]]: all, rows, columns; its sums."""
    whole = torch.tensor([1, 2])
    x = torch.tensor(SQUARE)
    mean = whole.sum() // len(whole)
    return flat(mean, x.sum(), x.mean(0), x.mean(1), x.sum(0), x.sum(1), x.sum(1).mean())


@CHECKS.register("argmax")
def argmax() -> Iterable[float]:
    """Position of the largest entry down the columns and along the rows of [[0, 1, 2], [2, 1, 0]].

    The third printed vector is that along the last axis, the rows again.
    """
    x = torch.tensor([[0, 1, 2], [2, 1, 0]])
    return flat(x.argmax(0), x.argmax(1), x.argmax(-1))


@CHECKS.register("reshapes")
def reshapes() -> Iterable[float]:
    """Shapes of 12 values of shape (2, 2, 3) as (-1, 3), and as (2, 6) and (4, 3)."""
    x = torch.arange(12).reshape(2, 2, 3)
    shapes = (x.reshape(-1, 3).shape, x.reshape(2, -1).shape, x.reshape(4, -1).shape)
    return [float(n) for shape in shapes for n in shape]


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


Floats = NDArray[np.float64]
COVARIANCE = ((3.0, 1.2), (1.2, 1.0))
POINTS, SEED = 500, 0


def cloud(mean: tuple[float, float], *, seed: int = SEED) -> Floats:
    """Return 500 points (N, 2) of a normal distribution with a fixed covariance."""
    return np.random.default_rng(seed).multivariate_normal(mean, COVARIANCE, POINTS)


@CHECKS.register("quadratic_interpolation")
def quadratic_interpolation() -> Iterable[float]:
    """Rank of the Vandermonde matrix of three points, and the largest miss of its solution."""
    x, y = np.array([-1.0, 0.5, 2.0]), np.array([2.0, -1.0, 4.0])
    vandermonde = np.vander(x, 3)
    miss = np.abs(np.polyval(np.linalg.solve(vandermonde, y), x) - y).max()
    return [float(np.linalg.matrix_rank(vandermonde)), float(miss)]


@CHECKS.register("pca_decomposition")
def pca_decomposition() -> Iterable[float]:
    """|S - U diag(l) U'|, whether l1 > l2, and the largest gap to scikit-learn's variances."""
    from sklearn.decomposition import PCA

    x = cloud((0.0, 0.0))
    covariance = np.cov(x.T)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    miss = np.abs(covariance - vectors @ np.diag(values) @ vectors.T).max()
    gap = np.abs(PCA().fit(x).explained_variance_ - values).max()
    return [float(miss), float(values[0] > values[1]), float(gap)]


@CHECKS.register("lda_direction")
def lda_direction() -> Iterable[float]:
    """|cos| of the angle between Sw^-1(m1-m2) and scikit-learn's axis, and J of it over its best.

    J(w) = (m1-m2)^2 / (s1^2 + s2^2) of the projections; its best is that over 3,600 directions.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    first, second = cloud((0.0, 0.0)), cloud((2.0, 1.0), seed=SEED + 1)
    within = np.cov(first.T) + np.cov(second.T)
    closed = np.linalg.solve(within, first.mean(0) - second.mean(0))
    x, y = np.vstack([first, second]), np.repeat([0, 1], POINTS)
    axis = LinearDiscriminantAnalysis(solver="eigen").fit(x, y).scalings_[:, 0]
    cosine = abs(closed @ axis) / np.linalg.norm(closed) / np.linalg.norm(axis)
    angles = np.linspace(0, np.pi, 3600, endpoint=False)
    best = max(fisher(first, second, np.array([np.cos(a), np.sin(a)])) for a in angles)
    return [float(cosine), fisher(first, second, closed) / best]


def fisher(first: Floats, second: Floats, w: Floats) -> float:
    """Return J(w), the distance of the projected means over the projected variances."""
    a, b = first @ w, second @ w
    return float((a.mean() - b.mean()) ** 2 / (a.var(ddof=1) + b.var(ddof=1)))
