"""A module of a user's own is fitted as a plain ``pl.Trainer`` fits it, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset

from ablation_lab.data import DATASETS
from ablation_lab.study.run import Role, Run, Stack, TrainerName, stream
from ablation_lab.study.stacking import why_alone
from ablation_lab.training import single
from ablation_lab.training.trained import Trained
from ablation_lab.training.validate import validate_stack
from tests.training.own_modules import registered
from tests.training.plain_modules import (
    COMPARED,
    FAMILY,
    PerEpoch,
    PerStep,
    Plain,
    Stopping,
    Writing,
)
from tests.training.stacks import data_of

MakeRun = Callable[..., Run]


class Permuted(Sampler[int]):
    """A new permutation in each epoch, without what fills no batch."""

    def __init__(self, examples: int, used: int, seed: int) -> None:
        self.examples, self.used = examples, used
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.used

    def __iter__(self) -> Iterator[int]:
        yield from torch.randperm(self.examples, generator=self.generator).tolist()[: self.used]


def plainly(run: Run, **settings: Any) -> tuple[Any, pl.Trainer]:
    """Fit the run's module without the lab, from the seeds that the lab documents."""
    data, budget = data_of(run), run.config["training"]
    module = single.build_module(run, DATASETS.get("digits"))
    drawn = stream(run.seed, Role.DROPOUT, run.replicate)
    random.seed(drawn)
    np.random.seed(drawn % 2**32)
    torch.manual_seed(drawn)
    seed, size = stream(run.seed, Role.ORDER, run.replicate), budget["batch_size"]
    train, validation = (
        TensorDataset(torch.from_numpy(part.x), torch.from_numpy(part.y))
        for part in (data.train, data.validation)
    )
    # A loader without a generator of its own draws from the global one.
    own = {"generator": torch.Generator()}
    trainer = pl.Trainer(
        max_epochs=budget["epochs"],
        max_steps=budget["steps"] or -1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    drop = budget.get("drop_last", True)
    sampler = Permuted(len(train), len(train) // size * size if drop else len(train), seed)
    trainer.fit(
        module,
        DataLoader(train, batch_size=size, sampler=sampler, drop_last=drop, **own),
        DataLoader(validation, batch_size=1000, **own),
    )
    return module, trainer


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Run], tuple[Trained, Any]]]:
    """Return the lab's fit, which gives the module too."""
    built: list[Any] = []
    build = single.build_module

    def keep(*arguments: Any) -> Any:
        built.append(build(*arguments))
        return built[-1]

    def train(run: Run) -> tuple[Trained, Any]:
        with monkeypatch.context() as patch:
            patch.setattr(single, "build_module", keep)
            return single.train(run, data_of(run), DATASETS.get("digits")), built[-1]

    with registered(FAMILY):
        yield train


def settings(family: type, **budget: Any) -> dict[str, Any]:
    return {
        "data": {"name": "digits", "train_size": 70},
        "model": {"family": f"test_{family.__name__.lower()}"},
        "training": {"batch_size": 16, **budget},
    }


@pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")
@pytest.mark.filterwarnings("ignore:.*training_step. returned .None:UserWarning")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec")
@pytest.mark.parametrize(
    "budget",
    [{"epochs": 5}, {"steps": 11}, {"epochs": 3, "drop_last": False}],
    ids=["epochs", "steps", "remainder"],
)
@pytest.mark.parametrize("family", COMPARED)
def test_parameters_hooks_and_values_are_those_of_a_plain_trainer(
    make_run: MakeRun,
    fit: Callable[[Run], tuple[Trained, Any]],
    family: type[Plain],
    budget: dict[str, int],
) -> None:
    run = make_run(**settings(family, **budget))
    trained, module = fit(run)
    expected, trainer = plainly(run)
    assert module.seen == expected.seen
    assert module.asked == expected.asked
    assert list(module.state_dict()) == list(expected.state_dict())
    assert all(map(torch.equal, module.state_dict().values(), expected.state_dict().values()))
    for ours, theirs in zip(module.trainer.optimizers, trainer.optimizers, strict=True):
        assert [g["lr"] for g in ours.param_groups] == [g["lr"] for g in theirs.param_groups]
    for name in ("own_loss", "own_validation"):
        at, value = trained.curves[name][-1]
        assert at == trained.steps
        assert value == pytest.approx(float(trainer.callback_metrics[name]), abs=0)
    assert trained.finite


@pytest.mark.parametrize(
    "given",
    [
        {"accumulate_grad_batches": 2, "gradient_clip_val": 0.1},
        {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
        {"precision": "bf16-mixed"},
        {"val_check_interval": 0.5, "num_sanity_val_steps": 0},
        {"check_val_every_n_epoch": 2, "limit_train_batches": 3, "log_every_n_steps": 1},
        {"overfit_batches": 2, "min_epochs": 2, "deterministic": True},
    ],
    ids=lambda given: next(iter(given)),
)
@pytest.mark.parametrize("budget", [{"epochs": 4}, {"steps": 7}], ids=["epochs", "steps"])
@pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")
@pytest.mark.filterwarnings("ignore:.*requested to overfit:UserWarning")
def test_arguments_of_a_trainer_are_heeded(
    make_run: MakeRun,
    fit: Callable[[Run], tuple[Trained, Any]],
    budget: dict[str, int],
    given: dict[str, Any],
) -> None:
    run = make_run(**settings(PerStep, **budget, trainer=given))
    usual, other = fit(make_run(**settings(PerStep, **budget)))
    trained, module = fit(run)
    expected, trainer = plainly(run, **given)
    assert module.seen == expected.seen
    assert all(map(torch.equal, module.state_dict().values(), expected.state_dict().values()))
    assert trained.steps == trainer.global_step
    assert (trained.curves, module.seen) != (usual.curves, other.seen)


def test_a_family_of_the_lab_trains_by_arguments_of_a_trainer(
    make_run: MakeRun, fit: Callable[[Run], tuple[Trained, Any]]
) -> None:
    tiny = {"gradient_clip_val": 1e-30, "gradient_clip_algorithm": "value"}
    run = make_run(
        data={"name": "digits", "train_size": 70},
        model={"family": "mlp", "widths": [4], "init": "lsuv"},
        training={"epochs": 2, "batch_size": 16, "trainer": tiny},
    )
    trained, module = fit(run)
    assert why_alone(run.config).startswith("a trainer with settings of its own")
    assert isinstance(module.trainer.optimizers[0], torch.optim.SGD)
    (_, first), (_, last) = trained.curves["val_loss"]
    # Gradients are cut to nothing, so that nothing is learned but for LSUV before the first step.
    assert first == last


def test_what_a_trainer_refuses_is_one_line_before_training(make_run: MakeRun) -> None:
    wrong = {"gradient_clip_algorithm": "sideways", "gradient_clip_val": 1.0}
    with registered(FAMILY):
        run = make_run(**settings(Plain, epochs=1, trainer=wrong))
        said = validate_stack(Stack((run,), TrainerName.SINGLE, "a test"))
    assert said.startswith("study/small.yaml: c: training.trainer: ")
    assert "sideways" in said
    assert "\n" not in said


def test_a_schedule_counts_epochs(
    make_run: MakeRun, fit: Callable[[Run], tuple[Trained, Any]]
) -> None:
    _, module = fit(make_run(**settings(PerEpoch, epochs=40)))
    assert module.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1**21)
    assert module.trainer.current_epoch == 40


def test_curves_are_thinned_and_end_with_the_last_step(
    make_run: MakeRun, fit: Callable[[Run], tuple[Trained, Any]]
) -> None:
    trained, _ = fit(make_run(**settings(Plain, epochs=40)))
    steps = [step for step, _ in trained.curves["val_accuracy"]]
    assert 10 < len(steps) <= 30
    assert (steps[0], steps[-1]) == (4, trained.steps)
    for name, curve in trained.curves.items():
        assert [step for step, _ in curve] == steps, name
    stopped, _ = fit(make_run(**settings(Stopping, epochs=40)))
    assert stopped.steps < 40
    assert {curve[-1][0] for curve in stopped.curves.values()} == {stopped.steps}


def test_a_module_finds_a_logger_that_keeps_nothing(
    make_run: MakeRun, fit: Callable[[Run], tuple[Trained, Any]]
) -> None:
    trained, module = fit(make_run(**settings(Writing, epochs=2)))
    assert trained.finite
    assert module.trainer.logger is not None
