"""What all model families share, and families by name; a built-in one is imported when asked for.

Comes in: a name and settings; of a family itself a network and settings. Goes out: a
LightningModule, initialised, that any `pl.Trainer` fits, validates and tests on batches (x, y).
A family of one's own: decorate a LightningModule class with `@FAMILIES.register("my_family")`;
its keyword arguments are its settings.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules.initializers import initialize, lsuv, weight_names
from lightning_modules.layers import layers_of
from lightning_modules.losses import MEASURES, Loss, loss_function
from lightning_modules.optimizers import ADAM, Optimizer, build_optimizer, optimizer_settings
from lightning_modules.registry import FAMILIES
from lightning_modules.schedulers import scheduled, scheduler_settings
from lightning_modules.signatures import WrongSetting, signature_of
from lightning_modules.task import Task

__all__ = ["FAMILIES", "Classifier", "Common", "Learner", "build_family"]

Batch: TypeAlias = tuple[Tensor, Tensor]
PREPARED = "lsuv_prepared"


def build_family(name: str, **settings: object) -> pl.LightningModule:
    """Return a new module of the family with these settings.

    Errors: UnknownName for a family or a setting that does not exist (with the nearest),
    ValueError for a setting that is missing or wrong.
    """
    family = FAMILIES.get(name)
    try:
        signature_of(family).complete(f"family {name!r}", settings)
    except WrongSetting as error:
        raise ValueError(f"family {name!r}: {error}") from None
    return family(**settings)


class Common(TypedDict, total=False):
    """What every family takes beside settings of its own, and hands on to its base."""

    loss: str
    optimizer: Optimizer
    scheduler: Optimizer | None
    l2: float
    seed: int


class Learner(pl.LightningModule):
    """A network with an objective of its own; subclasses give `task` and `loss_of`.

    Objective: the mean loss of the batch + l2 x sum of squared weights (biases excluded).
    Arguments: `init` is the name of an initialiser or {"conv": name, "dense": name}; `bias_init`
    one for the biases; `seed` fixes the draws. Initialisation is the last thing that happens.
    `scheduler` changes the learning rate while a `pl.Trainer` fits (`schedulers`); None: nothing.
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
        self.loss = Loss.STABLE
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
        self._measure("val", self(batch[0]), batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the same measure on test data: test_loss, test_accuracy, ..."""
        self._measure("test", self(batch[0]), batch)

    def configure_optimizers(self) -> Any:
        """Return the optimiser that the settings name, with its schedule if there is one."""
        optimizer = build_optimizer(self.parameters(), self.optimizer_settings)
        return scheduled(optimizer, self.scheduler_settings)

    def _measure(self, part: str, outputs: Tensor, batch: Batch) -> None:
        name, measure = MEASURES[self.task]
        self._log(name.replace("val", part), measure(outputs, *batch), len(batch[0]))

    def _log(self, name: str, value: Tensor, size: int) -> None:
        if self._trainer is not None:
            self.log(name, value, on_step=False, on_epoch=True, batch_size=size)


class Classifier(Learner):
    """A network that is trained to classify.

    Loss: the mean cross-entropy of the batch + l2 x sum of squared weights (biases excluded).
    Shapes: x is what the network takes, y (B,) int64, logits (B, C); C = 1 is binary.

    Arguments: `loss` is a form of cross-entropy, `classes` C; the others as for `Learner`.
    """

    task = Task.CLASSIFICATION

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
        names = weight_names(init)
        super().__init__(
            network=network,
            optimizer=optimizer,
            scheduler=scheduler,
            l2=l2,
            init=names,
            bias_init=bias_init,
            seed=seed,
        )
        self.classes = classes
        self.criterion = loss_function(loss, classes)
        self.loss = Loss(loss)
        self._lsuv_kinds = tuple(kind for kind, name in names.items() if name == "lsuv")
        self._prepared = not self._lsuv_kinds

    def loss_of(self, outputs: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean cross-entropy."""
        return self.criterion(outputs, y)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log val_loss (without the L2 term) and val_accuracy."""
        x, y = batch
        logits = self(x)
        self._log("val_loss", self.criterion(logits, y), len(y))
        self._measure("val", logits, batch)

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
