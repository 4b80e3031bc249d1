"""Modules as a user writes them; ``own_plugin`` registers them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules.registry import FAMILIES

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


class Stacking(pl.LightningModule):
    """A network with normalisation whose step is pure, and that says so."""

    stacks = True

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        classes: int,
        optimizer: dict[str, Any],
        l2: float,
        **_: Any,
    ) -> None:
        super().__init__()
        self.rate, self.l2 = optimizer["learning_rate"], l2
        self.network = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(input_shape), 6, bias=False),
            nn.BatchNorm1d(6),
            nn.Tanh(),
            nn.Linear(6, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits

    def training_step(self, batch: Batch, _: int) -> Tensor:
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss + self.l2 * sum(p.square().sum() for p in self.parameters())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        decayed = {"params": [self.network[1].weight], "weight_decay": 0.1}
        return torch.optim.AdamW(
            [decayed, {"params": [*self.network[1:].parameters()][1:]}], lr=self.rate
        )


class Noisy(Stacking):
    """Draws in its step."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y = batch
        return super().training_step((x + torch.randn_like(x), y), batch_idx)


class Individual(Stacking):
    """Differs between replicates in what is no parameter."""

    def __init__(self, *, seed: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.scale = 1 + seed / 2**63

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


class WholeMatrix(Stacking):
    """Its optimiser looks at all numbers at once."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.LBFGS(self.parameters())


class Validating(Stacking):
    """Validates by itself, which a stack would not call."""

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("own", 1.0)


@contextmanager
def registered(families: Iterable[type[pl.LightningModule]]) -> Iterator[None]:
    """Have families registered, each as test_ and the name of its class."""
    names = []
    for family in families:
        names.append(f"test_{family.__name__.lower()}")
        FAMILIES.register(names[-1])(family)
    try:
        yield
    finally:
        for name in names:
            for kept in (FAMILIES._things, FAMILIES._places, FAMILIES._lines):
                del kept[name]


OWN = (Reckless, Telling, Stacking, Noisy, Individual, WholeMatrix, Validating)
