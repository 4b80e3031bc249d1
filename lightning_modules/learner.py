"""What all modules share that learn anything but classes: optimiser, objective, initialisation.

Comes in: a network and settings. Goes out: a LightningModule that any `pl.Trainer` fits on batches
(x, y); a classifier has a base of its own, `classifier`.
"""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules.classifier import Batch
from lightning_modules.initializers import initialize
from lightning_modules.layers import layers_of
from lightning_modules.losses import MEASURES, Loss
from lightning_modules.optimizers import ADAM, Optimizer, build_optimizer, optimizer_settings
from lightning_modules.schedulers import scheduled, scheduler_settings
from lightning_modules.task import Task


class Learner(pl.LightningModule):
    """A network with an objective of its own; subclasses give `task` and `loss_of`.

    Objective: the mean loss of the batch + l2 x sum of squared weights (biases excluded).
    Arguments: `optimizer`, `scheduler`, `l2`, `init`, `bias_init` and `seed` as for `Classifier`.
    Errors: ValueError that names the setting, what was expected and what was found.
    """

    task = Task.REGRESSION

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Optimizer = ADAM,
        scheduler: Optimizer | None = None,
        loss: str = Loss.STABLE,
        l2: float = 0.0,
        init: str | Mapping[str, str] = "xavier_uniform",
        bias_init: str = "zeros",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= l2 < float("inf"):
            raise ValueError(f"l2: expected a finite number >= 0, found {l2!r}")
        if loss != Loss.STABLE:
            raise ValueError(f"loss: this family has one form only, 'stable', found {loss!r}")
        self.network = network
        self.optimizer_settings = optimizer_settings(optimizer)
        self.scheduler_settings = scheduler_settings(scheduler)
        self.l2 = l2
        self.seed = seed
        initialize(network, weight=init, bias=bias_init, seed=seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the network gives for x; the shapes are those of the task."""
        outputs: Tensor = self.network(x)
        return outputs

    def loss_of(self, outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        raise NotImplementedError

    def objective(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what training minimises on a batch, a scalar."""
        loss = self.loss_of(self(x), x, y)
        return loss + self.l2 * self.squared_weights() if self.l2 else loss

    def squared_weights(self) -> Tensor:
        """Return the sum of the squares of all weights, without the biases, a scalar."""
        weights = [layer.weight for _, _, layer in layers_of(self.network)]
        return torch.stack([weight.square().sum() for weight in weights]).sum()

    def prepare(self, x: Tensor) -> None:
        """Finish an initialisation that needs data, with one training batch x; here there is none.

        Called once, before the first step.
        """

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the objective of the batch; log it as train_loss."""
        x, y = batch
        loss = self.objective(x, y)
        self._log("train_loss", loss, len(x))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the measure of the task, under the name of its validation curve."""
        x, y = batch
        name, measure = MEASURES[self.task]
        self._log(name, measure(self(x), x, y), len(x))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the same measure on test data: test_loss, test_accuracy, ..."""
        x, y = batch
        name, measure = MEASURES[self.task]
        self._log(name.replace("val_", "test_"), measure(self(x), x, y), len(x))

    def configure_optimizers(self) -> Any:
        """Return the optimiser that the settings name, with its schedule if there is one."""
        optimizer = build_optimizer(self.parameters(), self.optimizer_settings)
        return scheduled(optimizer, self.scheduler_settings)

    def _log(self, name: str, value: Tensor, size: int) -> None:
        if self._trainer is not None:
            self.log(name, value, on_step=False, on_epoch=True, batch_size=size)
