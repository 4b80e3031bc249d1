"""On which examples a run takes its steps: a new permutation every epoch, from one stream."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


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
