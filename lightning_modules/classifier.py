"""What all classifiers share: loss, accuracy, optimiser, initialisation.

Comes in: a network from inputs to logits, and settings. Goes out: a LightningModule that any
`pl.Trainer` fits, validates and tests on batches (x, y).
"""

from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules.initializers import initialize, lsuv, weight_names
from lightning_modules.layers import layers_of
from lightning_modules.losses import Loss, accuracy, loss_function
from lightning_modules.optimizers import ADAM, Optimizer, build_optimizer, optimizer_settings
from lightning_modules.schedulers import scheduled, scheduler_settings

Batch: TypeAlias = tuple[Tensor, Tensor]
PREPARED = "lsuv_prepared"


class Common(TypedDict, total=False):
    """What every family takes beside settings of its own, and hands on to its base."""

    loss: str
    optimizer: Optimizer
    scheduler: Optimizer | None
    l2: float
    seed: int


class Classifier(pl.LightningModule):
    """A network that is trained to classify.

    Loss: the mean cross-entropy of the batch + l2 x sum of squared weights (biases excluded).
    Shapes: x is what the network takes, y (B,) int64, logits (B, C); C = 1 is binary.

    Arguments: `init` is the name of an initialiser or {"conv": name, "dense": name}; `bias_init`
    one for the biases; `seed` fixes the draws. Initialisation is the last thing that happens.
    `scheduler` changes the learning rate while a `pl.Trainer` fits (`schedulers`); None: nothing.
    Errors: ValueError that names the setting, what was expected and what was found.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        classes: int,
        loss: str = Loss.STABLE,
        optimizer: Optimizer = ADAM,
        scheduler: Optimizer | None = None,
        l2: float = 0.0,
        init: str | Mapping[str, str] = "xavier_uniform",
        bias_init: str = "zeros",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= l2 < float("inf"):
            raise ValueError(f"l2: expected a finite number >= 0, found {l2!r}")
        self.network = network
        self.classes = classes
        self.criterion = loss_function(loss, classes)
        self.loss = Loss(loss)
        self.optimizer_settings = optimizer_settings(optimizer)
        self.scheduler_settings = scheduler_settings(scheduler)
        self.l2 = l2
        self.seed = seed
        names = weight_names(init)
        self._lsuv_kinds = tuple(kind for kind, name in names.items() if name == "lsuv")
        self._prepared = not self._lsuv_kinds
        initialize(network, weight=names, bias=bias_init, seed=seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, C)."""
        logits: Tensor = self.network(x)
        return logits

    def objective(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what training minimises on a batch: the mean loss plus the L2 term, a scalar."""
        loss = self.criterion(self.network(x), y)
        return loss + self.l2 * self.squared_weights() if self.l2 else loss

    def squared_weights(self) -> Tensor:
        """Return the sum of the squares of all weights, without the biases, a scalar."""
        weights = [layer.weight for _, _, layer in layers_of(self.network)]
        return torch.stack([weight.square().sum() for weight in weights]).sum()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the objective of the batch; log it as train_loss."""
        x, y = batch
        loss = self.objective(x, y)
        self._log("train_loss", loss, len(y))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log val_loss (without the L2 term) and val_accuracy."""
        x, y = batch
        logits = self(x)
        self._log("val_loss", self.criterion(logits, y), len(y))
        self._log("val_accuracy", accuracy(logits, y), len(y))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log test_accuracy."""
        x, y = batch
        self._log("test_accuracy", accuracy(self(x), y), len(y))

    def configure_optimizers(self) -> Any:
        """Return the optimiser that the settings name, with its schedule if there is one."""
        optimizer = build_optimizer(self.parameters(), self.optimizer_settings)
        return scheduled(optimizer, self.scheduler_settings)

    def prepare(self, x: Tensor) -> None:
        """Finish an initialisation that needs data (LSUV) with one training batch x.

        Only the first call does anything, and only if the initialiser is "lsuv".
        """
        if not self._prepared:
            lsuv(self.network, x, kinds=self._lsuv_kinds)
            self._prepared = True

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Prepare with the first batch, where nobody has done so before."""
        if not self._prepared:
            # All processes of a distributed fit take the same batch, so their weights agree.
            self.prepare(self.trainer.strategy.broadcast(batch[0]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep whether the data-dependent initialisation is done."""
        checkpoint[PREPARED] = self._prepared

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore it, so that resumed training does not scale trained weights."""
        self._prepared = checkpoint.get(PREPARED, True)

    def _log(self, name: str, value: Tensor, size: int) -> None:
        if self._trainer is not None:
            self.log(name, value, on_step=False, on_epoch=True, batch_size=size)
