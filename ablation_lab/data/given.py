"""What the reader of a data set may give, and how it is called.

Comes in: arrays, tensors, torch Datasets, DataLoaders or a LightningDataModule. Goes out: numpy
parts where all is arrays, else `Loaders`. What a reader draws is the same in every process.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ablation_lab.data.dataset import DataError, Dataset, Part, TrainingData

EXPECTED = (
    "(TrainingData, Part), or (train, validation, test), each a pair (x, y) of arrays or tensors"
)


@dataclass(frozen=True)
class Loaders:
    """Parts that Lightning takes batch by batch, as the reader of a data set gave them.

    Each is a DataLoader or a torch Dataset; or all are those of a LightningDataModule, `module`.
    """

    train: Any = None
    validation: Any = None
    test: Any = None
    module: Any = None


@contextmanager
def seeded(name: str) -> Iterator[None]:
    """Let a reader draw from the global generators, always the same; they stay as they were."""
    import torch

    seed = int.from_bytes(hashlib.sha256(f"data/{name}".encode()).digest()[:4], "big")
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def arrays_of(dataset: Dataset, given: Any) -> tuple[TrainingData, Part]:
    """Return what a reader gave as numpy parts.

    Errors: DataError for what is none, and for loaders that are not declared.
    """
    match given:
        case (TrainingData() as training, Part() as test):
            return training, test
        case (train, validation, test):
            parts = [_part(dataset, each) for each in (train, validation, test)]
            return TrainingData(parts[0], parts[1]), parts[2]
    raise _unfit(dataset, given)


def loaders_of(dataset: Dataset, given: Any) -> Loaders:
    """Return what a reader gave as parts that are taken batch by batch.

    Errors: DataError.
    """
    match given:
        case Loaders():
            return given
        case (train, validation, test):
            return Loaders(train=train, validation=validation, test=test)
    if hasattr(given, "train_dataloader"):
        return Loaders(module=given)
    raise DataError(
        f"{dataset.name}: expected a LightningDataModule, or (train, validation, test), each a "
        f"DataLoader or a torch Dataset, found {type(given).__name__}; correct its reader"
    )


def _part(dataset: Dataset, given: Any) -> Part:
    tensors = getattr(given, "tensors", given)  # those of a TensorDataset
    if not (isinstance(tensors, tuple | list) and len(tensors) == 2):
        raise _unfit(dataset, given)
    x, y = (np.asarray(each) for each in tensors)
    return Part(
        np.ascontiguousarray(x, dtype=np.float32),
        np.ascontiguousarray(y, dtype=np.int64 if dataset.classes else np.float32),
    )


def _unfit(dataset: Dataset, given: Any) -> DataError:
    return DataError(
        f"{dataset.name}: expected {EXPECTED}, found {type(given).__name__}; for DataLoaders, "
        "torch Datasets or a LightningDataModule declare it with loaders=True"
    )
