"""On which examples a run takes its steps: a new permutation every epoch, from one stream.

Or, where a recipe says so, always in the order in which the examples are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor

from ablation_lab.study.run import Training

STORED = "stored"
# What each step trains on, without end.
BatchIndices: TypeAlias = Iterable[Tensor | None]


class Order:
    """The examples of each step; ``None`` stands for the full batch, which has no order."""

    def __init__(self, *, examples: int, batch_size: int | None, seed: int) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self._generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[Tensor | None]:
        """Yield the indices of every batch, without end."""
        if self.batch_size is None:
            while True:
                yield None
        size = min(self.batch_size, self.examples)
        while True:
            permutation = torch.randperm(self.examples, generator=self._generator)
            for step in range(self.examples // size):
                yield permutation[step * size : (step + 1) * size]


class StoredOrder:
    """The examples of each step in stored order, the same in every epoch: nothing is shuffled."""

    def __init__(self, *, examples: int, batch_size: int) -> None:
        self.examples = examples
        self.batch_size = min(batch_size, examples)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the indices of every batch, without end."""
        rows = torch.arange(self.examples)
        while True:
            for step in range(self.examples // self.batch_size):
                yield rows[step * self.batch_size : (step + 1) * self.batch_size]


def batches(training: Training, *, examples: int, seed: int) -> BatchIndices:
    """Return the batches that a recipe asks for: shuffled from ``seed``, or as stored."""
    if training.order == STORED and training.batch_size is not None:
        return StoredOrder(examples=examples, batch_size=training.batch_size)
    return Order(examples=examples, batch_size=training.batch_size, seed=seed)
