"""Data sets as a user writes them: arrays, torch Datasets, loaders, a LightningDataModule."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler
from torch.utils.data import Dataset as TorchDataset

from ablation_lab.data import DATASETS, Dataset

Files = dict[str, bytes]


def rows(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return points in the plane, and whether they lie right of a line."""
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    return x, (x.sum(1) > 0).long()


def parts(_: Files) -> Any:
    return tuple(rows(count, seed) for seed, count in enumerate((60, 20, 20)))


def drawn(_: Files) -> Any:
    """Draw all parts from the global generators, one after the other."""
    x = torch.randn(100, 2) + random.random() + float(np.random.normal())
    y = (x.sum(1) > 0).long()
    return tuple((x[cut], y[cut]) for cut in (slice(60), slice(60, 80), slice(80, None)))


def tensor_datasets(_: Files) -> Any:
    return tuple(TensorDataset(*part) for part in parts({}))


class Noisy(TorchDataset[dict[str, Tensor]]):
    """Adds noise from every global generator as a transform does; its examples have names."""

    def __init__(self, part: tuple[Tensor, Tensor], scale: float = 0.02) -> None:
        self.x, self.y = part
        self.scale = scale

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        noise = random.random() + float(np.random.normal()) + torch.randn(2)
        return {"x": self.x[index] + self.scale * noise, "y": self.y[index]}


def transformed(_: Files) -> Any:
    return tuple(Noisy(part) for part in parts({}))


def loaders(_: Files, *, workers: int = 0) -> Any:
    """Return loaders with a sampler and workers, none of which says a seed."""
    train, validation, test = (Noisy(part) for part in parts({}))
    sampler = WeightedRandomSampler(torch.ones(60), 48)
    return (
        DataLoader(train, batch_size=12, sampler=sampler, num_workers=workers),
        DataLoader(validation, batch_size=20),
        DataLoader(test, batch_size=20),
    )


def with_workers(_: Files) -> Any:
    return loaders({}, workers=2)


class Points(pl.LightningDataModule):
    """Splits in setup, and shuffles without saying a seed."""

    def setup(self, stage: str) -> None:
        self.parts = [TensorDataset(*part) for part in parts({})]

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.parts[0], batch_size=12, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.parts[1], batch_size=12)

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.parts[2], batch_size=12)


def module(_: Files) -> Any:
    return Points()


ARRAYS = {"parts": parts, "drawn": drawn, "tensor_datasets": tensor_datasets}
LOADERS = {
    **{"transformed": transformed, "loaders": loaders, "with_workers": with_workers},
    "module": module,
}


@contextmanager
def registered_data() -> Iterator[None]:
    """Have the data sets registered, each as test_ and its name."""
    for name, read in {**ARRAYS, **LOADERS}.items():
        DATASETS.register(f"test_{name}")(
            Dataset(
                name=f"test_{name}",
                shape=(2,),
                classes=2,
                examples=60,
                files=(),
                about="points in the plane",
                read=read,
                loaders=name in LOADERS,
            )
        )
    try:
        yield
    finally:
        for name in {**ARRAYS, **LOADERS}:
            for kept in (DATASETS._things, DATASETS._places, DATASETS._lines):
                del kept[f"test_{name}"]
