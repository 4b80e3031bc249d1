"""The loop in memory: the data set lies on the device as one tensor, and one step is a chunk.

One ``training_step`` of Lightning takes a whole chunk of updates, so that Lightning's cost per
batch is paid per epoch, and no loader copies what is already in memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from ablation_lab.data import TrainingData
from ablation_lab.study.run import Training
from ablation_lab.training.lightning import lightning_trainer
from ablation_lab.training.order import BatchIndices
from ablation_lab.training.rules import Rules, Schedule
from ablation_lab.training.schedule import Chunk, planned
from ablation_lab.training.trained import EVALUATION_BATCH, Trained, describe, tensors
from lightning_modules.families import Learner
from lightning_modules.losses import MEASURES
from lightning_modules.task import task_of


def fit(module: Learner, data: TrainingData, training: Training, order: BatchIndices) -> Trained:
    """Fit ``module`` and return what it became."""
    plan = planned(training, len(data.train))
    return run(InMemoryLoop(module, data, order, plan, Rules(training)))


def run(loop: InMemoryLoop) -> Trained:
    """Take every step of a loop and return what its module became."""
    trainer = lightning_trainer(max_epochs=1, accelerator="auto", devices=1)
    trainer.fit(loop, train_dataloaders=range(loop.chunks))
    loop.rules.give_back(loop.module)
    trained = describe(
        loop.module, loop.curves, loop.steps, loop.nonfinite_step, trainer.strategy.root_device
    )
    return replace(trained, selected_step=loop.rules.selected_step)


class InMemoryLoop(pl.LightningModule):
    """Trains ``module`` on data that lies on the device; one training step is one chunk."""

    def __init__(
        self,
        module: Learner,
        data: TrainingData,
        order: BatchIndices,
        plan: list[Chunk],
        rules: Rules,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.module = module
        self._name, self._measure = MEASURES[task_of(module)]
        self.curves: dict[str, list[tuple[int, float]]] = {"train_loss": [], self._name: []}
        self.rules = rules
        self.nonfinite_step: int | None = None
        self.steps = 0
        self._data = data
        self._plan = plan
        self.chunks = len(plan)
        self._batches = iter(order)
        self._recent = torch.empty(0)
        self._schedules: list[Schedule] = []

    def configure_optimizers(self) -> Any:
        """Let the module choose; its schedule, if it has one, is this loop's to move on."""
        chosen: Any = self.module.configure_optimizers()
        if not isinstance(chosen, dict):
            return chosen
        # The window of a loss is an epoch, or all steps where there are less.
        self._schedules = [Schedule(chosen["lr_scheduler"], self._plan[0].window)]
        return chosen["optimizer"]

    def on_fit_start(self) -> None:
        """Move the data to the device once."""
        self._train = tensors(self._data.train, self.device)
        self._validation = tensors(self._data.validation, self.device)
        # A module that looks at all training examples before its first step has this method.
        pretrain = getattr(self.module, "pretrain", None)
        if pretrain is not None:
            pretrain(*self._train)

    def training_step(self, batch: int, batch_idx: int) -> None:
        """Take the steps of one chunk; stop the fit at the first chunk that is not finite."""
        chunk = self._plan[batch_idx]
        losses = torch.empty(chunk.steps, device=self.device)
        optimizer: Any = self.trainer.optimizers[0]
        self.module.train()
        for step in range(chunk.steps):
            self.rules.before_step(optimizer, self.steps + step)
            x, y = self._batch()
            if self.steps == 0 and step == 0:
                self.module.prepare(x)
            loss = self.module.objective(x, y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses[step] = loss.detach()
            for schedule in self._schedules:
                schedule.after_step(self.steps + step + 1, losses[step])
        self.steps += chunk.steps
        self._write(chunk, losses)

    def _batch(self) -> tuple[Tensor, Tensor]:
        x, y = self._train
        indices = next(self._batches)
        return (x, y) if indices is None else (x[indices], y[indices])

    def _write(self, chunk: Chunk, losses: Tensor) -> None:
        # A window may reach back into earlier chunks.
        self._recent = torch.cat([self._recent.to(losses), losses])[-chunk.window :]
        finite = torch.isfinite(losses)
        if not bool(finite.all()):
            self.nonfinite_step = chunk.first + int((~finite).nonzero()[0, 0]) + 1
            self.trainer.should_stop = True
        if chunk.point or self.nonfinite_step is not None:
            loss = float(self._recent.mean())
            self.curves["train_loss"].append((self.steps, loss))
            self.curves[self._name].append((self.steps, self._validate()))
            if self.rules.says_stop(self.module, self._name, *self.curves[self._name][-1]):
                self.trainer.should_stop = True

    def _validate(self) -> float:
        x, y = self._validation
        self.module.eval()
        with torch.no_grad():
            outputs = torch.cat([self.module(part) for part in x.split(EVALUATION_BATCH)])
            return float(self._measure(outputs, x, y))
