"""What the tests of the modules share: fixed random state, small data, a plain trainer."""

from collections.abc import Callable, Iterator

import pytest
import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset


@pytest.fixture(autouse=True)
def _fixed_random_state() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def digits() -> tuple[Tensor, Tensor]:
    """Return the 1,797 digits of scikit-learn, (B, 1, 8, 8) in [0, 1], and their labels."""
    bunch = load_digits()
    x = torch.tensor(bunch.images / 16, dtype=torch.float32).unsqueeze(1)
    return x, torch.tensor(bunch.target, dtype=torch.int64)


@pytest.fixture(scope="session")
def loader() -> Callable[..., DataLoader]:
    """Return a function from pairs to plain batches of 64."""

    def load(x: Tensor, y: Tensor, *, shuffle: bool = False) -> DataLoader:
        return DataLoader(TensorDataset(x, y), batch_size=64, shuffle=shuffle)

    return load


@pytest.fixture(scope="session")
def plain_trainer() -> Callable[..., pl.Trainer]:
    """Return a function that makes a trainer without logger, checkpoints and bars."""

    def trainer(*, max_epochs: int) -> pl.Trainer:
        return pl.Trainer(
            max_epochs=max_epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    return trainer
