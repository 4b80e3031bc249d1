"""The ``pl.Trainer`` of every fit, and Lightning's own loop: any module, as a plain fit trains it.

What a module of a user's own needs: ``training_step`` that returns the loss (or handles its
optimisers itself, returns None, and logs ``train_loss`` if it has one), and ``forward`` from
examples to logits (B, C). A module of another ``task`` says so, and gives what the task gives. Any
value that it logs becomes a metric of the run under its own name. Of data that come from loaders
the lab measures nothing in between.
"""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.warnings import PossibleUserWarning
from numpy.typing import NDArray
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.utilities.model_helpers import is_overridden

from ablation_lab.data import Loaders, Part, TrainingData
from ablation_lab.study.run import Training
from ablation_lab.training.loaders import evaluation_arguments, fit_arguments, gathered
from ablation_lab.training.schedule import EPOCH_POINTS, STEP_POINTS, log_spaced
from ablation_lab.training.trained import Predict, Trained, describe, predictor, tensors, unseen
from lightning_modules.losses import MEASURES, Measure
from lightning_modules.task import task_of

# The lab keeps progress and checkpoints itself.
QUIET = {
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def lightning_trainer(**settings: Any) -> pl.Trainer:
    """Return a quiet trainer that leaves nothing behind."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    # Lightning's own, about torch's pytree.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    # Advice: on workers of loaders that copy what is resident, on how often to log.
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message="You passed in a `val_dataloader` but have no `val")
    warnings.filterwarnings("ignore", message=".*returned `None`, this fit will run with no opt.*")
    return pl.Trainer(**{"logger": False, **QUIET, "num_sanity_val_steps": 0, **settings})


def fit(
    module: pl.LightningModule, data: TrainingData | Loaders, training: Training, *, seed: int
) -> Trained:
    """Fit ``module`` as a plain ``pl.Trainer`` does: its epochs, its hooks, its loaders.

    ``seed`` is that of the order of examples.
    """
    recorder = Recorder(module, data, training)
    trainer = plain_trainer(module, training, callbacks=[recorder], devices=1)
    given = fit_arguments(data, training, seed=seed)
    if not is_overridden("validation_step", module):
        given.pop("val_dataloaders", None)
    trainer.fit(module, **given)
    trained = replace(
        recorder.trained(trainer), gathered=partial(gathered, training=training, seed=seed)
    )
    if not is_overridden("test_step", module):
        return trained

    def logged(test: Part | Loaders) -> Mapping[str, float]:
        given = evaluation_arguments(test, training, seed=seed)
        found = trainer.test(module, **given, verbose=False)
        return own_names({name: value for each in found for name, value in each.items()})

    return replace(trained, logged=logged)


def plain_trainer(module: pl.LightningModule, training: Training, **settings: Any) -> pl.Trainer:
    """Return a trainer with the defaults of Lightning, for a budget of epochs or of steps.

    A logger is there for modules that write to one, and keeps nothing; what callbacks write lies
    in a folder that is gone with the trainer. Lightning counts the steps of every optimiser: a
    module that takes several for each batch, and means batches, says so as ``steps_per_batch``.
    """
    folder = tempfile.mkdtemp(prefix="ablation-")
    steps = training.steps and training.steps * getattr(module, "steps_per_batch", 1)
    trainer = lightning_trainer(
        max_epochs=training.epochs,
        max_steps=steps or -1,
        accelerator="auto",
        logger=DummyLogger(),
        default_root_dir=folder,
        **{"num_sanity_val_steps": None, **(training.trainer or {}), **settings},
    )
    weakref.finalize(trainer, shutil.rmtree, folder, ignore_errors=True)
    return trainer


def own_names(logged: Mapping[str, Any]) -> dict[str, float]:
    """Return logged values by the names that a module gave them.

    Lightning adds _step and _epoch to a name that is logged for both: the plain one is enough.
    """
    names = [
        name
        for name in logged
        if name.removesuffix("_step").removesuffix("_epoch") not in logged.keys() - {name}
    ]
    return {name: float(logged[name]) for name in names}


class Recorder(pl.Callback):
    """Keeps the curves of a fit, at ≤ 30 epochs or ≤ 12 log-spaced steps, and changes nothing.

    The curves are the losses that a module returns, what its task measures on validation, and
    whatever else it logs while it trains and validates, each under its own name; of a value that
    is logged at every step the last one of an epoch. A step is one of the optimiser, and of a
    module that optimises by itself a batch.
    """

    def __init__(
        self, module: pl.LightningModule, data: TrainingData | Loaders, training: Training
    ) -> None:
        self._validation = data.validation if isinstance(data, TrainingData) else None
        self._name: str
        self._measure: Measure | None
        self._name, self._measure = MEASURES.get(task_of(module), ("", None))
        self.curves: dict[str, list[tuple[int, float]]] = {"train_loss": []}
        if self._validation is not None and self._measure is not None:
            self.curves[self._name] = []
        self._measured = frozenset(self.curves)
        self.nonfinite_step: int | None = None
        self.steps = 0
        self._batches = 0
        self._losses: list[float] = []
        self._logged_at = 0
        self._steps = frozenset(log_spaced(training.steps, STEP_POINTS) if training.steps else ())
        self._epochs = frozenset(log_spaced(training.epochs or 1, EPOCH_POINTS))
        self._budget = training.steps
        self._window = 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Choose the points: those of a number of steps reach over an unknown number of epochs."""
        length, together = trainer.num_training_batches, trainer.accumulate_grad_batches
        if self._budget and math.isfinite(length):
            # Of as many losses a point of the curves is the mean.
            self._window = min(int(length), self._budget * together)
            epochs = math.ceil(self._budget * together / length)
            self._epochs = frozenset(log_spaced(epochs, EPOCH_POINTS))

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write what was logged up to the end of the epoch before, also in the module's hooks."""
        self._write_logged(trainer)
        if not self._budget:
            self._losses.clear()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, _: int
    ) -> None:
        """Note the loss of the step, if the module tells it; stop where it is lost for good."""
        self._batches += 1
        before = self.steps
        self.steps = trainer.global_step if module.automatic_optimization else self._batches
        if trainer.is_last_batch or trainer.global_step == trainer.max_steps:
            # To ask for them is what makes Lightning keep the values of a single step.
            assert trainer.callback_metrics is not None
        loss = self._loss_of(outputs, trainer, module)
        if loss is not None:
            self._note(float(loss), trainer, module)
        if self.steps in self._steps and self.steps > before:
            self._look(module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write a point of the curves."""
        if trainer.current_epoch + 1 in self._epochs:
            self._logged_at = self.steps
            if not self._steps:
                self._look(module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write what was logged to the end."""
        self._logged_at = self.steps
        self._write_logged(trainer)

    def trained(self, trainer: pl.Trainer) -> Trained:
        """Return what the module became; the last point is that of the state in which it is."""
        module = trainer.lightning_module
        device = trainer.strategy.root_device
        for name in self._measured:
            self.curves[name] = [point for point in self.curves[name] if point[0] < self.steps]
        predict = _unseen_predictor(module, device, trainer)
        self._write(predict)
        trained = describe(module, self.curves, self.steps, self.nonfinite_step, device)
        return replace(trained, predict=predict)

    def _loss_of(self, outputs: Any, trainer: pl.Trainer, module: pl.LightningModule) -> Any:
        """Return the loss of a batch, None where the module tells none."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is None:
            return trainer.callback_metrics.get("train_loss")
        # Lightning gives the share of the batch in an update that several batches share.
        return loss * trainer.accumulate_grad_batches if module.automatic_optimization else loss

    def _note(self, loss: float, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keep a loss; one that is not finite ends the fit if it took the parameters with it."""
        self._losses.append(loss)
        if math.isfinite(loss):
            return
        self.nonfinite_step = self.nonfinite_step or self.steps
        if not all(bool(each.isfinite().all()) for each in module.parameters()):
            trainer.should_stop = True

    def _look(self, module: pl.LightningModule) -> None:
        self._write(_unseen_predictor(module, module.device, module.trainer))

    def _write(self, predict: Predict) -> None:
        if self._validation is not None and self._measure is not None:
            x, y = tensors(self._validation, torch.device("cpu"))
            outputs = torch.from_numpy(predict(self._validation.x))
            self.curves[self._name].append((self.steps, float(self._measure(outputs, x, y))))
        if self._losses:
            loss = float(np.mean(self._losses[-self._window :]))
            self.curves["train_loss"].append((self.steps, loss))

    def _write_logged(self, trainer: pl.Trainer) -> None:
        if self._logged_at:
            for name, value in own_names(trainer.callback_metrics).items():
                if name not in self._measured:
                    self.curves.setdefault(name, []).append((self._logged_at, value))
            self._logged_at = 0


def _unseen_predictor(
    module: pl.LightningModule, device: torch.device, trainer: pl.Trainer
) -> Predict:
    """Return a predictor that computes as the trainer does, and that the module forgets."""
    predict = predictor(module, device, precision=trainer.precision_plugin)

    def ask(x: NDArray[np.float32]) -> NDArray[np.float32]:
        with unseen(module):
            return predict(x)

    return ask
