"""Full-batch gradient descent on K small perceptrons, the run axis innermost.

The layout lets a compiler fuse a whole step of small layers into loops over runs; where a fit is
long enough to pay for compiling, the step is compiled.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ablation_lab.study.run import Run
from ablation_lab.training.evaluation import EVALUATION_BATCH
from ablation_lab.training.replay import Repeated
from ablation_lab.training.schedule import Chunk
from lightning_modules.classifier import Classifier
from lightning_modules.stack import MLPStack

# Compiling a shape costs seconds, so that it pays from about this many layer-steps of single runs.
COMPILE_FROM = 10_000_000
# Of what a compiler says, in letters: it may quote the whole program.
LONGEST_REASON = 200

Step = Callable[[list[Tensor], Tensor, Tensor], tuple[list[Tensor], Tensor]]


class Descent(nn.Module):
    """K runs by gradient descent on the whole training set; rates may differ between runs."""

    def __init__(self, runs: Sequence[Run], classifiers: Sequence[Classifier], steps: int) -> None:
        super().__init__()
        self.stack = MLPStack(classifiers)
        self.size = self.stack.size
        self.examples_at_once = EVALUATION_BATCH
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

    def facts(self) -> Mapping[str, str]:
        """Say how the runs were trained."""
        return {
            "layout": "runs innermost",
            "compiled": self._compiled.way,
            "step": self._step.way,
        }


class Compiled:
    """A step that is compiled where that is ``wanted``, and as it was written where it fails.

    Whether a compiler works shows at the first call only: it may lack the headers of Python, or
    room for its files. What is wrong with the step itself, the step as written says again. ``way``
    says whether it is compiled, and why not where it was to be.
    """

    def __init__(self, step: Step, *, wanted: bool) -> None:
        self._step = step
        self._fast: Step | None = torch.compile(step, dynamic=False) if wanted else None
        self.way = str(wanted).lower()

    def __call__(self, values: list[Tensor], x: Tensor, y: Tensor) -> tuple[list[Tensor], Tensor]:
        """Take the step."""
        if self._fast is None:
            return self._step(values, x, y)
        try:
            return self._fast(values, x, y)
        except torch.OutOfMemoryError:
            # The stack has to be halved instead.
            raise
        except Exception as error:  # a compiler raises whatever it likes
            self._fast = None
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.way = f"false, as compiling failed: {reason[:LONGEST_REASON]}"
        # Outside the except clause, whose traceback would keep tensors alive.
        return self._step(values, x, y)


def worth_compiling(layer_steps: int) -> bool:
    """Say whether compiling pays for this many layer-steps, and a compiler is there."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    return layer_steps >= COMPILE_FROM and compiler is not None


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
