"""The ``pl.Trainer`` of every fit, and Lightning's own loop: any module, batch by batch.

What a module of a user's own needs: ``training_step`` that returns the loss (or handles its
optimisers itself, returns None, and logs ``train_loss`` if it has one), and ``forward`` from
examples to logits (B, C). A module of another ``task`` says so, and gives what the task gives.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from ablation_lab.data import TrainingData
from ablation_lab.study.run import Training
from ablation_lab.training.order import BatchIndices
from ablation_lab.training.schedule import Chunk, chunks
from ablation_lab.training.trained import Trained, describe, predictor, tensors
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
    trainer.fit(module, train_dataloaders=batches)
    return describe(
        module, writer.curves, writer.steps, writer.nonfinite_step, trainer.strategy.root_device
    )


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
    """Keeps the losses that a foreign module returns, and what its task measures on validation."""

    def __init__(self, data: TrainingData, plan: list[Chunk], name: str, measure: Measure) -> None:
        self.curves: dict[str, list[tuple[int, float]]] = {"train_loss": [], name: []}
        self._name = name
        self._measure = measure
        self.nonfinite_step: int | None = None
        self.steps = 0
        self._data = data
        self._plan = plan
        self._losses: list[float] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, _: int
    ) -> None:
        """Note the loss of the step, if the module tells it; stop where it is not finite."""
        self.steps += 1
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
        chunk = self._plan[trainer.current_epoch]
        if chunk.point or self.nonfinite_step is not None:
            predict = predictor(module, module.device)
            x, y = tensors(self._data.validation, torch.device("cpu"))
            outputs = torch.from_numpy(predict(self._data.validation.x))
            self.curves[self._name].append((self.steps, float(self._measure(outputs, x, y))))
            if self._losses:
                loss = float(np.mean(self._losses[-chunk.window :]))
                self.curves["train_loss"].append((self.steps, loss))
            module.train()
