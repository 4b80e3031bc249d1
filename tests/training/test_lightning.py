"""A module of a user's own trains as Lightning trains it, on the same order of examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ablation_lab.data import DATASETS, load
from ablation_lab.study.run import Run
from ablation_lab.training import single
from ablation_lab.training.trained import Trained
from lightning_modules.mlp import Linear
from lightning_modules.registry import FAMILIES
from tests.training.stacks import data_of

MakeRun = Callable[..., Run]


class Foreign(pl.LightningModule):
    """A softmax regression as somebody else would write it; it starts as ours does."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        twin = Linear(init="normal_001", **settings).network.linears[0]
        self.layer = nn.Linear(twin.in_features, twin.out_features)
        self.layer.load_state_dict(twin.state_dict())
        self.rate = settings["optimizer"]["learning_rate"]

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x.flatten(1))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.rate)


class Diverging(Foreign):
    """Its loss is not a number from the fifth step on."""

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        loss = super().training_step(batch, _)
        return loss * (float("nan") if self.global_step >= 4 else 1.0)


class OwnOptimisation(Foreign):
    """It steps its optimiser itself and returns nothing; ``tells`` says whether it logs a loss."""

    tells = True

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:  # type: ignore[override]
        loss = super().training_step(batch, _)
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        if self.tells:
            self.log("train_loss", loss)


class Silent(OwnOptimisation):
    tells = False


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], Trained]:
    """Return the solo trainer, which knows the foreign families during the test."""
    for family in (Foreign, Diverging, OwnOptimisation, Silent):
        monkeypatch.setitem(FAMILIES._things, family.__name__, family)
    data, _ = load("digits", train_size=60)
    return lambda run: single.train(run, data, DATASETS.get("digits"))


def right_answers(trained: Trained, run: Run) -> list[tuple[int, int]]:
    """Return step and number of right answers of each point: devices round a mean differently."""
    examples = len(data_of(run).validation)
    return [(step, round(value * examples)) for step, value in trained.curves["val_accuracy"]]


def of_family(run: Run, family: str) -> Run:
    config = {**run.config, "model": {"family": family}}
    return Run(**{**vars(run), "config": config})


@pytest.mark.parametrize(
    "training", [{"epochs": 3, "batch_size": 16}, {"steps": 20}, {"steps": 20, "batch_size": 16}]
)
def test_it_is_our_own_module_trained_the_same(
    make_run: MakeRun, train: Callable[[Run], Trained], training: dict[str, Any]
) -> None:
    ours = make_run(
        data={"name": "digits", "train_size": 60},
        model={"family": "linear", "init": "normal_001"},
        training={**training, "loss": "stable"},
    )
    reference, found = train(ours), train(of_family(ours, "Foreign"))
    assert found.steps == reference.steps
    assert found.parameters == reference.parameters
    assert found.finite
    assert right_answers(found, ours) == right_answers(reference, ours)
    for (at, one), (where, other) in zip(
        found.curves["train_loss"], reference.curves["train_loss"], strict=True
    ):
        assert at == where
        # Float32 sums in another order: a few parts in a million.
        assert one == pytest.approx(other, rel=1e-5)


def test_a_loss_that_is_not_finite_stops_it(
    make_run: MakeRun, train: Callable[[Run], Trained]
) -> None:
    run = make_run(data__name="digits", training={"epochs": 9, "batch_size": 16})
    found = train(of_family(run, "Diverging"))
    assert not found.finite
    assert found.nonfinite_step == 5
    assert found.steps < 27


def test_a_module_that_optimises_by_itself_trains_the_same(
    make_run: MakeRun, train: Callable[[Run], Trained]
) -> None:
    ours = make_run(
        data={"name": "digits", "train_size": 60},
        model={"family": "linear", "init": "normal_001"},
        training={"epochs": 3, "batch_size": 16, "loss": "stable"},
    )
    reference, found = train(ours), train(of_family(ours, "OwnOptimisation"))
    assert found.finite
    assert right_answers(found, ours) == right_answers(reference, ours)
    losses = [value for _, value in reference.curves["train_loss"]]
    # Float32 sums in another order: a few parts in a million.
    assert [value for _, value in found.curves["train_loss"]] == pytest.approx(losses, rel=1e-5)


def test_a_module_that_tells_no_loss_has_no_loss_curve(
    make_run: MakeRun, train: Callable[[Run], Trained]
) -> None:
    ours = make_run(
        data={"name": "digits", "train_size": 60},
        model={"family": "linear", "init": "normal_001"},
        training={"epochs": 2, "batch_size": 16, "loss": "stable"},
    )
    found = train(of_family(ours, "Silent"))
    assert found.finite
    assert "train_loss" not in found.curves or found.curves["train_loss"] == ()
    assert len(found.curves["val_accuracy"]) == 2
