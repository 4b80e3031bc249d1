"""Small arrays for the cases: 24 examples to train on, 12 for validation, 10 for the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS = {"train": 24, "validation": 12, "test": 10}
Parts = dict[str, tuple[NDArray[np.float32], NDArray[Any]]]


@dataclass(frozen=True)
class Arrays:
    """Examples of a shape, their targets, and how many classes there are (0: real numbers)."""

    shape: tuple[int, ...]
    targets: tuple[int, ...]
    classes: int
    draw: Callable[[np.random.Generator, int], tuple[NDArray[Any], NDArray[Any]]]

    def parts(self) -> Parts:
        """Return (x, y) of each part, always the same."""
        draw = np.random.default_rng(5)
        made = {name: self.draw(draw, rows) for name, rows in ROWS.items()}
        kind = np.int64 if self.classes else np.float32
        return {
            name: (x.astype(np.float32), y.reshape(len(x), *self.targets).astype(kind))
            for name, (x, y) in made.items()
        }


def points(draw: np.random.Generator, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    x = draw.normal(size=(rows, 6))
    return x, x[:, :3].argmax(1)


def images(draw: np.random.Generator, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    x, y = draw.normal(size=(rows, 1, 8, 8)), draw.integers(0, 4, size=rows)
    for row, corner in enumerate(y):
        x[row, 0, 4 * (corner // 2) :, 4 * (corner % 2) :] += 1
    return x, y


def line(draw: np.random.Generator, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    x = draw.normal(size=(rows, 6))
    return x, x @ np.linspace(-1, 1, 6) + 0.1 * draw.normal(size=rows)


def labels(draw: np.random.Generator, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    x = draw.normal(size=(rows, 6))
    return x, x[:, :4] > 0


def masks(draw: np.random.Generator, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    x = draw.normal(size=(rows, 1, 8, 8))
    return x, x[:, 0] > 0.5


def words(draw: np.random.Generator, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    x = draw.integers(0, 5, size=(rows, 7))
    return x[:, :6], x[:, 1:]


ARRAYS: Mapping[str, Arrays] = {
    "points": Arrays((6,), (), 3, points),
    "images": Arrays((1, 8, 8), (), 4, images),
    "line": Arrays((6,), (1,), 0, line),
    "flat_line": Arrays((6,), (), 0, line),
    "labels": Arrays((6,), (4,), 0, labels),
    "masks": Arrays((1, 8, 8), (8, 8), 2, masks),
    "words": Arrays((6,), (6,), 5, words),
}
