"""Data of any form: arrays, torch Datasets, loaders, a LightningDataModule."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ablation_lab.data import DATASETS, DataError, load, verify
from ablation_lab.study.key import run_key
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Role, Run, Stack, TrainerName, stream
from ablation_lab.study.stacking import why_alone
from ablation_lab.training import execute as worker
from ablation_lab.training import single
from ablation_lab.training.execute import execute, validation_score
from ablation_lab.training.validate import validate_stack
from tests.training import own_data
from tests.training.own_data import ARRAYS, LOADERS, registered_data
from tests.training.own_modules import registered

MakeRun = Callable[..., Run]
PLACES = ("train_dataloaders", "val_dataloaders")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Line(pl.LightningModule):
    """A line between two classes, for batches with and without names."""

    def __init__(self, *, input_shape: tuple[int, ...], classes: int, **_: Any) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Dropout(0.1), nn.Linear(2, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x)
        return logits

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x, y = batch.values() if isinstance(batch, dict) else batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=2.0)


class Scoring(Line):
    """Measures itself."""

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_accuracy", self._right(batch))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_accuracy", self._right(batch))

    def _right(self, batch: Any) -> Tensor:
        x, y = batch.values() if isinstance(batch, dict) else batch
        return (self(x).argmax(-1) == y).float().mean()


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    worker._load.cache_clear()
    worker._training_data.cache_clear()
    with registered([Line, Scoring]), registered_data():
        yield


def run_of(make_run: MakeRun, data: str, family: str = "test_scoring", **changes: Any) -> Run:
    brings = data not in ARRAYS and data != "transformed"
    training = {"epochs": 4, **({} if brings else {"batch_size": 12})}
    return make_run(
        **{
            "data": {"name": f"test_{data}"},
            "model": {"family": family},
            "training": training,
            **changes,
        }
    )


def trained(run: Run) -> Record:
    (record,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
    assert record.status is Status.FINISHED, record.error
    return record


@pytest.mark.parametrize("data", [*ARRAYS, *LOADERS])
def test_any_form_trains_and_is_scored_once(make_run: MakeRun, data: str) -> None:
    run = run_of(make_run, data)
    assert not validate_stack(Stack((run,), TrainerName.SINGLE, "a test"))
    record = trained(run)
    assert record.metrics["test_accuracy"] > 0.7
    assert [step for step, _ in record.curves["val_accuracy"]] == [
        step for step, _ in record.curves["train_loss"]
    ]
    assert record.steps == {"loaders": 16, "with_workers": 16}.get(data, 20)


@pytest.mark.parametrize("data", [*ARRAYS, *LOADERS])
def test_the_same_run_is_the_same_after_any_draws_and_runs(make_run: MakeRun, data: str) -> None:
    run = run_of(make_run, data)
    found = []
    for seed in (1, 2):
        worker._load.cache_clear()
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        found.append(trained(run))
        trained(run_of(make_run, data, replicate=seed))
    assert found[0].curves == found[1].curves
    assert found[0].metrics == found[1].metrics
    assert trained(run_of(make_run, data, replicate=5)).curves != found[0].curves


@pytest.mark.parametrize("data", ["loaders", "module"])
def test_loaders_are_those_of_a_plain_fit(make_run: MakeRun, data: str) -> None:
    run = run_of(make_run, data)
    record = trained(run)
    module = single.build_module(run, DATASETS.get(f"test_{data}"))
    given: Any = getattr(own_data, data)({})
    pl.seed_everything(0, verbose=False)
    drawn = stream(run.seed, Role.DROPOUT, run.replicate)
    random.seed(drawn)
    np.random.seed(drawn % 2**32)
    torch.manual_seed(drawn)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    trainer = pl.Trainer(max_epochs=4, enable_progress_bar=False, **quiet)
    pair = dict(zip(PLACES, given[:2], strict=True)) if data == "loaders" else {}
    fitted = pair or {"datamodule": given}
    tested = {"dataloaders": given[2]} if pair else fitted
    trainer.fit(module, **fitted)
    last = float(trainer.callback_metrics["val_accuracy"])
    (scores,) = trainer.test(module, **tested, verbose=False)
    assert record.metrics["test_accuracy"] == scores["test_accuracy"]
    assert record.curves["val_accuracy"][-1] == (record.steps, last)


def test_what_measures_nothing_itself_is_measured_on_pairs(make_run: MakeRun) -> None:
    assert trained(run_of(make_run, "module", "test_line")).metrics["test_accuracy"] > 0.7
    run = run_of(make_run, "loaders", "test_line")
    (record,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
    assert "give the module a test_step" in record.reason


def test_a_family_of_the_lab_trains_on_loaders(make_run: MakeRun) -> None:
    run = run_of(make_run, "module", "mlp", model={"family": "mlp", "widths": [4]})
    assert why_alone(run.config) == "its data come from loaders, batch by batch"
    assert trained(run).metrics["test_accuracy"] > 0.7


def test_a_run_on_loaders_is_tuned_on_what_it_logs(make_run: MakeRun) -> None:
    stack = Stack((run_of(make_run, "module"),), TrainerName.SINGLE, "a test")
    assert 0 <= validation_score(stack) <= 1
    silent = Stack((run_of(make_run, "module", "test_line"),), TrainerName.SINGLE, "a test")
    with pytest.raises(ValueError, match="log it in the validation_step"):
        validation_score(silent)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"epochs": 1, "batch_size": 3}}, "training.batch_size: the data set brings"),
        ({"training": {"epochs": 1, "patience": 3}}, "training.patience: family"),
        ({"data__train_size": 3}, "data.train_size: the data come from loaders"),
    ],
)
def test_settings_that_loaders_would_ignore_are_refused(
    make_run: MakeRun, changes: dict[str, Any], words: str
) -> None:
    run = run_of(make_run, "loaders", **changes)
    assert words in validate_stack(Stack((run,), TrainerName.SINGLE, "a test"))


def test_loaders_that_are_not_declared_are_refused() -> None:
    declared = DATASETS.get("test_module")
    object.__setattr__(declared, "loaders", False)
    with pytest.raises(DataError, match=r"found Points; .* declare it with loaders=True"):
        load("test_module")


def test_the_key_is_that_of_the_function_that_gives_the_loaders(make_run: MakeRun) -> None:
    keys = {run_key(run_of(make_run, data).config, 0, 0) for data in ("loaders", "with_workers")}
    assert len(keys) == 2


@pytest.mark.parametrize("name", [*ARRAYS, *LOADERS])
def test_a_data_set_of_any_form_is_verified(name: str) -> None:
    verify(f"test_{name}")
