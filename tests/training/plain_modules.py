"""Modules as people write them: schedules, hooks, callbacks, optimisers by hand, all that draw."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, StochasticWeightAveraging
from torch import Tensor, nn
from torch.optim import lr_scheduler

Batch = tuple[Tensor, Tensor]
HOOKS = (
    *("on_fit_start", "on_fit_end", "on_train_start", "on_train_end", "on_sanity_check_start"),
    *("on_train_epoch_start", "on_train_epoch_end", "on_validation_epoch_end"),
    *("on_train_batch_start", "on_train_batch_end", "on_validation_start", "on_validation_end"),
    *("on_before_optimizer_step", "on_before_zero_grad", "on_validation_batch_end"),
)


class Plain(pl.LightningModule):
    """Draws from every generator, keeps state where it can, and tells every hook it sees."""

    def __init__(self, *, input_shape: tuple[int, ...], classes: int, **_: Any) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), 8))
        self.body = nn.Sequential(nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(8, classes)
        self.register_buffer("calls", torch.zeros(()))
        self.seen: list[Any] = []
        self.asked = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1  # type: ignore[operator]
        self.asked += 1
        logits: Tensor = self.head(self.body(self.hidden(x)))
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        x, y = batch
        x = x + 0.01 * random.random() + 0.01 * float(np.random.normal())
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("own_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        self.log("own_validation", nn.functional.cross_entropy(self(x), y), prog_bar=True)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def _telling(name: str) -> Any:
    def hook(self: Plain, *_: Any) -> None:
        trainer = self.trainer
        place = trainer.current_epoch, trainer.global_step, self.asked, self.training
        length = trainer.num_training_batches, trainer.max_epochs, trainer.max_steps
        self.seen.append((name, place, length, self.body[2].training))

    return hook


for _name in HOOKS:
    setattr(Plain, _name, _telling(_name))


class PerEpoch(Plain):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return [optimizer], [lr_scheduler.StepLR(optimizer, 2, 0.1)]


class PerStep(Plain):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.1)
        steps = int(self.trainer.estimated_stepping_batches)
        cycle = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": cycle, "interval": "step"},
        }


class OnPlateau(Plain):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=0.1)
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": plateau, "monitor": "own_validation"},
        }


class Alternating(Plain):
    """Two optimisers that it steps itself, and batches that it skips."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        chosen: Any = self.optimizers()
        loss = super().training_step(batch, batch_idx)
        chosen[batch_idx % 2].zero_grad()
        self.manual_backward(loss)
        chosen[batch_idx % 2].step()

    def configure_optimizers(self) -> Any:
        body = [*self.hidden.parameters(), *self.body.parameters()]
        return [torch.optim.Adam(body, 0.01), torch.optim.SGD(self.head.parameters(), 0.1)]


class Averaging(Plain):
    def configure_callbacks(self) -> Any:
        return StochasticWeightAveraging(0.05, swa_epoch_start=2)


class Stopping(Plain):
    def configure_callbacks(self) -> Any:
        return EarlyStopping("own_validation", patience=0, min_delta=1.0)


class Frozen(Plain):
    """Part of it is never trained, and so never in training mode."""

    def on_train_epoch_start(self) -> None:
        self.hidden.requires_grad_(False)
        self.body.eval()


class Skipping(Plain):
    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        return None if batch_idx == 1 else {"loss": super().training_step(batch, batch_idx)}


class Writing(Plain):
    """Speaks to a logger, whatever it is."""

    def on_train_epoch_end(self) -> None:
        self.logger.experiment.add_scalar("epoch", self.current_epoch)  # type: ignore[union-attr]
        self.logger.log_metrics({"epoch": 1.0})  # type: ignore[union-attr]


COMPARED = (Plain, PerEpoch, PerStep, OnPlateau, Alternating, Averaging, Stopping, Frozen, Skipping)
FAMILY = (*COMPARED, Writing)
