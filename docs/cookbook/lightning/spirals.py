"""A LightningModule and its own LightningDataModule, and the two names that a study calls them."""

from itertools import chain, pairwise

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from ablation_lab import dataset, family
from ablation_lab.data import Dataset


class Spirals(pl.LightningDataModule):
    """Two spirals in noise, with batches of its own."""

    def setup(self, stage: str) -> None:
        """Draw all points, always the same, and split them."""
        draws = torch.Generator().manual_seed(0)
        y = torch.arange(600) % 2
        turn = 6 * torch.rand(600, generator=draws)
        angle = turn + torch.pi * y
        x = torch.stack([turn * angle.cos(), turn * angle.sin()], 1)
        points = TensorDataset(x + 0.1 * torch.randn(600, 2, generator=draws), y)
        self.train, self.validation, self.test = random_split(points, [300, 100, 200], draws)

    def train_dataloader(self) -> DataLoader:
        """Return batches in an order of their own in each epoch."""
        return DataLoader(self.train, batch_size=30, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Return what is looked at along the way."""
        return DataLoader(self.validation, batch_size=100)

    def test_dataloader(self) -> DataLoader:
        """Return what is looked at once."""
        return DataLoader(self.test, batch_size=200)


@family("spiral_net")
class SpiralNet(pl.LightningModule):
    """A network whose width and activation are settings."""

    def __init__(self, *, width: int, act: str, optimizer: dict, **_) -> None:
        """Build it; ``_`` takes what else every family is given."""
        super().__init__()
        self.rate = optimizer["learning_rate"]
        between = getattr(nn, act)
        sizes = [2, width, width]
        hidden = [(nn.Linear(n, m), between()) for n, m in pairwise(sizes)]
        self.net = nn.Sequential(*chain(*hidden), nn.Linear(width, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (B, 2) of points (B, 2)."""
        return self.net(x)

    def training_step(self, batch, index: int) -> torch.Tensor:
        """Return the loss of a batch."""
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def validation_step(self, batch, index: int) -> None:
        """Log what is drawn as a curve."""
        x, y = batch
        self.log("val_accuracy", (self(x).argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam at the study's rate."""
        return torch.optim.Adam(self.parameters(), lr=self.rate)


dataset("two_spirals")(
    Dataset(
        name="two_spirals",
        shape=(2,),
        classes=2,
        examples=300,
        about="two spirals in noise",
        read=lambda files: Spirals(),
        loaders=True,
    )
)
