"""The ``pl.Trainer`` of every fit, and Lightning's own loop: any module, batch by batch.

What a module of a user's own needs: ``training_step`` that returns the loss (or handles its
optimisers itself, returns None, and logs ``train_loss`` if it has one), and ``forward`` from
examples to logits (B, C). A module of another ``task`` says so, and gives what the task gives. Any
value that it logs becomes a metric of the run under its own name.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor

from ablation_lab.data import Part, TrainingData
from ablation_lab.study.run import Training
from ablation_lab.training.order import BatchIndices
from ablation_lab.training.schedule import Chunk, chunks
from ablation_lab.training.trained import EVALUATION_BATCH, Trained, describe, predictor, tensors
from lightning_modules.measures import MEASURES, Measure
from lightning_modules.task import task_of


def lightning_trainer(**settings: Any) -> pl.Trainer:
    """Return a quiet trainer: the lab keeps logs, progress and checkpoints itself."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    # Lightning's own, about torch's pytree.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    # The steps are Lightning's single "batches"; a data loader would only copy what is resident.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*returned `None`, this fit will run with no opt.*")
    return pl.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )


def fit(
    module: pl.LightningModule, data: TrainingData, training: Training, order: BatchIndices
) -> Trained:
    """Fit ``module``; one Lightning epoch is one chunk of the schedule."""
    plan = chunks(training, len(data.train))
    name, measure = MEASURES[task_of(module)]
    writer = CurveWriter(data, plan, name, measure)
    trainer = lightning_trainer(
        max_epochs=len(plan), accelerator="auto", devices=1, callbacks=[writer]
    )
    batches = Batches(tensors(data.train, torch.device("cpu")), order, plan)
    validates = is_overridden("validation_step", module)
    trainer.fit(module, batches, Whole(data.validation) if validates else None)
    trained = describe(
        module, writer.curves, writer.steps, writer.nonfinite_step, trainer.strategy.root_device
    )
    if not is_overridden("test_step", module):
        return trained

    def logged(test: Part) -> Mapping[str, float]:
        return own_names(trainer.test(module, Whole(test), verbose=False)[0])

    return replace(trained, logged=logged)


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


class Whole:
    """A part of the data in batches, in its own order."""

    def __init__(self, part: Part) -> None:
        self._parts = [each.split(EVALUATION_BATCH) for each in tensors(part, torch.device("cpu"))]

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._parts[0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, y) of each batch."""
        return zip(*self._parts, strict=True)


class Batches:
    """The batches of one chunk as Lightning's training loader wants them."""

    def __init__(self, part: tuple[Tensor, Tensor], order: BatchIndices, plan: list[Chunk]) -> None:
        self._part = part
        self._batches = iter(order)
        self._plan = iter(plan)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of the next chunk: one Lightning epoch."""
        x, y = self._part
        for _ in range(next(self._plan).steps):
            indices = next(self._batches)
            yield (x, y) if indices is None else (x[indices], y[indices])


class CurveWriter(pl.Callback):
    """Keeps the losses that a foreign module returns, and what its task measures on validation.

    Whatever else the module logs while it trains and validates becomes a curve under its own name;
    of a value that is logged at every step only the last one is looked at.
    """

    def __init__(self, data: TrainingData, plan: list[Chunk], name: str, measure: Measure) -> None:
        self.curves: dict[str, list[tuple[int, float]]] = {"train_loss": [], name: []}
        self._measured = frozenset(self.curves)
        self._name = name
        self._measure = measure
        self.nonfinite_step: int | None = None
        self.steps = 0
        self._data = data
        self._plan = plan
        self._losses: list[float] = []
        self._chunk = plan[0]
        self._logged_at = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write what was logged to the end of the chunk before; validate where a point is due."""
        self._write_logged(trainer)
        self._chunk = self._plan[trainer.current_epoch]
        trainer.check_val_every_n_epoch = 1 if self._chunk.point else len(self._plan) + 1

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write what was logged to the end."""
        self._write_logged(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, _: int
    ) -> None:
        """Note the loss of the step, if the module tells it; stop where it is not finite."""
        self.steps += 1
        if self._chunk.point and self.steps == self._chunk.first + self._chunk.steps:
            # To ask for them is what makes Lightning keep the values of a single step.
            assert trainer.callback_metrics is not None
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is None:
            loss = trainer.callback_metrics.get("train_loss")
        if loss is None:
            return
        self._losses.append(float(loss))
        if not np.isfinite(self._losses[-1]) and self.nonfinite_step is None:
            self.nonfinite_step = self.steps
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write a point of the curves."""
        if self._chunk.point or self.nonfinite_step is not None:
            self._logged_at = self.steps
            predict = predictor(module, module.device)
            x, y = tensors(self._data.validation, torch.device("cpu"))
            outputs = torch.from_numpy(predict(self._data.validation.x))
            self.curves[self._name].append((self.steps, float(self._measure(outputs, x, y))))
            if self._losses:
                loss = float(np.mean(self._losses[-self._chunk.window :]))
                self.curves["train_loss"].append((self.steps, loss))
            module.train()

    def _write_logged(self, trainer: pl.Trainer) -> None:
        """Write what the module logged up to the point that was due last, also in its own hooks."""
        if self._logged_at:
            for name, value in own_names(trainer.callback_metrics).items():
                if name not in self._measured:
                    self.curves.setdefault(name, []).append((self._logged_at, value))
            self._logged_at = 0
