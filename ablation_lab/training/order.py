"""On which examples a run takes its steps: a new permutation every epoch, from one stream.

Or, where a recipe says so, always in the order in which the examples are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from ablation_lab.study.run import Training

# What each step trains on, without end.
BatchIndices: TypeAlias = Iterable[Tensor | None]


class Order:
    """The examples of each step; ``None`` stands for the full batch, which has no order.

    An epoch is a new permutation from ``seed``, or the rows as they are stored where it is not
    ``shuffled``. What does not fill its last batch is left out, or with ``whole`` epochs is a
    smaller batch.
    """

    def __init__(
        self,
        *,
        examples: int,
        batch_size: int | None,
        seed: int,
        shuffled: bool = True,
        whole: bool = False,
    ) -> None:
        self._examples = examples
        self.full = batch_size is None
        self.batch = min(batch_size or examples, examples)
        # Of an epoch, how many examples are in its batches.
        self.used = examples - (0 if whole else examples % self.batch)
        self._shuffled = shuffled and not self.full
        self._generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[Tensor | None]:
        """Yield the indices of every batch, without end."""
        while self.full:
            yield None
        while True:
            yield from self.epoch().split(self.batch)

    def epoch(self) -> Tensor:
        """Return the rows of the next epoch, one batch after the other."""
        if not self._shuffled:
            return torch.arange(self._examples)[: self.used]
        return torch.randperm(self._examples, generator=self._generator)[: self.used]


def batches(training: Training, *, examples: int, seed: int) -> Order:
    """Return the batches that a recipe asks for, shuffled from ``seed`` unless it says no."""
    return Order(
        examples=examples,
        batch_size=training.batch_size,
        seed=seed,
        shuffled=training.shuffle,
        whole=not training.drop_last,
    )


class Orders:
    """The examples of each step for K runs, each in the order that it has alone.

    The permutations of an epoch lie together, so that a step costs one slice, not K of them.
    """

    def __init__(self, orders: Sequence[Order]) -> None:
        self._orders = list(orders)
        self._device = torch.device("cpu")
        self._epoch = torch.empty(len(orders), 0)
        self._next = 0

    def to_device(self, device: torch.device) -> None:
        """Lay the orders of every further epoch on the device."""
        self._device = device

    def next(self) -> tuple[Tensor, ...]:
        """Return the indices (K, B) of the next step; none of them is the full batch."""
        if self._orders[0].full:
            return ()
        if self._next >= self._epoch.shape[1]:
            self._epoch = torch.stack([each.epoch() for each in self._orders]).to(self._device)
            self._next = 0
        first, self._next = self._next, self._next + self._orders[0].batch
        return (self._epoch[:, first : self._next],)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these of the runs alone."""
        self._orders = [self._orders[row] for row in rows]
        self._epoch = self._epoch[list(rows)]
