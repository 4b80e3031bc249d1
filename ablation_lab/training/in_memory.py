"""The loop in memory: the data set lies on the device as one tensor, and one step is a chunk.

One ``training_step`` of Lightning takes a whole chunk of updates, so that Lightning's cost per
batch is paid per epoch, and no loader copies what is already in memory. What is trained is a
program: K runs as one, or a run alone, which is the reference for every other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ablation_lab.data import TrainingData
from ablation_lab.study.record import Probed
from ablation_lab.study.run import Training
from ablation_lab.training.lightning import lightning_trainer
from ablation_lab.training.order import BatchIndices
from ablation_lab.training.rules import Rules, Schedule, fall
from ablation_lab.training.schedule import Chunk, planned
from ablation_lab.training.trained import EVALUATION_BATCH, Predict, Trained, describe, tensors
from lightning_modules.families import Learner
from lightning_modules.losses import MEASURES, Measure
from lightning_modules.task import task_of


class Program(nn.Module):
    """K runs that take their steps together; ``size`` is K."""

    size: int
    examples_at_once = EVALUATION_BATCH

    def start(self, x: Tensor, y: Tensor) -> None:
        """Take the training set, x (N, ...) and y (N, ...), which lies on the device."""
        raise NotImplementedError

    def advance(self, chunk: Chunk) -> Tensor:
        """Take the steps of a chunk; return the losses (steps, K) before each update."""
        raise NotImplementedError

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (K, N, C) of examples (N, ...), or what else the task gives."""
        raise NotImplementedError

    def of_run(self, index: int) -> list[Tensor]:
        """Return one run's values; a change in place is one of the run."""
        raise NotImplementedError

    def module_of(self, index: int) -> Learner:
        """Return a module at one run's values; the next call may change it."""
        raise NotImplementedError

    def leave_out(self, runs: Collection[int]) -> None:
        """Go on without these runs, where that saves anything."""

    def measured(self, measure: Measure, x: Tensor, y: Tensor) -> list[float]:
        """Return what a task measures on examples and targets, for every run."""
        outputs = torch.cat([self.logits(part) for part in x.split(self.examples_at_once)], 1)
        values: list[float] = torch.vmap(measure, in_dims=(0, None, None))(outputs, x, y).tolist()
        return values


class Watch:
    """What looks at the runs of a program while they train; this one looks at nothing."""

    def start(self, program: Program, x: Tensor, y: Tensor) -> None:
        """Take the program before its first step, and its training set."""

    def look(self, step: int, runs: Sequence[int]) -> None:
        """Look at these runs, which have taken so many steps."""

    def seen(self, run: int, predict: Predict) -> Probed | None:
        """Return what was seen of a run that predicts so in the end."""
        return None


UNWATCHED = Watch()


class Alone(Program):
    """One run: its module, on the examples that its order gives each step."""

    size = 1

    def __init__(self, module: Learner, order: BatchIndices, training: Training) -> None:
        super().__init__()
        self.module = module
        self.task = task_of(module)
        self.steps = 0
        self._training = training
        self._batches = iter(order)
        self._schedules: list[Schedule] = []

    def start(self, x: Tensor, y: Tensor) -> None:
        """Take the training set, and let the module choose its optimiser and schedule."""
        self._train = x, y
        chosen: Any = self.module.configure_optimizers()
        while isinstance(chosen, Sequence):
            chosen = chosen[0]
        if isinstance(chosen, Mapping):
            # The window of a loss is an epoch, or all steps where there are less.
            window = planned(self._training, len(x))[0].window
            self._schedules = [Schedule(chosen["lr_scheduler"], window)]
            chosen = chosen["optimizer"]
        self._optimizer = chosen
        # A module that looks at all training examples before its first step has this method.
        pretrain = getattr(self.module, "pretrain", None)
        if pretrain is not None:
            pretrain(x, y)
        # What is initialised with data takes the first batch.
        first = next(self._batches)
        self._batches = chain([first], self._batches)
        self.module.train()
        self.module.prepare(self._at(first)[0])

    def advance(self, chunk: Chunk) -> Tensor:
        """Take the steps of a chunk; return the losses (steps, 1) before each update."""
        losses = torch.empty(chunk.steps, device=self._train[0].device)
        self.module.train()
        for index in range(chunk.steps):
            losses[index] = self._step()
            for schedule in self._schedules:
                schedule.after_step(self.steps, losses[index])
        return losses.unsqueeze(1)

    def _step(self) -> Tensor:
        fall(self._optimizer, self._training, self.steps)
        x, y = self._at(next(self._batches))
        loss = self.module.objective(x, y)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self.steps += 1
        return loss.detach()

    def _at(self, indices: Tensor | None) -> tuple[Tensor, Tensor]:
        x, y = self._train
        return (x, y) if indices is None else (x[indices], y[indices])

    def of_run(self, index: int) -> list[Tensor]:
        """Return the values of the module's state."""
        return list(self.module.state_dict().values())

    def module_of(self, index: int) -> Learner:
        """Return the module."""
        return self.module

    def measured(self, measure: Measure, x: Tensor, y: Tensor) -> list[float]:
        """Return the number that the task measures, of the module itself."""
        self.module.eval()
        with torch.no_grad():
            outputs = torch.cat([self.module(part) for part in x.split(self.examples_at_once)])
            return [float(measure(outputs, x, y))]


def fit(
    module: Learner, data: TrainingData, training: Training, order: BatchIndices, watch: Watch
) -> Trained:
    """Fit ``module`` and return what it became."""
    loop = train_together(Alone(module, order, training), data, training, watch)
    lost, chosen = loop.nonfinite_step.get(0), loop.rules.selected_step.get(0)
    trained = describe(module, loop.curves[0], loop.steps, lost, loop.device)
    return replace(trained, selected_step=chosen, probed=watch.seen(0, trained.predict))


def train_together(program: Program, data: TrainingData, training: Training, watch: Watch) -> Loop:
    """Take every step of a program."""
    plan = planned(training, len(data.train))
    loop = Loop(program, data, plan, Rules(training, program.size), watch)
    trainer = lightning_trainer(max_epochs=1, accelerator="auto", devices=1)
    trainer.fit(loop, train_dataloaders=range(len(plan)))
    # Lightning ends by taking the parameters to the CPU; runs that left the stack are not among
    # them, and predictions are quicker where the training was.
    return loop.to(trainer.strategy.root_device)


class Loop(pl.LightningModule):
    """Trains a program on data that lies on the device; one training step is one chunk."""

    def __init__(
        self,
        program: Program,
        data: TrainingData,
        plan: list[Chunk],
        rules: Rules,
        watch: Watch = UNWATCHED,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.program = program
        self.rules = rules
        self._watch = watch
        self._name, self._measure = MEASURES[task_of(program)]
        self.curves: list[dict[str, list[tuple[int, float]]]] = [
            {"train_loss": [], self._name: []} for _ in range(program.size)
        ]
        self.steps = 0
        # Of the runs that left the finite numbers the step; of all that stopped where they did,
        # and their values there.
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
        train = tensors(self._data.train, self.device)
        self.program.start(*train)
        self._watch.start(self.program, *train)

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
        if runs:
            self.program.leave_out(self.stopped)

    def _write(self, runs: Sequence[int]) -> list[int]:
        """Write a point of the curves of these runs; return those that a rule stops there."""
        losses = self._recent.mean(0).tolist()
        with torch.no_grad():
            values = self.program.measured(self._measure, *self._validation)
        self._watch.look(self.steps, runs)
        for k in runs:
            self.curves[k]["train_loss"].append((self.steps, losses[k]))
            self.curves[k][self._name].append((self.steps, values[k]))
        return self.rules.say_stop(self.program.of_run, self._name, self.steps, values, runs)
