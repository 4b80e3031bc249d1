"""The stacked trainer: K runs of equal shape as one tensor program under ``pl.Trainer``.

Every run keeps its own initial draw (that of its module alone, bit for bit), its own order of
examples and its own losses; no operation mixes runs. A run that leaves the finite numbers is
frozen at the end of the chunk in which it did, where a single run stops, and one whose patience is
at its end at that point of its curve.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablation_lab.data import Dataset, TrainingData
from ablation_lab.study.run import Role, Run, Training, stream
from ablation_lab.study.stacking import descends_innermost, is_own_stack
from ablation_lab.training.descent import Descent
from ablation_lab.training.lightning import lightning_trainer
from ablation_lab.training.minibatch import MiniBatch
from ablation_lab.training.order import Order
from ablation_lab.training.rules import StackRules
from ablation_lab.training.schedule import Chunk, planned, total_steps
from ablation_lab.training.single import build_module
from ablation_lab.training.trained import EVALUATION_BATCH, Predict, Trained, tensors
from lightning_modules.families import Classifier, Learner
from lightning_modules.losses import MEASURES
from lightning_modules.task import task_of


def train(runs: list[Run], data: TrainingData, dataset: Dataset) -> list[Trained]:
    """Train runs that the plan put together.

    A stack that does not fit the accelerator's memory is trained in halves; a single run that does
    not fit is an error like any other.
    """
    try:
        return _train_together(runs, data, dataset)
    except torch.OutOfMemoryError:
        if len(runs) == 1:
            raise
    # Outside the except clause, whose traceback would keep the tensors alive.
    half = len(runs) // 2
    return [*train(runs[:half], data, dataset), *train(runs[half:], data, dataset)]


def _train_together(runs: list[Run], data: TrainingData, dataset: Dataset) -> list[Trained]:
    training = Training(**runs[0].config["training"])
    program = program_of(runs, data, dataset)
    plan = planned(training, len(data.train))
    loop = StackLoop(program, data, plan, StackRules(training, program.size))
    trainer = lightning_trainer(max_epochs=1, accelerator="auto", devices=1)
    trainer.fit(loop, train_dataloaders=range(len(plan)))
    # Lightning ends by taking the parameters to the CPU; runs that left the stack are not among
    # them, and predictions are quicker where the training was.
    loop.to(trainer.strategy.root_device)
    return [_trained(loop, index) for index in range(len(runs))]


def program_of(runs: list[Run], data: TrainingData, dataset: Dataset) -> Descent | MiniBatch:
    """Return the runs as one program, each with the parameters that it starts from."""
    training, examples = Training(**runs[0].config["training"]), len(data.train)
    modules = [_module(run, data, dataset, training) for run in runs]
    if descends_innermost(runs[0].config):
        classifiers = [module for module in modules if isinstance(module, Classifier)]
        return Descent(runs, classifiers, total_steps(training, examples))
    return MiniBatch(runs, modules, examples=examples, training=training)


def _module(
    run: Run, data: TrainingData, dataset: Dataset, training: Training
) -> pl.LightningModule:
    """Build one run's module; LSUV sees the first batch of the run's own order."""
    module = build_module(run, dataset)
    if not isinstance(module, Learner):
        if is_own_stack(family := run.config["model"]["family"]):
            return module
        raise TypeError(f"family {family!r} does not stack; its runs train alone")
    seed = stream(run.seed, Role.ORDER, run.replicate)
    order = Order(examples=len(data.train), batch_size=training.batch_size, seed=seed)
    first = next(iter(order))
    x = torch.from_numpy(data.train.x)
    module.train()
    module.prepare(x if first is None else x[first])
    return module


class StackLoop(pl.LightningModule):
    """Trains a program on data that lies on the device; one training step is one chunk."""

    def __init__(
        self,
        program: Descent | MiniBatch,
        data: TrainingData,
        plan: list[Chunk],
        rules: StackRules,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.program = program
        self.rules = rules
        self._name, self._measure = MEASURES[task_of(program)]
        self.curves: list[dict[str, list[tuple[int, float]]]] = [
            {"train_loss": [], self._name: []} for _ in range(program.size)
        ]
        self.steps = 0
        # Of the runs that left the finite numbers the step; of all that stopped where they did,
        # and their parameters there.
        self.nonfinite_step: dict[int, int] = {}
        self.stopped: dict[int, int] = {}
        self._frozen: dict[int, list[Tensor]] = {}
        self._data = data
        self._plan = plan
        self._recent = torch.empty(0, program.size)

    def configure_optimizers(self) -> None:
        """None: the update is part of the program."""

    def on_fit_start(self) -> None:
        """Move the data to the device once."""
        self._validation = tensors(self._data.validation, self.device)
        self.program.start(*tensors(self._data.train, self.device))

    def training_step(self, batch: int, batch_idx: int) -> None:
        """Take the steps of one chunk; stop when every run has stopped."""
        chunk = self._plan[batch_idx]
        losses = self.program.advance(chunk)
        self.steps += chunk.steps
        # A window may reach back into earlier chunks.
        self._recent = torch.cat([self._recent.to(losses), losses])[-chunk.window :]
        running = [k for k in range(self.program.size) if k not in self.stopped]
        lost = self._divergent(chunk, losses, running)
        written = running if chunk.point else lost
        self._stop({*lost, *self._write(written)} if written else set())
        if len(self.stopped) == self.program.size:
            self.trainer.should_stop = True

    def on_fit_end(self) -> None:
        """Give every run the state that it reports: where it stopped, or its best one."""
        with torch.no_grad():
            for index, values in {**self._frozen, **self.rules.best}.items():
                for own, value in zip(self.program.of_run(index), values, strict=True):
                    own.copy_(value)

    def _divergent(self, chunk: Chunk, losses: Tensor, running: list[int]) -> list[int]:
        """Return the runs whose loss left the finite numbers in this chunk, and note the step."""
        wrong = ~torch.isfinite(losses)
        found = wrong.any(0).tolist()
        lost = [k for k in running if found[k]]
        for k in lost:
            self.nonfinite_step[k] = chunk.first + int(wrong[:, k].int().argmax()) + 1
        return lost

    def _stop(self, runs: Collection[int]) -> None:
        for k in runs:
            self.stopped[k] = self.steps
            self._frozen[k] = [value.clone() for value in self.program.of_run(k)]
        if runs and isinstance(self.program, MiniBatch):
            self.program.leave_out(self.stopped)

    def _write(self, runs: Sequence[int]) -> list[int]:
        """Write a point of the curves of these runs; return those that a rule stops there."""
        losses, values = self._recent.mean(0).tolist(), self._validate()
        for k in runs:
            self.curves[k]["train_loss"].append((self.steps, losses[k]))
            self.curves[k][self._name].append((self.steps, values[k]))
        return self.rules.say_stop(self.program.of_run, self._name, self.steps, values, runs)

    def _validate(self) -> list[float]:
        """Return what the task measures on validation, for every run."""
        x, y = self._validation
        with torch.no_grad():
            parts = x.split(self.program.examples_at_once)
            outputs = torch.cat([self.program.logits(part) for part in parts], 1)
            measured = torch.vmap(self._measure, in_dims=(0, None, None))(outputs, x, y)
        values: list[float] = measured.tolist()
        return values


def _trained(loop: StackLoop, index: int) -> Trained:
    program = loop.program
    parameters = program.of_run(index)[: program.parameters_of_one]
    step = loop.nonfinite_step.get(index)
    return Trained(
        curves={name: tuple(points) for name, points in loop.curves[index].items()},
        steps=loop.stopped.get(index, loop.steps),
        parameters=sum(value.numel() for value in parameters),
        finite=step is None and all(bool(value.isfinite().all()) for value in parameters),
        nonfinite_step=step,
        predict=_predictor(loop, index),
        task=task_of(program),
        selected_step=loop.rules.selected_step.get(index),
        facts={
            "device": str(loop.device),
            "stack_size": str(program.size),
            **program.facts(),
        },
    )


def _predictor(loop: StackLoop, index: int) -> Predict:
    def predict(x: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = torch.from_numpy(x).split(EVALUATION_BATCH)
        with torch.no_grad():
            logits = [loop.program.one(index, part.to(loop.device)) for part in parts]
        values: NDArray[np.float32] = torch.cat(logits).float().cpu().numpy()
        return values

    return predict
