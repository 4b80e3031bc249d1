"""K runs of any stackable network, each on mini-batches in an order of its own.

The update is torch's own optimiser on parameters of shape (K, ...): those that a stack may use act
on each number by itself, so that no run sees another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ablation_lab.study.run import Role, Run, Training, stream
from ablation_lab.training.computing import Repeated
from ablation_lab.training.in_memory import Program
from ablation_lab.training.order import Orders, batches
from ablation_lab.training.own_stack import OwnStack
from ablation_lab.training.rules import fall
from ablation_lab.training.schedule import Chunk
from lightning_modules.families import Learner
from lightning_modules.stack import LearnerStack, ModuleStack
from lightning_modules.task import task_of


class MiniBatch(Program):
    """K runs with one optimiser, one batch size, and one step for each fall of the rate."""

    def __init__(
        self,
        runs: Sequence[Run],
        modules: Sequence[pl.LightningModule],
        *,
        examples: int,
        training: Training,
    ) -> None:
        super().__init__()
        dropout = [stream(run.seed, Role.DROPOUT, run.replicate) for run in runs]
        self.stack = stack_of(modules, dropout)
        self.size = self.stack.size
        self.task = task_of(modules[0])
        # The run of each row of the stack, and the values of the runs that are left out of it.
        self._rows = list(range(self.size))
        self._left: dict[int, list[Tensor]] = {}
        self._batch = training.batch_size
        seeds = [stream(run.seed, Role.ORDER, run.replicate) for run in runs]
        self._orders = Orders([batches(training, examples=examples, seed=each) for each in seeds])
        self._training = training

    def start(self, x: Tensor, y: Tensor) -> None:
        """Take the training set, x (N, ...) and y (N, ...), which lies on the device."""
        self._data = x, y
        self.stack.to_device(x.device)
        self._orders.to_device(x.device)
        # Made here: a fused optimiser has to know the device.
        self._optimizer = self.stack.optimizer()
        self._backward = self._repeated()
        if x.device.type != "cpu" and self._batch is not None:
            # All runs at once: as many need less memory than a training step, which the plan knows.
            self.examples_at_once = 2 * self._batch

    def advance(self, chunk: Chunk) -> Tensor:
        """Take the steps of a chunk; return the losses (steps, K) before each update.

        A run that is left out has a loss of 0.
        """
        device = self._data[0].device
        losses = torch.empty(chunk.steps, self.stack.size, device=device)
        numbers = torch.arange(chunk.first, chunk.first + chunk.steps, device=device)
        for index, step in enumerate(numbers.int().unbind()):
            fall(self._optimizer, self._training, chunk.first + index)
            losses[index], *gradients = self._backward(step, *self._orders.next())
            for parameter, gradient in zip(self.stack.values, gradients, strict=True):
                parameter.grad = gradient
            self._optimizer.step()
        return self._of_all(losses.t()).t()

    def _loss_and_gradients(self, step: Tensor, *indices: Tensor) -> tuple[Tensor, ...]:
        """Return the losses (K,) of a step before its update, and the gradient of every value."""
        x, y = self._data
        self._optimizer.zero_grad(set_to_none=True)
        self.stack.at_step(step)
        for own in indices:
            x, y = x[own], y[own]
        each = self.stack.objective(x, y, own=bool(indices))
        # Not torch.autograd.grad: fused optimisers rely on gradients that lie as their parameters.
        each.sum().backward()
        return each.detach(), *(value.grad for value in self.stack.values if value.grad is not None)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (K, N, C) of examples (N, ...), or what else the task gives.

        Those of a run that is left out are 0.
        """
        return self._of_all(self.stack(x))

    def one(self, index: int, x: Tensor) -> Tensor:
        """Return the logits (N, C) of one run, or what else the task gives."""
        return self.stack.at(self.of_run(index), x)

    def of_run(self, index: int) -> list[Tensor]:
        """Return one run's parameters, then its buffers; a change in place is one of the run."""
        if index in self._left:
            return self._left[index]
        row = self._rows.index(index)
        return [value.detach()[row] for value in [*self.stack.values, *self._buffers_of_runs()]]

    def module_of(self, index: int) -> Learner:
        """Return a module at one run's values.

        Errors: TypeError for a module that is no Learner.
        """
        module = self.stack.module_at(self.of_run(index))
        if not isinstance(module, Learner):
            raise TypeError(f"only a Learner can be probed, found {type(module).__name__}")
        return module

    def leave_out(self, runs: Collection[int]) -> None:
        """Go on without these runs, once that halves the stack; their values stay what they are."""
        rows = [row for row, run in enumerate(self._rows) if run not in runs]
        if not 0 < len(rows) <= self.stack.size // 2:
            return
        for run in set(self._rows).intersection(runs):
            self._left[run] = [value.clone() for value in self.of_run(run)]
        before = list(self.stack.values)
        self.stack.keep(rows)
        replace_parameters(self._optimizer, before, list(self.stack.values), rows)
        self._backward = self._repeated()
        self._orders.keep(rows)
        self._rows = [self._rows[row] for row in rows]

    @property
    def parameters_of_one(self) -> int:
        """How many parameters a run has, as tensors; they come first in ``of_run``."""
        return len(self.stack.names)

    def _buffers_of_runs(self) -> list[Tensor]:
        return list(self.stack.buffers_of_runs.values())

    def _repeated(self) -> Repeated:
        # A step changes the running statistics of normalisation where they lie.
        return Repeated(
            self._loss_and_gradients, self._data[0].device, changed=self._buffers_of_runs()
        )

    def _of_all(self, values: Tensor) -> Tensor:
        """Return values (rows, ...) of the stack as values (K, ...) of all runs."""
        if len(values) == self.size:
            return values
        every = values.new_zeros(self.size, *values.shape[1:])
        every[self._rows] = values
        return every

    def facts(self) -> Mapping[str, str]:
        """Say how the runs were trained."""
        return {"layout": "runs first", "step": self._backward.way}


def stack_of(modules: Sequence[pl.LightningModule], streams: Sequence[int]) -> ModuleStack:
    """Return the modules as one; ``streams`` are where their dropout masks come from."""
    ours = [module for module in modules if isinstance(module, Learner)]
    return LearnerStack(ours, streams) if ours else OwnStack(modules)


def replace_parameters(
    optimizer: torch.optim.Optimizer,
    before: Sequence[nn.Parameter],
    after: Sequence[nn.Parameter],
    rows: Sequence[int],
) -> None:
    """Have an optimiser go on with these rows of its parameters, and of what it keeps of each."""
    for old, new in zip(before, after, strict=True):
        kept = optimizer.state.pop(old, {})
        optimizer.state[new] = {
            name: value[rows] if isinstance(value, Tensor) and value.shape == old.shape else value
            for name, value in kept.items()
        }
    new_of = {id(old): new for old, new in zip(before, after, strict=True)}
    for group in optimizer.param_groups:
        group["params"] = [new_of[id(old)] for old in group["params"]]
