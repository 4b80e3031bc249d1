"""What a trainer gives back for one run, before the test set is touched, and how it is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor, nn

from ablation_lab.data import Part
from ablation_lab.study.record import Curve, Probed
from lightning_modules.task import Task, task_of

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Trained:
    """A trained run: curves, the step at which it left the finite numbers, and its predictor.

    ``predict`` maps examples (N, *shape) to logits (N, C), or to what else the ``task`` gives.
    ``finite`` says whether every loss and every parameter is finite; ``nonfinite_step`` is the
    first step (counted from 1) whose loss was not. ``selected_step`` is the step after which
    ``predict`` answers, None for the last. ``logged`` gives what a module of a user's own logs on
    the test part, None where it logs nothing there; ``gathered`` gives that part as arrays where
    it comes from loaders. ``probed`` is what a probe saw, None where there was none.
    """

    curves: Mapping[str, Curve]
    steps: int
    parameters: int
    finite: bool
    nonfinite_step: int | None
    predict: Predict
    facts: Mapping[str, str] = field(default_factory=dict)
    task: Task = Task.CLASSIFICATION
    selected_step: int | None = None
    logged: Callable[[Any], Mapping[str, float]] | None = None
    gathered: Callable[[Any], Part] | None = None
    probed: Probed | None = None


EVALUATION_BATCH = 1000


def tensors(part: Part, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return examples (N, *shape) and labels (N,) on the device."""
    return torch.from_numpy(part.x).to(device), torch.from_numpy(part.y).to(device)


def predictor(
    module: nn.Module, device: torch.device, *, precision: Precision | None = None
) -> Predict:
    """Return the function from examples (N, *shape) to logits (N, C), or what the task gives.

    A module that is asked for something else than its ``forward`` has a method ``answer``.
    ``precision`` is that of the trainer that fitted it, if it has one of its own.
    """
    answer = getattr(module, "answer", module)
    arithmetic = precision or Precision()

    def predict(x: NDArray[np.float32]) -> NDArray[np.float32]:
        module.to(device).eval()
        with torch.no_grad(), arithmetic.forward_context():
            parts = torch.from_numpy(x).split(EVALUATION_BATCH)
            logits = [answer(arithmetic.convert_input(part.to(device))) for part in parts]
        values: NDArray[np.float32] = torch.cat(logits).float().cpu().numpy()
        return values

    return predict


@contextmanager
def unseen(module: nn.Module) -> Iterator[None]:
    """Let somebody ask a module in the middle of its training, and leave no trace of that.

    Its modes, buffers and attributes are put back, and so are the global generators: what it does
    next is what it would have done.
    """
    kept = [(each, _attributes(each)) for each in module.modules()]
    tensors = [
        (value, value.detach().clone())
        for _, attributes in kept
        for value in [*attributes.values(), *attributes["_buffers"].values()]
        if isinstance(value, Tensor)
    ]
    with isolate_rng():
        try:
            yield
        finally:
            for each, attributes in kept:
                vars(each).clear()
                vars(each).update(attributes)
            # What was made in inference mode, such as a metric's state, is changed only there.
            with torch.inference_mode():
                for value, before in tensors:
                    value.copy_(before)


def _attributes(module: nn.Module) -> dict[str, Any]:
    """Return what a module has, with copies of what can grow."""
    return {
        name: value.copy() if isinstance(value, list | dict | set | deque) else value
        for name, value in vars(module).items()
    }


def describe(
    module: nn.Module,
    curves: Mapping[str, list[tuple[int, float]]],
    steps: int,
    nonfinite_step: int | None,
    device: torch.device,
) -> Trained:
    """Return a trained module as the rest of the lab sees it."""
    parameters = list(module.parameters())
    return Trained(
        curves={name: tuple(points) for name, points in curves.items()},
        steps=steps,
        parameters=sum(parameter.numel() for parameter in parameters),
        finite=nonfinite_step is None and all(bool(p.isfinite().all()) for p in parameters),
        nonfinite_step=nonfinite_step,
        predict=predictor(module, device),
        facts={"device": str(device)},
        task=task_of(module),
    )
