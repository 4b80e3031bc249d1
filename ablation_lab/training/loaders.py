"""What Lightning's own loop trains on: loaders over arrays or Datasets, or those of a user's own.

Comes in: what a data set gives, and how a run trains. Goes out: what a plain fit would be given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, TensorDataset

from ablation_lab.data import Loaders, Part, TrainingData
from ablation_lab.study.run import Training
from ablation_lab.training.order import Order, batches
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


def fit_arguments(data: TrainingData | Loaders, training: Training, *, seed: int) -> dict[str, Any]:
    """Return the data that ``pl.Trainer.fit`` is given.

    Arrays and torch Datasets are shuffled from ``seed``; loaders of a user's own are as they are.
    Errors: ValueError for settings that such loaders would ignore.
    """
    if isinstance(data, TrainingData):
        order = batches(training, examples=len(data.train), seed=seed)
        return {
            "train_dataloaders": training_loader(data.train, order, seed=seed),
            "val_dataloaders": evaluation_loader(data.validation, seed=seed),
        }
    if data.module is not None or not isinstance(data.train, Dataset):
        _validate_unset(training)
    if data.module is not None:
        return {"datamodule": data.module}
    return {
        "train_dataloaders": _of_dataset(data.train, training, seed=seed, trains=True),
        "val_dataloaders": _of_dataset(data.validation, training, seed=seed),
    }


def evaluation_arguments(test: Part | Loaders, training: Training, *, seed: int) -> dict[str, Any]:
    """Return the data that ``pl.Trainer.test`` is given."""
    if isinstance(test, Part):
        return {"dataloaders": evaluation_loader(test, seed=seed)}
    if test.module is not None:
        return {"datamodule": test.module}
    return {"dataloaders": _of_dataset(test.test, training, seed=seed)}


def gathered(test: Loaders, training: Training, *, seed: int) -> Part:
    """Return a test part that is taken batch by batch as arrays.

    Errors: ValueError where its batches are no pairs (x, y) of tensors.
    """
    if test.module is not None:
        test.module.prepare_data()
        test.module.setup("test")
        loader = test.module.test_dataloader()
    else:
        loader = _of_dataset(test.test, training, seed=seed)
    pairs = [batch for batch in loader or () if isinstance(batch, tuple | list) and len(batch) == 2]
    if not pairs or not all(isinstance(each, Tensor) for pair in pairs for each in pair):
        raise ValueError(
            "its test batches are no pairs (x, y) of tensors, so that the lab can measure nothing; "
            "give the module a test_step that logs what is to be measured"
        )
    x, y = (torch.cat(parts).numpy() for parts in zip(*pairs, strict=True))
    return Part(x, y)


def _of_dataset(part: Any, training: Training, *, seed: int, trains: bool = False) -> Any:
    """Return a loader over a torch Dataset; anything else is one already."""
    if not isinstance(part, Dataset):
        return part
    settings: dict[str, Any] = {"generator": torch.Generator().manual_seed(seed)}
    if isinstance(part, IterableDataset) or not trains:
        return DataLoader(part, batch_size=training.batch_size or EVALUATION_BATCH, **settings)
    order = batches(training, examples=len(part), seed=seed)  # type: ignore[arg-type]
    return DataLoader(part, batch_size=order.batch, sampler=Epochs(order), **settings)


def _validate_unset(training: Training) -> None:
    for name in ("batch_size", "shuffle", "drop_last"):
        value = getattr(training, name)
        if value is not None and value is not True:
            raise ValueError(
                f"training.{name}: the data set brings loaders of its own, which would ignore "
                f"{value!r}; leave it out"
            )


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
