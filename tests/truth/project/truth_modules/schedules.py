"""Learning rates that change: per epoch, per step, on a value that was logged, or by hand."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import lr_scheduler

from .case import case
from .told import Batch, Net, Validated


class Rated(Validated):
    """Logs the rate of every step, and where in the fit it is."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        optimizer: Any = self.optimizers()
        self.log("rate", optimizer.param_groups[0]["lr"])
        self.log("rates", optimizer.param_groups[0]["lr"], on_step=False, on_epoch=True)
        self.log("epoch_seen", float(self.current_epoch))
        loss: Tensor = super().training_step(batch, batch_idx)
        return loss

    def sgd(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.rate, momentum=0.9)


@case(epochs=100, batch_size=24)
class StepPerEpoch(Rated):
    """A schedule that moves on per epoch, as a list of optimizers and schedules."""

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.rate)
        return [optimizer], [lr_scheduler.StepLR(optimizer, 30, 0.1)]


@case(epochs=4)
class CosinePerStep(Rated):
    """A schedule that moves on per step."""

    def configure_optimizers(self) -> Any:
        optimizer = self.sgd()
        steps = self.trainer.max_epochs * self.trainer.num_training_batches
        schedule = lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


@case(epochs=4)
class OneCycle(Rated):
    """OneCycleLR over estimated_stepping_batches."""

    def configure_optimizers(self) -> Any:
        optimizer = self.sgd()
        steps = self.trainer.estimated_stepping_batches
        schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=int(steps))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


@case(epochs=4, trainer={"accumulate_grad_batches": 2})
class WarmUp(Rated):
    """Warm-up and decay over estimated_stepping_batches, with accumulated gradients."""

    def configure_optimizers(self) -> Any:
        optimizer = self.sgd()
        steps = int(self.trainer.estimated_stepping_batches)

        def factor(step: int) -> float:
            return min((step + 1) / 3, (steps - step) / steps)

        schedule = lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


@case(epochs=8, learning_rate=3.0)
class PlateauOnValidation(Rated):
    """ReduceLROnPlateau on a value that validation logs."""

    def configure_optimizers(self) -> Any:
        optimizer = self.sgd()
        schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "monitor": "own_val_loss"},
        }


@case(epochs=8, learning_rate=3.0)
class PlateauOnTraining(Rated):
    """ReduceLROnPlateau every second epoch, on a value that training logs."""

    def configure_optimizers(self) -> Any:
        optimizer = self.sgd()
        schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
        how = {"scheduler": schedule, "monitor": "loss_seen", "frequency": 2, "strict": True}
        return {"optimizer": optimizer, "lr_scheduler": how}


@case(epochs=6)
class WarmUpThenCosine(Rated):
    """SequentialLR: linear warm-up, then cosine."""

    def configure_optimizers(self) -> Any:
        optimizer = self.sgd()
        first = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=2)
        then = lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
        return [optimizer], [lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[2])]


@case(epochs=4)
class WarmUpByHand(Rated):
    """A rate that optimizer_step sets by itself."""

    def configure_optimizers(self) -> Any:
        return self.sgd()

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None
    ) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, (self.trainer.global_step + 1) / 5)
        optimizer.step(closure=optimizer_closure)


class Halving:
    """A schedule that is none of torch's: it is asked for the rate of an epoch."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.base = [group["lr"] for group in optimizer.param_groups]

    def step(self, epoch: int) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = rate * 0.5**epoch

    def state_dict(self) -> dict[str, Any]:
        return {"base": self.base}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.base = state["base"]


@case(epochs=4)
class OwnSchedule(Rated):
    """A schedule of one's own, through lr_scheduler_step."""

    def configure_optimizers(self) -> Any:
        optimizer = self.sgd()
        return [optimizer], [Halving(optimizer)]

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        scheduler.step(epoch=self.current_epoch + 1)


@case(epochs=4)
class ScheduleByHand(Net):
    """Manual optimisation that moves its schedule on by hand."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        optimizer: Any = self.optimizers()
        loss = self.loss(batch)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.log("rate", optimizer.param_groups[0]["lr"])
        if self.trainer.is_last_batch:
            schedule: Any = self.lr_schedulers()
            schedule.step()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.rate)
        return [optimizer], [lr_scheduler.ExponentialLR(optimizer, math.sqrt(0.5))]


@case(epochs=None, steps=10)
class SoManySteps(Rated):
    """A fit of so many steps instead of epochs, which ends within an epoch."""

    def configure_optimizers(self) -> Any:
        optimizer = self.sgd()
        schedule = lr_scheduler.PolynomialLR(
            optimizer, total_iters=int(self.trainer.estimated_stepping_batches)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step", "frequency": 1}]
