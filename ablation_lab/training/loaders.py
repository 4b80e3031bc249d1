"""What Lightning's own loop trains on: loaders of a run's own order over arrays in memory.

Comes in: arrays, and the order of a run. Goes out: loaders as a plain fit would be given them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Sampler, TensorDataset

from ablation_lab.data import Part
from ablation_lab.training.order import Order
from ablation_lab.training.trained import EVALUATION_BATCH, tensors


class Rows(TensorDataset):
    """Examples that a loader takes by the batch: indexed at once, which one by one gives too."""

    def __getitems__(self, rows: list[int]) -> tuple[Tensor, ...]:
        """Return the batch of these rows."""
        index = torch.tensor(rows)
        return tuple(each[index] for each in self.tensors)


class Epochs(Sampler[int]):
    """The rows of each epoch in a run's own order; of several devices each has its share."""

    def __init__(self, order: Order, *, devices: int = 1) -> None:
        self._order = order
        self._devices = devices

    def __len__(self) -> int:
        """Return the number of rows of an epoch."""
        return self._order.used // self._devices

    def __iter__(self) -> Iterator[int]:
        """Yield the rows of the next epoch."""
        rows = self._order.epoch()
        if self._devices > 1:
            rank, world = distributed.get_rank(), distributed.get_world_size()
            rows = torch.cat([part[rank::world] for part in rows.split(self._order.batch)])
        yield from rows.tolist()


def training_loader(part: Part, order: Order, *, seed: int, devices: int = 1) -> DataLoader[Any]:
    """Return the loader of a training part; ``seed`` keeps it from drawing elsewhere."""
    return DataLoader(
        _rows(part),
        batch_size=order.batch // devices,
        sampler=Epochs(order, devices=devices),
        collate_fn=_as_it_is,
        generator=torch.Generator().manual_seed(seed),
    )


def evaluation_loader(part: Part, *, seed: int) -> DataLoader[Any]:
    """Return the loader of a part in its own order."""
    return DataLoader(
        _rows(part),
        batch_size=EVALUATION_BATCH,
        collate_fn=_as_it_is,
        generator=torch.Generator().manual_seed(seed),
    )


def _rows(part: Part) -> Rows:
    return Rows(*tensors(part, torch.device("cpu")))


def _as_it_is(batch: Any) -> Any:
    return batch
