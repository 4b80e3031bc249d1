"""Data as people bring it: loaders of a module's own, batches that are no pairs, odd lengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import CombinedLoader
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    WeightedRandomSampler,
)

from .arrays import ARRAYS
from .case import case
from .told import Batch, Net, Validated


def part(name: str, data: str = "points") -> TensorDataset:
    """Return a part of the arrays as a data set of torch's."""
    x, y = ARRAYS[data].parts()[name]
    return TensorDataset(torch.from_numpy(x), torch.from_numpy(y))


class Points(pl.LightningDataModule):
    """The points, as a data module of a user's own."""

    def loader(self, name: str, **settings: Any) -> Any:
        return DataLoader(part(name), **{"batch_size": 8, **settings})

    def train_dataloader(self) -> Any:
        return self.loader("train", batch_size=5, shuffle=True, drop_last=True)

    def val_dataloader(self) -> Any:
        return self.loader("validation")

    def test_dataloader(self) -> Any:
        return self.loader("test")


class Prepared(Points):
    """Has every hook of a data module."""

    def prepare_data(self) -> None:
        self.prepared = True

    def setup(self, stage: str) -> None:
        self.scale = 2.0

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch[0] * self.scale, batch[1]

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch[0] + 0.1 * torch.randn_like(batch[0]), batch[1]


@case(source=Prepared)
class DataModule(Validated):
    """A LightningDataModule with setup and transforms of its own."""


class Weighted(Points):
    def train_dataloader(self) -> Any:
        weights = [1.0 + (i % 3) for i in range(24)]
        return self.loader("train", sampler=WeightedRandomSampler(weights, 32))


@case(source=Weighted)
class WeightedSampler(Validated):
    """A sampler that draws examples by weight, with replacement."""


class Jittered(Dataset[Batch]):
    """Examples that are changed by draws of numpy's and torch's generators."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> Batch:
        x, y = part("train")[index]
        return x + 0.1 * float(np.random.normal()) + 0.1 * torch.randn(()), y


class Jitter(Points):
    def train_dataloader(self) -> Any:
        return DataLoader(Jittered(), 8, shuffle=True, num_workers=2)


@case(epochs=2, source=Jitter)
class Workers(Validated):
    """Loaders with two worker processes, in which examples are changed by draws."""


class Stream(IterableDataset[Batch]):
    """Examples without a length."""

    def __iter__(self) -> Iterator[Batch]:
        yield from part("train")


class Streamed(Points):
    def train_dataloader(self) -> Any:
        return DataLoader(Stream(), 8)


@case(source=Streamed)
class Endless(Validated):
    """An IterableDataset, whose length nobody knows."""


def collate(rows: list[Batch]) -> dict[str, Any]:
    """Return a batch that is a dictionary, with something that is no tensor."""
    x, y = zip(*rows, strict=True)
    return {"x": torch.stack(x), "y": torch.stack(y), "sizes": [len(each) for each in x]}


class Named(Points):
    def loader(self, name: str, **settings: Any) -> Any:
        return super().loader(name, collate_fn=collate, **settings)


@case(source=Named, metric="own_test_loss")
class DictBatches(Net):
    """Batches that are dictionaries, from a collate function of one's own."""

    task = "own"

    def loss(self, batch: Any) -> Tensor:
        return super().loss((batch["x"], batch["y"]))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("own_val_loss", self.loss(batch), batch_size=len(batch["y"]))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("own_test_loss", self.loss(batch), batch_size=len(batch["y"]))


class Several(Points):
    def val_dataloader(self) -> Any:
        return [self.loader("validation"), self.loader("test", batch_size=4)]

    def test_dataloader(self) -> Any:
        return [self.loader("test"), self.loader("train")]


@case(source=Several, metric="loss_0")
class SeveralValidations(Net):
    """Several loaders for validation and test."""

    task = "own"

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log("own_val_loss", self.loss(batch))

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log(f"loss_{dataloader_idx}", self.loss(batch), add_dataloader_idx=False)


class Pair(Points):
    def train_dataloader(self) -> Any:
        loaders = {"one": self.loader("train"), "two": self.loader("test", batch_size=4)}
        return CombinedLoader(loaders, "max_size_cycle")


@case(source=Pair)
class Combined(Validated):
    """Two loaders that are trained on together."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss: Tensor = self.loss(batch["one"]) + 0.5 * self.loss(batch["two"])
        return loss


class Growing(Points):
    def train_dataloader(self) -> Any:
        assert self.trainer is not None
        return self.loader("train", batch_size=4 + 2 * self.trainer.current_epoch)


@case(source=Growing, trainer={"reload_dataloaders_every_n_epochs": 1})
class Reloaded(Validated):
    """reload_dataloaders_every_n_epochs, with batches that the epoch chooses."""


@case()
class OtherShapes(Net):
    """Tuple outputs, and an answer() that says which of them is measured."""

    def forward(self, x: Tensor) -> Any:
        hidden = self.network[2](self.network[1](x.flatten(1)))  # type: ignore[index]
        return self.network[3](hidden), hidden  # type: ignore[index]

    def answer(self, x: Tensor) -> Tensor:
        logits: Tensor = self(x)[0]
        return logits

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch
        logits, hidden = self(x)
        return torch.nn.functional.cross_entropy(logits, y) + 0.01 * hidden.square().mean()


@case(trainer={"limit_train_batches": 2, "limit_val_batches": 1})
class Limited(Validated):
    """limit_train_batches and limit_val_batches."""


@case(epochs=4, trainer={"check_val_every_n_epoch": 2})
class ValidatedSeldom(Validated):
    """check_val_every_n_epoch."""


@case(trainer={"val_check_interval": 2})
class ValidatedOften(Validated):
    """val_check_interval: validation within an epoch."""


@case(trainer={"num_sanity_val_steps": 2})
class SanityChecked(Validated):
    """num_sanity_val_steps: validation before the first step."""


@case(batch_size=7, drop_last=False)
class Ragged(Validated):
    """A last batch that is smaller than the others."""
