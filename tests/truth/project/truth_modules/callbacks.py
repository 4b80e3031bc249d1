"""Callbacks, Lightning's and one's own, that a module brings by configure_callbacks."""

from __future__ import annotations

import copy
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    BaseFinetuning,
    EarlyStopping,
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    LambdaCallback,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from torch import Tensor, nn

from .case import case
from .told import Batch, Validated


class OwnEma(pl.Callback):
    """A moving average of the weights, which validation and test look at."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, Tensor] = {}
        self.weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.average = copy.deepcopy(module.state_dict())

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        for name, value in module.state_dict().items():
            self.average[name].lerp_(value, 1 - self.decay)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.weights = copy.deepcopy(module.state_dict())
        module.load_state_dict(self.average)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        module.load_state_dict(self.weights)

    def on_test_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        module.load_state_dict(self.average)


@case()
class Averaging(Validated):
    """A moving average of weights (EMA) of one's own, swapped in for validation and test."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Kept: Lightning asks again before it tests.
        self.average = OwnEma(0.7)

    def configure_callbacks(self) -> list[pl.Callback]:
        return [self.average]


@case()
class AveragingBuiltIn(Validated):
    """Lightning's EMAWeightAveraging."""

    def configure_callbacks(self) -> list[pl.Callback]:
        return [EMAWeightAveraging(decay=0.7)]


@case(epochs=5)
class Swa(Validated):
    """StochasticWeightAveraging, with batch normalisation that it updates at the end."""

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, outputs)
        )

    def configure_callbacks(self) -> list[pl.Callback]:
        return [StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=2, annealing_epochs=2)]


@case(epochs=20, learning_rate=3.0)
class EarlyStopped(Validated):
    """EarlyStopping on a value that validation logs."""

    def configure_callbacks(self) -> list[pl.Callback]:
        return [EarlyStopping("own_val_loss", patience=2)]


@case(epochs=20)
class StoppedByItself(Validated):
    """A module that stops the fit by trainer.should_stop, within an epoch."""

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.current_epoch == 3 and batch_idx == 1:
            self.trainer.should_stop = True


@case(epochs=4)
class AccumulatedLater(Validated):
    """GradientAccumulationScheduler: other numbers of batches from an epoch on."""

    def configure_callbacks(self) -> list[pl.Callback]:
        return [GradientAccumulationScheduler({0: 1, 2: 3})]


class Backbone(BaseFinetuning):
    """The first layer is trained from the second epoch on."""

    def freeze_before_training(self, pl_module: Any) -> None:
        self.freeze(pl_module.network[1])

    def finetune_function(self, pl_module: Any, epoch: int, optimizer: Any) -> None:
        if epoch == 1:
            self.unfreeze_and_add_param_group(pl_module.network[1], optimizer, lr=0.01)


@case()
class Finetuned(Validated):
    """BaseFinetuning, which adds a group of parameters while it trains."""

    def configure_callbacks(self) -> list[pl.Callback]:
        return [Backbone()]

    def configure_optimizers(self) -> Any:
        trained = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.SGD(trained, lr=self.rate, momentum=0.9)


@case()
class LogsFromCallbacks(Validated):
    """Values that a callback logs for the module."""

    def configure_callbacks(self) -> list[pl.Callback]:
        def weights(trainer: pl.Trainer, module: pl.LightningModule) -> None:
            total = sum(p.detach().square().sum() for p in module.parameters())
            module.log("weights", total)  # type: ignore[arg-type]

        return [LambdaCallback(on_train_epoch_end=weights)]


@case()
class Checkpointed(Validated):
    """ModelCheckpoint, whose best state the module takes back at the end."""

    def configure_callbacks(self) -> list[pl.Callback]:
        return [ModelCheckpoint(monitor="own_val_loss", mode="max")]

    def on_fit_end(self) -> None:
        kept: Any = self.trainer.checkpoint_callback
        self.load_state_dict(torch.load(kept.best_model_path)["state_dict"])


@case()
class RateMonitored(Validated):
    """LearningRateMonitor, and values that the module writes to its logger."""

    def configure_callbacks(self) -> list[pl.Callback]:
        return [LearningRateMonitor("step")]

    def on_train_epoch_end(self) -> None:
        assert self.logger is not None
        self.logger.log_metrics({"epochs": float(self.current_epoch)})
