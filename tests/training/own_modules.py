"""Modules as a user writes them; ``own_plugin`` registers them."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]


class Reckless(pl.LightningModule):
    """Draws from every global generator, when it is built and while it trains."""

    def __init__(self, *, input_shape: tuple[int, ...], classes: int, **_: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(math.prod(input_shape), classes)
        self.scale = float(np.random.uniform(0.5, 1.5)) + random.random()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x.flatten(1)) * self.scale
        return logits

    def training_step(self, batch: Batch, _: int) -> Tensor:
        x, y = batch
        noise = float(np.random.normal()) + random.random()
        return nn.functional.cross_entropy(self(x + 0.1 * noise * torch.randn_like(x)), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Telling(Reckless):
    """Logs values of its own in training, validation and test."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.log("steps_seen", float(self.global_step))
        self.log("both", 1.0, on_step=True, on_epoch=True)
        self.log("train_loss", 99.0)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Batch, _: int) -> None:
        self.log_dict({"margin": self(batch[0]).amax(-1).mean(), "val_accuracy": 99.0})

    def on_validation_epoch_end(self) -> None:
        self.log("validations", 1.0)

    def on_train_epoch_end(self) -> None:
        self.log("late", float(self.current_epoch))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        self.log("f1", (self(x).argmax(-1) == y).float().mean())
        self.log("test_accuracy", 99.0)


OWN = {"test_reckless": Reckless, "test_telling": Telling}
