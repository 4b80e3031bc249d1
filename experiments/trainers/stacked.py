"""The stacked trainer: K runs of equal shape as one tensor program under ``pl.Trainer``.

Every run keeps its own initial draw (that of its solo module, bit for bit) and its own losses; no
operation mixes runs, so a run that diverges disturbs no neighbour. The run axis lies innermost,
which lets a compiler fuse a whole step of small layers into loops over runs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.data import Dataset, TrainingData
from experiments.record import Curve
from experiments.run import Run, Training
from experiments.trainers.evaluation import tensors
from experiments.trainers.lightning import lightning_trainer
from experiments.trainers.schedule import Chunk, chunks
from experiments.trainers.solo import build_module
from experiments.trainers.trained import Predict, Trained
from lightning_modules.classifier import Classifier
from lightning_modules.losses import accuracy
from lightning_modules.stack import MLPStack

# Compiling a shape costs seconds, so that it pays from about this many layer-steps of single runs.
COMPILE_FROM = 10_000_000

Step = Callable[[list[Tensor], Tensor, Tensor], tuple[list[Tensor], Tensor]]


def train(runs: list[Run], data: TrainingData, dataset: Dataset) -> list[Trained]:
    """Train runs that differ only in replicate, initialisation and learning rate (SGD)."""
    modules = [build_module(run, dataset) for run in runs]
    stack = MLPStack([_classifier(module) for module in modules])
    rates = torch.tensor([run.config["optimizer"]["learning_rate"] for run in runs])
    training = Training(**runs[0].config["training"])
    plan = chunks(training, len(data.train))
    loop = StackLoop(stack, data, rates, plan, compiled=_worth_compiling(stack, plan))
    trainer = lightning_trainer(max_epochs=1, accelerator="auto", devices=1)
    trainer.fit(loop, train_dataloaders=range(len(plan)))
    return [_trained(loop, index) for index in range(len(runs))]


def _classifier(module: pl.LightningModule) -> Classifier:
    if not isinstance(module, Classifier):
        raise TypeError(f"a stack needs classifiers, found {type(module).__name__}")
    return module


def _worth_compiling(stack: MLPStack, plan: list[Chunk]) -> bool:
    work = stack.size * stack.layers * sum(chunk.steps for chunk in plan)
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    return work >= COMPILE_FROM and compiler is not None


class StackLoop(pl.LightningModule):
    """Trains a stack by full-batch gradient descent; one training step is one chunk."""

    def __init__(
        self,
        stack: MLPStack,
        data: TrainingData,
        rates: Tensor,
        plan: list[Chunk],
        *,
        compiled: bool,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.stack = stack
        self.compiled = compiled
        self.curves: dict[str, list[tuple[int, NDArray[np.float64]]]] = {
            "train_loss": [],
            "val_accuracy": [],
        }
        self.nonfinite_step = torch.zeros(stack.size, dtype=torch.int64)
        self.steps = 0
        self._data = data
        self._rates = rates
        self._plan = plan

    def configure_optimizers(self) -> None:
        """None: the update is part of the stack's own step."""

    def on_fit_start(self) -> None:
        """Move data and rates to the device, and make the step."""
        self._train = tensors(self._data.train, self.device)
        self._validation = tensors(self._data.validation, self.device)
        self.nonfinite_step = self.nonfinite_step.to(self.device)
        step = descent_step(self.stack, self._rates.to(self.device))
        self._step: Step = torch.compile(step, dynamic=False) if self.compiled else step

    def training_step(self, batch: int, batch_idx: int) -> None:
        """Take the steps of one chunk."""
        chunk = self._plan[batch_idx]
        x, y = self._train
        losses = torch.empty(chunk.steps, self.stack.size, device=self.device)
        values = [parameter.detach() for parameter in self.stack.parameters()]
        for index in range(chunk.steps):
            values, losses[index] = self._step(values, x, y)
        with torch.no_grad():
            for parameter, value in zip(self.stack.parameters(), values, strict=True):
                parameter.copy_(value)
        self._note_divergence(chunk, losses)
        self.steps += chunk.steps
        if chunk.point:
            self._write(losses[-chunk.window :].mean(0))

    def _note_divergence(self, chunk: Chunk, losses: Tensor) -> None:
        wrong = ~torch.isfinite(losses)
        first = chunk.first + wrong.int().argmax(0) + 1
        new = wrong.any(0) & (self.nonfinite_step == 0)
        self.nonfinite_step = torch.where(new, first, self.nonfinite_step)

    def _write(self, loss: Tensor) -> None:
        x, y = self._validation
        with torch.no_grad():
            logits = self.stack(x)
        shares = np.array([float(accuracy(logits[..., k], y)) for k in range(self.stack.size)])
        self.curves["train_loss"].append((self.steps, loss.double().cpu().numpy()))
        self.curves["val_accuracy"].append((self.steps, shares))


def descent_step(stack: MLPStack, rates: Tensor) -> Step:
    """Return one step of gradient descent: values, x, y → new values, losses (K,) before it."""

    def total(values: list[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        losses = stack.objective(values, x, y)
        return losses.sum(), losses.detach()

    gradient = torch.func.grad(total, has_aux=True)

    def step(values: list[Tensor], x: Tensor, y: Tensor) -> tuple[list[Tensor], Tensor]:
        gradients, losses = gradient(values, x, y)
        return [w - rates * g for w, g in zip(values, gradients, strict=True)], losses

    return step


def _trained(loop: StackLoop, index: int) -> Trained:
    stack = loop.stack
    step = int(loop.nonfinite_step[index])
    curves: dict[str, Curve] = {
        name: tuple((at, float(values[index])) for at, values in points)
        for name, points in loop.curves.items()
    }
    finite = all(bool(torch.isfinite(p[..., index]).all()) for p in stack.parameters())
    return Trained(
        curves=curves,
        steps=loop.steps,
        parameters=sum(p[..., index].numel() for p in stack.parameters()),
        finite=finite and step == 0,
        nonfinite_step=step or None,
        predict=_predictor(loop, index),
        facts={
            "device": str(loop.device),
            "stack_size": str(stack.size),
            "compiled": str(loop.compiled).lower(),
        },
    )


def _predictor(loop: StackLoop, index: int) -> Predict:
    def predict(x: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            logits = loop.stack.one(index, torch.from_numpy(x).to(loop.device))
        values: NDArray[np.float32] = logits.float().cpu().numpy()
        return values

    return predict
