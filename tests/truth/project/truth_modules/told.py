"""A module that writes down which of its hooks are called, and what became of it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.hooks import DataHooks, ModelHooks
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.nn import functional

Batch = tuple[Tensor, Tensor]
KEPT = "TRUTH_KEPT"  # the folder into which every module writes what became of it
# Lightning looks whether these are overridden: they are told of only by a module that has them.
DECISIVE = (
    *("on_validation_model_zero_grad", "on_validation_model_eval", "on_validation_model_train"),
    *("on_test_model_eval", "on_test_model_train", "on_predict_model_eval"),
    *("on_before_batch_transfer", "on_after_batch_transfer", "transfer_batch_to_device"),
    *("training_step", "validation_step", "test_step", "configure_optimizers", "prepare_data"),
    *("configure_callbacks", "configure_model", "configure_gradient_clipping"),
    *("optimizer_step", "optimizer_zero_grad", "lr_scheduler_step", "backward"),
    *("train_dataloader", "val_dataloader", "test_dataloader"),
)
ALWAYS = (
    *(name for hooks in (ModelHooks, DataHooks) for name in vars(hooks) if name[:3] == "on_"),
    *("setup", "teardown"),
)


def telling(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    """Return the hook, which writes its name, the epoch and the step down whenever it is called."""

    @functools.wraps(hook)
    def told(self: Any, *given: Any, **named: Any) -> Any:
        trainer = self._trainer
        self.told.append((name, trainer.current_epoch, trainer.global_step) if trainer else (name,))
        return hook(self, *given, **named)

    return told


class Told(pl.LightningModule):
    """The base of all cases; ``told`` are the calls of its hooks, in order."""

    case = ""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Any, ...]] = []

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        for name, hook in list(vars(cls).items()):
            if name in (*ALWAYS, *DECISIVE):
                setattr(cls, name, telling(name, hook))

    def teardown(self, stage: str) -> None:
        """Keep what was told so far, and the values of parameters and buffers."""
        kept = {"told": self.told, "state": self.state_dict()}
        torch.save(kept, Path(os.environ[KEPT]) / f"{self.case}.{TrainerFn(stage).value}.pt")


for _name in ALWAYS:
    if _name not in DECISIVE:
        setattr(Told, _name, telling(_name, getattr(Told, _name)))


class Net(Told):
    """A small classifier: what most of the cases have in common."""

    def __init__(
        self, *, input_shape: tuple[int, ...], classes: int, optimizer: dict[str, Any], **_: Any
    ) -> None:
        super().__init__()
        self.rate = optimizer["learning_rate"]
        self.network = self.layers(prod(input_shape), classes)

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, max(outputs, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.network(x)
        return outputs

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch
        return functional.cross_entropy(self(x), y)

    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        loss = self.loss(batch)
        self.log("loss_seen", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.rate)


class Validated(Net):
    """A classifier that measures itself on validation and test."""

    def validation_step(self, batch: Batch, batch_idx: int) -> Any:
        self.log("own_val_loss", self.loss(batch))

    def test_step(self, batch: Batch, batch_idx: int) -> Any:
        self.log("own_test_loss", self.loss(batch))
