"""Schedules of the learning rate: in memory, and by Lightning itself, as plain torch steps them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from ablation_lab.data import DATASETS, load
from ablation_lab.study.run import Role, Run, stream
from ablation_lab.study.stacking import why_alone
from ablation_lab.training import in_memory, single
from ablation_lab.training.lightning import lightning_trainer
from ablation_lab.training.order import Order
from ablation_lab.training.rules import Schedule
from ablation_lab.training.validate import validate_module
from lightning_modules.mlp import MLP
from lightning_modules.schedulers import SCHEDULERS, scheduler_settings

MakeRun = Callable[..., Run]
Make = Callable[[torch.optim.Optimizer], Any]
EPOCHS, BATCH, EXAMPLES = 6, 16, 60
STEPS_PER_EPOCH = 3
# 60 digits in batches of 16: three steps an epoch.
DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": EXAMPLES},
    "model": {"family": "mlp", "widths": [8]},
    "optimizer": {"name": "momentum", "learning_rate": 0.1},
    "training": {"epochs": EPOCHS, "batch_size": BATCH},
}
# name -> settings, and the schedule of torch's that they stand for
CASES: dict[str, tuple[dict[str, Any], Make]] = {
    "step": ({"step_size": 2}, lambda o: lr_scheduler.StepLR(o, 2)),
    "multi_step": (
        {"milestones": [1, 4], "gamma": 0.5},
        lambda o: lr_scheduler.MultiStepLR(o, [1, 4], 0.5),
    ),
    "exponential": ({"gamma": 0.9}, lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "polynomial": (
        {"total_iters": 4, "power": 2.0},
        lambda o: lr_scheduler.PolynomialLR(o, 4, 2.0),
    ),
    "cosine": (
        {"T_max": 6, "eta_min": 0.01},
        lambda o: lr_scheduler.CosineAnnealingLR(o, 6, 0.01),
    ),
    "cosine_restarts": (
        {"T_0": 2, "T_mult": 2},
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 2),
    ),
    "linear_warmup": (
        {"start_factor": 0.1, "total_iters": 3},
        lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=3),
    ),
    "one_cycle": (
        {"max_lr": 0.5, "total_steps": 20},
        lambda o: lr_scheduler.OneCycleLR(o, 0.5, 20),
    ),
    "reduce_on_plateau": (
        {"patience": 0, "threshold": 0.2},
        lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=0.2),
    ),
}


def by_hand(run: Run, make: Make, *, interval: str) -> tuple[list[float], Tensor]:
    """Return the learning rate after each step, and the logits at the end, of a plain loop."""
    data = load("digits", train_size=EXAMPLES)[0]
    module: Any = single.build_module(run, DATASETS.get("digits"))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, fused=True)
    schedule = make(optimizer)
    order = Order(examples=EXAMPLES, batch_size=BATCH, seed=stream(0, Role.ORDER, 0))
    x, y = torch.from_numpy(data.train.x), torch.from_numpy(data.train.y)
    rates, losses = [], []
    for step, rows in enumerate(islice(order, EPOCHS * STEPS_PER_EPOCH), start=1):
        loss = module.objective(x[rows], y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if interval == "step" or step % STEPS_PER_EPOCH == 0:
            if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
                schedule.step(float(torch.stack(losses).mean()))
            else:
                schedule.step()
            losses = []
        rates.append(optimizer.param_groups[0]["lr"])
    with torch.no_grad():
        return rates, module(torch.from_numpy(data.validation.x))


def test_every_schedule_is_compared() -> None:
    assert set(CASES) == set(SCHEDULERS.names())


@pytest.mark.parametrize("interval", ["epoch", "step"])
@pytest.mark.parametrize("name", CASES)
def test_rates_and_parameters_are_those_of_plain_torch(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, name: str, interval: str
) -> None:
    settings, make = CASES[name]
    run = make_run(**DIGITS, scheduler={"name": name, "interval": interval, **settings})
    rates: list[float] = []

    class Spy(Schedule):
        def after_step(self, step: int, loss: Tensor) -> None:
            super().after_step(step, loss)
            rates.append(self._scheduler.optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(in_memory, "Schedule", Spy)
    data = load("digits", train_size=EXAMPLES)[0]
    trained = single.train(run, data, DATASETS.get("digits"))
    expected, logits = by_hand(run, make, interval=interval)
    assert rates == expected
    assert len(set(rates)) > 1
    assert torch.equal(torch.from_numpy(trained.predict(data.validation.x)), logits)


class Rates(pl.Callback):
    """Notes the learning rate with which each epoch begins."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Note it."""
        self.found.append(trainer.optimizers[0].param_groups[0]["lr"])


# Lightning warns of one_cycle by epochs.
@pytest.mark.parametrize("name", sorted(set(CASES) - {"one_cycle", "reduce_on_plateau"}))
def test_lightnings_own_loop_takes_the_module_as_it_is(name: str) -> None:
    settings, make = CASES[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    schedule, expected = make(optimizer), []
    for _ in range(EPOCHS):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates_of_lightning({"name": name, **settings}) == expected


def test_lightnings_own_loop_tells_a_plateau_the_training_loss() -> None:
    # A loss never falls by nine tenths in an epoch: each one but the first divides the rate.
    settings = {"name": "reduce_on_plateau", "patience": 0, "threshold": 0.9}
    found = rates_of_lightning(settings)
    assert found == pytest.approx([0.1, 0.1, *(0.1**n for n in range(2, EPOCHS))])


def rates_of_lightning(scheduler: dict[str, Any]) -> list[float]:
    """Return the learning rate with which each epoch of Lightning's own loop begins."""
    module = MLP(
        input_shape=(4,),
        classes=3,
        widths=(5,),
        optimizer={"name": "momentum", "learning_rate": 0.1},
        scheduler=scheduler,
    )
    batches = DataLoader(TensorDataset(torch.randn(12, 4), torch.arange(12) % 3), batch_size=4)
    rates = Rates()
    lightning_trainer(max_epochs=EPOCHS, accelerator="cpu", callbacks=[rates]).fit(
        module, batches, batches
    )
    return rates.found


def test_without_a_schedule_a_module_gives_its_optimizer_alone() -> None:
    module = MLP(input_shape=(4,), classes=3)
    assert isinstance(module.configure_optimizers(), torch.optim.Adam)


def test_a_run_with_a_schedule_trains_alone_and_says_why(make_run: MakeRun) -> None:
    settings = {**DIGITS, "training": {"steps": 3, "batch_size": None}}
    assert why_alone(make_run(**settings).config) == ""
    run = make_run(**settings, scheduler={"name": "exponential", "gamma": 0.5})
    assert why_alone(run.config, accelerator=True) == "scheduler exponential does not stack"


def test_several_devices_refuse_it(make_run: MakeRun) -> None:
    run = make_run(**DIGITS, scheduler={"name": "exponential", "gamma": 0.5})
    dataset = DATASETS.get("digits")
    with pytest.raises(ValueError, match="scheduler: 'exponential' is for a run on one device"):
        validate_module(single.build_module(run, dataset), run, dataset, devices=2)


def test_wrong_settings_of_a_module() -> None:
    assert scheduler_settings(None) is None
    with pytest.raises(ValueError, match="unknown scheduler 'cosin'; nearest: 'cosine'"):
        scheduler_settings({"name": "cosin"})
    with pytest.raises(ValueError, match="scheduler 'cosine': T_max: expected a value"):
        scheduler_settings({"name": "cosine"})
    with pytest.raises(ValueError, match=r"interval: expected Literal\['epoch', 'step'\]"):
        scheduler_settings({"name": "exponential", "gamma": 0.5, "interval": "batch"})
