"""A module that does not say whether it stacks is found to by its first steps, or not, and why."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.stacking import is_found, why_alone
from ablation_lab.training.plan import plan
from ablation_lab.training.validate import found_alone
from tests.training.own_modules import Batch, registered
from tests.training.test_own_stack import OWN, hold

MakeRun = Callable[..., Run]


class Pure(pl.LightningModule):
    """As the documentation of Lightning has it: it says nothing of stacks."""

    def __init__(self, *, input_shape: tuple[int, ...], classes: int, **_: Any) -> None:
        super().__init__()
        # What a normalisation cancels moves by rounding alone.
        self.first = nn.Linear(math.prod(input_shape), 6, bias=False)
        self.norm = nn.BatchNorm1d(6)
        self.last = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(self.norm(self.first(x.flatten(1))).relu())
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Silent(Pure):
    stacks = False


class Dropping(Pure):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().forward(x), 0.5, self.training)


class Pythonic(Pure):
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) * (1 + random.random() * 1e-9)


class Warming(Pure):
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) * (1 if self.global_step < 100 else 2)


class Numbering(Pure):
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) * (2 if batch_idx == 500 else 1)


class Counting(Pure):
    calls = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.calls += 1
        return super().training_step(batch, batch_idx) * (1 if self.calls < 99 else 2)


class Remembering(Pure):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.seen: list[float] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.seen.append(0.0)
        return super().training_step(batch, batch_idx)


class Logging(Pure):
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.log_dict({"share": 1.0})
        return super().training_step(batch, batch_idx)


class Scheduled(Pure):
    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2)]


class Planning(Pure):
    def configure_optimizers(self) -> Any:
        rate = 1 / self.trainer.estimated_stepping_batches
        return torch.optim.SGD(self.parameters(), lr=rate)


class Sampling(Pure):
    """Answers otherwise than it trains, by a draw."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + (0 if self.training else float(np.random.normal()))


class Manual(Pure):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False


class Wide(Pure):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.unused = nn.Linear(300, 300)


class Convolving(Pure):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.unused = nn.Conv2d(1, 1, 1)


class Hooked(Pure):
    def on_train_epoch_end(self) -> None:
        pass


class Mixed(nn.Module):
    def optimizer_zero_grad(self, *_: Any) -> None:
        pass


class Inheriting(Mixed, Pure):
    pass


class Answering(Pure):
    def answer(self, x: Tensor) -> Tensor:
        return self(x)


BY_STEPS = {
    Dropping: "random",
    Pythonic: "it keeps something between its steps, or draws in them",
    Warming: "its step looks at the trainer",
    Numbering: "its step looks at the batch_idx",
    Counting: "it keeps something between its steps",
    Remembering: "it keeps something between its steps",
    Logging: "it logs 'share', which a stack would not keep",
    Scheduled: "its optimiser is a tuple",
    Planning: "not attached to a `Trainer`",
    Sampling: "its outputs in a stack are others than alone",
    Manual: "it optimises by itself",
    Wide: "more than 65536 weights",
    Convolving: "convolutions",
}
BY_CLASS = {
    Silent: "says `stacks = False`",
    Hooked: "has a on_train_epoch_end, which a stack would not call",
    Inheriting: "has a optimizer_zero_grad, which a stack would not call",
    Answering: "has a answer, which a stack would not call",
}


def run_of(make_run: MakeRun, family: type, **changes: Any) -> Run:
    return make_run(**{**OWN, "model": {"family": f"test_{family.__name__.lower()}"}, **changes})


def test_a_stack_of_them_is_its_runs(make_run: MakeRun) -> None:
    with registered([Pure]):
        runs = [run_of(make_run, Pure, replicate=n) for n in range(3)]
        assert found_alone(Stack((runs[0],), TrainerName.STACKED, "a test")) == ""
        (stack,) = plan(runs, data_root=None, plugins=())
        assert stack.trainer is TrainerName.STACKED
        assert stack.reason.startswith("where its first steps are the same so; ")
        hold(runs)


@pytest.mark.parametrize("family", BY_STEPS)
def test_what_its_first_steps_tell_is_said(make_run: MakeRun, family: type[Pure]) -> None:
    with registered([family]):
        run = run_of(make_run, family)
        assert is_found(run.config["model"]["family"])
        said = found_alone(Stack((run,), TrainerName.STACKED, "a test"))
        assert BY_STEPS[family] in said
        assert "\n" not in said
        (stack,) = plan([run], data_root=None, plugins=(), alone={(run.study, run.cell): said})
    assert (stack.trainer, stack.reason) == (TrainerName.SINGLE, said)


@pytest.mark.parametrize("family", BY_CLASS)
def test_what_its_class_tells_is_said(make_run: MakeRun, family: type[Pure]) -> None:
    with registered([family]):
        said = why_alone(run_of(make_run, family).config)
    assert BY_CLASS[family] in said
