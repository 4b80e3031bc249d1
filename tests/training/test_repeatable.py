"""A module that gives something else when all is done again from the same seeds is found out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.repeatable import repeatable
from tests.training.own_data import registered_data
from tests.training.own_modules import Batch, Reckless, registered

MakeRun = Callable[..., Run]


class Unseeded(Reckless):
    """Starts from a generator that nobody seeds."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        scale = np.random.default_rng().normal()
        self.layer.weight.data *= scale


class Clocked(Reckless):
    """Its loss is of the moment."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) * (1 + time.perf_counter())


class Counting(Reckless):
    """Counts its steps over all modules of the class."""

    steps = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        type(self).steps += 1
        return super().training_step(batch, batch_idx) / type(self).steps


class Buffered(Reckless):
    """Keeps what nobody seeds where it does not touch the loss."""

    def on_train_end(self) -> None:
        draw = torch.Generator()
        draw.seed()
        self.register_buffer("noise", torch.rand(3, generator=draw))


def said(make_run: MakeRun, family: str, **changes: Any) -> str:
    training = {"epochs": 1, "batch_size": 20}
    settings = {"data__name": "digits", "training": training, **changes}
    run = make_run(model={"family": family}, **settings)
    return repeatable(Stack((run,), TrainerName.SINGLE, "a test"))


@pytest.mark.parametrize(
    ("family", "where"),
    [
        (Unseeded, "'layer.weight' as it is built"),
        (Clocked, "the loss of step 1"),
        (Counting, "the loss of step 1"),
        (Buffered, "'noise' after 3 steps"),
    ],
)
def test_where_it_differs_is_said_in_one_line(
    make_run: MakeRun, family: type[Reckless], where: str
) -> None:
    with registered([family]):
        name = f"test_{family.__name__.lower()}"
        line = said(make_run, name)
    assert line.startswith(f"family {name!r} is not repeatable: {where} is another")
    assert "\n" not in line


@pytest.mark.usefixtures("_own_modules")
@pytest.mark.parametrize("family", ["test_reckless", "test_telling", "linear", "gan"])
def test_what_draws_from_the_global_generators_is(make_run: MakeRun, family: str) -> None:
    assert said(make_run, family) == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("_own_modules")
def test_a_module_on_loaders_is(make_run: MakeRun) -> None:
    with registered_data():
        budget = {"epochs": 1}
        assert said(make_run, "mlp", data__name="test_module", training=budget) == ""
