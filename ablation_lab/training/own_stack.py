"""K modules of a user's own as one program, those whose step is pure.

A class that says ``stacks = True`` promises that its training step is a function of parameters,
buffers and batch, and that all that differs between replicates are parameters and buffers. The
promise is checked before a study trains, by a few steps on made-up examples, stacked and alone; a
run whose class breaks it is refused. One that says nothing, and has nothing but a training step and
an optimiser, is found to stack by the same steps, and else trains alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor, nn

from ablation_lab.data import Dataset
from ablation_lab.study.stacking import LARGEST_NETWORK
from ablation_lab.training.repeatable import made_up
from lightning_modules.stack import ModuleStack

# Optimisers that treat every number by itself, so that runs in one tensor do not see each other.
ELEMENTWISE = (
    *(torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam),
    *(torch.optim.RAdam, torch.optim.Adamax, torch.optim.ASGD, torch.optim.Rprop),
    *(torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta),
)
CONVOLUTIONS = nn.modules.conv._ConvNd
CHECKED_STEPS = 4
CHECKED_EXAMPLES = 8
# Both compute in float32 but add in another order: 1e-7 relative for each operation.
RELATIVE, ABSOLUTE = 1e-3, 1e-5


class OwnStack(ModuleStack):
    """K modules of one class of a user's own."""

    def __init__(self, modules: Sequence[pl.LightningModule]) -> None:
        for module in modules:
            # Under vmap there is no number to log; what a stack keeps is what the lab measures.
            module.log = _log_nothing  # type: ignore[method-assign]
        super().__init__(modules)

    def objective(self, x: Tensor, y: Tensor, *, own: bool) -> Tensor:
        """Return the losses (K,) of a training step, on batches of their own or on the same one."""
        axis = 0 if own else None
        step = _Step(self._module[0].train())

        def call(values: dict[str, Tensor], more: dict[str, Tensor], *batch: Tensor) -> Tensor:
            named = {f"module.{name}": value for name, value in {**values, **more}.items()}
            loss: Tensor = torch.func.functional_call(step, named, batch)
            return loss

        named = dict(zip(self.names, self.values, strict=True))
        losses: Tensor = torch.vmap(call, in_dims=(0, 0, axis, axis))(
            named, self.buffers_of_runs, x, y
        )
        return losses

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the module's optimiser for the values of all runs.

        Errors: ValueError for one that does not treat every number by itself.
        """
        module = self._module[0]
        found: Any = module.configure_optimizers()
        if type(found) not in ELEMENTWISE:
            known = ", ".join(each.__name__ for each in ELEMENTWISE)
            raise ValueError(f"its optimiser is a {type(found).__name__}, expected one of {known}")
        stacked = dict(zip(self.names, self.values, strict=True))
        values = {id(each): stacked[name] for name, each in module.named_parameters()}
        groups = [
            {**group, "params": [values[id(each)] for each in group["params"]]}
            for group in found.param_groups
        ]
        optimizer: torch.optim.Optimizer = type(found)(groups)
        return optimizer


class _Step(nn.Module):
    """A module's training step as a forward pass, so that its values can be replaced."""

    def __init__(self, module: pl.LightningModule, batch_idx: Any = 0) -> None:
        super().__init__()
        self.module = module
        self._batch_idx = batch_idx

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        given: Any = self.module.training_step((x, y), self._batch_idx)
        loss: Tensor = given["loss"] if isinstance(given, Mapping) else given
        return loss


def _log_nothing(*_: object, **__: object) -> None:
    """Log nothing."""


def why_not_together(
    alone: Sequence[pl.LightningModule],
    stacked: Sequence[pl.LightningModule],
    dataset: Dataset,
    *,
    promised: bool,
) -> str:
    """Hold some steps of modules in a stack against the same modules alone; return what differs.

    A class that has not ``promised`` anything is also held to what a stack cannot know of it.
    """
    try:
        for module in alone:
            module.log = _log_nothing  # type: ignore[method-assign]
            if not promised:
                _watch(module)
        before = [_state(module) for module in alone]
        _compare(alone, stacked, dataset)
        if not promised and before != [_state(module) for module in alone]:
            raise ValueError("it keeps something between its steps, or draws in them")
    except Exception as error:  # whatever a step under vmap raises
        return " ".join(str(error).split()).partition(". ")[0]
    return ""


def _compare(
    alone: Sequence[pl.LightningModule], stacked: Sequence[pl.LightningModule], dataset: Dataset
) -> None:
    for name in ("validation_step", "test_step", "configure_gradient_clipping"):
        if is_overridden(name, stacked[0]):
            raise ValueError(f"a stack would not call its {name}")
    stack = OwnStack(stacked)
    optimizer = stack.optimizer()
    optimizers: list[Any] = [module.configure_optimizers() for module in alone]
    batches = list(zip(*made_up(dataset, CHECKED_STEPS, CHECKED_EXAMPLES), strict=True))
    with torch.no_grad():
        # Before any step: what a normalisation cancels moves by rounding alone, and is seen here.
        for outputs, module in zip(stack(batches[0][0]), alone, strict=True):
            _hold("outputs", outputs, module.eval()(batches[0][0]))
    steps = [_Step(module.train(), getattr(module, "_batch_idx", 0)) for module in alone]
    for x, y in batches:
        optimizer.zero_grad()
        together = stack.objective(x, y, own=False)
        together.sum().backward()
        optimizer.step()
        for row, (step, own) in enumerate(zip(steps, optimizers, strict=True)):
            own.zero_grad()
            loss = step(x, y)
            loss.backward()
            own.step()
            _hold("losses", together[row], loss)


def _hold(what: str, found: Tensor, expected: Tensor) -> None:
    if not torch.allclose(found, expected, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
        one, other = float(found.flatten()[0]), float(expected.flatten()[0])
        raise ValueError(f"its {what} in a stack are others than alone: {one:.6g}, not {other:.6g}")


def _watch(module: pl.LightningModule) -> None:
    """Have a module tell when it looks at, or keeps, what a stack has not.

    Errors: ValueError for one that a core trains as quickly alone.
    """
    if not module.automatic_optimization:
        raise ValueError("it optimises by itself")
    if not torch.cuda.is_available():
        if any(isinstance(each, CONVOLUTIONS) for each in module.modules()):
            raise ValueError("convolutions: on a CPU a stack of them is slower than its runs")
        if sum(each.numel() for each in module.parameters()) > LARGEST_NETWORK:
            raise ValueError(
                f"more than {LARGEST_NETWORK} weights: matrix products dominate on a CPU"
            )
    module.log = _log_loss  # type: ignore[method-assign]
    module._trainer = _Absent("trainer")  # type: ignore[assignment]
    module._batch_idx = _Absent("batch_idx")  # type: ignore[assignment]


def _log_loss(name: str, *_: object, **__: object) -> None:
    if name != "train_loss":
        raise ValueError(f"it logs {name!r}, which a stack would not keep")


class _Absent:
    """Stands for what a stack cannot give; to look at it is an error."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _refuse(self, *_: object) -> Any:
        raise ValueError(f"its step looks at the {vars(self)['_name']}, which a stack has not")

    __getattr__ = __eq__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __mod__ = __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = _refuse
    __radd__ = __rsub__ = __rmul__ = __int__ = __index__ = __float__ = _refuse
    __hash__ = None  # type: ignore[assignment]


def _state(module: pl.LightningModule) -> list[Any]:
    """Return what a pure step leaves as it is: the attributes, what they hold, the generators."""
    numpy: Any = np.random.get_state()
    kept: list[Any] = [random.getstate(), numpy[1].tolist(), torch.get_rng_state().tolist()]
    for each in module.modules():
        for name, value in vars(each).items():
            size = len(value) if isinstance(value, list | dict | set) else 0
            kept += [] if name == "training" else [(name, id(value), size)]
    return kept
