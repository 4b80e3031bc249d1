"""What a plug-in imports from ``ablation_lab``: decorators that register, and nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import ablation_lab
from ablation_lab.data import DATASETS
from ablation_lab.study.metric import CHECKS
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.execute import execute
from lightning_modules import registry

REGISTRIES = {
    "activation": registry.ACTIVATIONS,
    "check": CHECKS,
    "dataset": DATASETS,
    "family": registry.FAMILIES,
    "initializer": registry.INITIALIZERS,
    "optimizer": registry.OPTIMIZERS,
    "reduction": registry.REDUCTIONS,
    "scheduler": registry.SCHEDULERS,
}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = {name: dict(each._things) for name, each in REGISTRIES.items()}
    yield
    for name, each in REGISTRIES.items():
        each._things.clear()
        each._things.update(before[name])


@pytest.mark.parametrize("name", REGISTRIES)
def test_a_decorator_registers_what_it_decorates(name: str) -> None:
    def thing() -> None:
        """Stand for anything."""

    assert getattr(ablation_lab, name)("a test's own")(thing) is thing
    assert REGISTRIES[name].get("a test's own") is thing


def test_every_public_name_is_there_and_no_other() -> None:
    assert set(REGISTRIES) < set(ablation_lab.__all__)
    assert all(getattr(ablation_lab, name) is not None for name in ablation_lab.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'familly'; it has"):
        getattr(ablation_lab, "familly")  # noqa: B009 - mypy would refuse the plain form


def test_importing_the_decorators_imports_no_torch() -> None:
    names = ", ".join(REGISTRIES)
    code = f"import sys; from ablation_lab import {names}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_optimizer_and_a_schedule_of_ones_own_train(make_run: Callable[..., Run]) -> None:
    @ablation_lab.optimizer("by_sign")
    def by_sign(parameters: Any, *, learning_rate: float, decay: float = 0.0) -> Any:
        return torch.optim.Rprop(parameters, lr=learning_rate * (1 - decay))

    @ablation_lab.scheduler("halves")
    def halves(optimizer: Any, *, every: int = 5) -> Any:
        return torch.optim.lr_scheduler.StepLR(optimizer, every, 0.5)

    own = {"name": "by_sign", "learning_rate": 0.01}
    run = make_run(optimizer=own, scheduler={"name": "halves"})
    assert run.config["optimizer"] == {**own, "decay": 0.0}
    assert run.config["scheduler"] == {"name": "halves", "every": 5, "interval": "epoch"}
    (record,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
    curve = record.curves["train_loss"]
    assert curve[-1][1] < curve[0][1], record.error
