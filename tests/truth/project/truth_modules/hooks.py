"""Hooks that keep state, draw, look around in the trainer, and log."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .case import case
from .told import Batch, Net, Validated


@case()
class KeepsState(Validated):
    """State that hooks keep between batches, and log at the end of the epoch."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.losses: list[Tensor] = []
        self.right: list[Tensor] = []

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.losses.append(outputs["loss"])

    def on_train_epoch_end(self) -> None:
        self.log("largest", torch.stack(self.losses).max())
        self.losses.clear()

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y = batch
        super().validation_step(batch, batch_idx)
        right = (self(x).argmax(-1) == y).float()
        self.right.append(right)
        return right

    def on_validation_epoch_end(self) -> None:
        self.log("share_right", torch.cat(self.right).mean(), prog_bar=True)
        self.right.clear()


@case(epochs=2)
class LogsInEveryWay(Validated):
    """self.log per step, per epoch, for both, reduced by a function, and as a dictionary."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("plain", loss)
        self.log("both", loss, on_step=True, on_epoch=True)
        self.log("largest", loss, on_step=False, on_epoch=True, reduce_fx=torch.max)
        self.log_dict({"steps/seen": float(self.global_step), "batch": float(batch_idx)})
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        self.log("val/summed", float(len(batch[1])), reduce_fx="sum")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        super().test_step(batch, batch_idx)
        self.log_dict({"test_a": 1.0, "test_b": float(len(batch[1]))}, batch_size=len(batch[1]))


@case()
class DrawsFromEverywhere(Validated):
    """Draws from python, numpy and torch, when it is built and in its steps."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.scale = random.random() + np.random.uniform(0.5, 1.5)

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch
        noise = torch.randn_like(x) + np.random.normal() + random.random()
        return super().loss((self.scale * (x + 0.1 * noise), y))


@case()
class ForwardDraws(Validated):
    """A forward that draws, also where it predicts."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.01 * torch.randn_like(x))


@case(epochs=4)
class LooksAround(Validated):
    """What a module reads of its trainer: epochs, batches, loaders, callbacks, stages."""

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        trainer = self.trainer
        values = {
            "max_epochs": trainer.max_epochs,
            "batches": trainer.num_training_batches,
            "steps": trainer.estimated_stepping_batches,
            "val_batches": sum(trainer.num_val_batches),
            "last": trainer.is_last_batch,
            "global_zero": trainer.is_global_zero,
            "examples": len(trainer.train_dataloader.dataset),
            "batch_size": trainer.train_dataloader.batch_size,
            "fast_dev_run": bool(trainer.fast_dev_run),
            "loggers": len(trainer.loggers),
            "optimizers": len(trainer.optimizers),
            "devices": trainer.num_devices,
            "training": trainer.training and not trainer.sanity_checking,
        }
        self.told.append(("sees", *values.items()))
        self.log_dict({f"sees_{key}": float(value) for key, value in values.items()})


@case()
class SavesHyperparameters(Validated):
    """save_hyperparameters, and hparams that are read and changed."""

    def __init__(self, *, optimizer: dict[str, Any], decay: float = 0.5, **settings: Any) -> None:
        super().__init__(optimizer=optimizer, **settings)
        self.save_hyperparameters("optimizer", "decay")

    def configure_optimizers(self) -> Any:
        rate = self.hparams["optimizer"]["learning_rate"] * self.hparams["decay"]
        return torch.optim.SGD(self.parameters(), lr=rate)


@case()
class EveryHook(Net):
    """Every other hook: transfers, gradients, setup, predictions of a validation loop."""

    def prepare_data(self) -> None:
        self.prepared = True

    def setup(self, stage: str) -> None:
        self.stage = stage

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        x, y = batch
        return 2 * x, y

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        x, y = batch
        return x + (0.01 * torch.randn_like(x) if self.trainer.training else 0), y

    def on_after_backward(self) -> None:
        self.log("gradient", self.network[1].weight.grad.abs().mean())  # type: ignore[index]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("own_val_loss", self.loss(batch))

    def on_validation_model_eval(self) -> None:
        self.eval()

    def on_validation_model_train(self) -> None:
        self.train()
