"""The decks' first steps with tensors, done with torch."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ablation_lab.study.checks import CHECKS

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
