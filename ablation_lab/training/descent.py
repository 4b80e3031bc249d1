"""Full-batch gradient descent on K small perceptrons, the run axis innermost.

The layout lets a compiler fuse a whole step of small layers into loops over runs; where a fit is
long enough to pay for compiling, the step is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ablation_lab.study.run import Run
from ablation_lab.training.computing import Compiled, Repeated, Step, worth_compiling
from ablation_lab.training.in_memory import Program
from ablation_lab.training.schedule import Chunk
from lightning_modules.families import Classifier, Learner
from lightning_modules.stack import MLPStack


class Descent(Program):
    """K runs by gradient descent on the whole training set; rates may differ between runs."""

    def __init__(self, runs: Sequence[Run], classifiers: Sequence[Classifier], steps: int) -> None:
        super().__init__()
        self.stack = MLPStack(classifiers)
        self.size = self.stack.size
        # Where a run is looked at; in a tuple, so that it is no part of this module.
        self._classifier = (classifiers[0],)
        rates = [run.config["optimizer"]["learning_rate"] for run in runs]
        self.register_buffer("rates", torch.tensor(rates))
        self.rates: Tensor
        self._wanted = worth_compiling(self.size * self.stack.layers * steps)

    def start(self, x: Tensor, y: Tensor) -> None:
        """Take the training set (N, ...), (N,), which lies on the device, and make the step."""
        self._compiled = Compiled(descent_step(self.stack, self.rates), wanted=self._wanted)

        def on_data(*values: Tensor) -> tuple[Tensor, ...]:
            after, losses = self._compiled([*values], x, y)
            return losses, *after

        self._step = Repeated(on_data, x.device)

    def advance(self, chunk: Chunk) -> Tensor:
        """Take the steps of a chunk; return the losses (steps, K) before each update."""
        values = [parameter.detach() for parameter in self.stack.parameters()]
        losses = torch.empty(chunk.steps, self.size, device=values[0].device)
        for index in range(chunk.steps):
            losses[index], *values = self._step(*values)
        with torch.no_grad():
            for parameter, value in zip(self.stack.parameters(), values, strict=True):
                parameter.copy_(value)
        return losses

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (K, N, C) of examples (N, ...)."""
        return self.stack(x).movedim(-1, 0)  # type: ignore[no-any-return]

    def one(self, index: int, x: Tensor) -> Tensor:
        """Return the logits (N, C) of one run."""
        return self.stack.one(index, x)

    def of_run(self, index: int) -> list[Tensor]:
        """Return views of one run's parameters."""
        return [parameter.detach()[..., index] for parameter in self.stack.parameters()]

    def module_of(self, index: int) -> Learner:
        """Return the first run's module at one run's values."""
        (classifier,) = self._classifier
        values, count = self.of_run(index), self.stack.layers
        layers = classifier.to(values[0].device).get_submodule("network.linears").children()
        for layer, weight, bias in zip(layers, values[:count], values[count:], strict=True):
            layer.load_state_dict({"weight": weight.t(), "bias": bias})
        return classifier

    @property
    def parameters_of_one(self) -> int:
        """How many parameters a run has, as tensors: all that ``of_run`` gives."""
        return len(list(self.stack.parameters()))

    def facts(self) -> Mapping[str, str]:
        """Say how the runs were trained."""
        return {
            "layout": "runs innermost",
            "compiled": self._compiled.way,
            "step": self._step.way,
        }


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
