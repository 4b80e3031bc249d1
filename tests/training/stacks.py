"""Runs trained in a stack and alone, held against each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ablation_lab.data import DATASETS, TrainingData, load
from ablation_lab.study.run import Role, Run, stream
from ablation_lab.training import in_memory, single, stacked
from ablation_lab.training.descent import Descent
from ablation_lab.training.minibatch import MiniBatch
from ablation_lab.training.order import Order
from ablation_lab.training.trained import Trained

MakeRun = Callable[..., Run]
Values = list[Tensor]

# A small run on mini-batches.
DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 60},
    "training": {"epochs": 3, "batch_size": 20, "loss": "stable"},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "model__widths": [6, 5],
}

# Both compute in float32 but add in another order, which is 1e-7 relative for each operation; 200
# steps of descent carry that on. Measured over these cases: at most 2e-6.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


class Watched:
    """Keeps what the trainers build, with the values that the parameters start from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.modules: list[Any] = []
        self.starts: list[Values] = []
        self.programs: list[Descent | MiniBatch] = []
        self.program_starts: list[list[Values]] = []
        fit, program = in_memory.fit, stacked.program_of

        def fit_and_keep(module: Any, data: TrainingData, *rest: Any) -> Trained:
            module.prepare(first_batch(self.run, data))
            self.modules.append(module)
            self.starts.append([p.detach().clone() for p in module.parameters()])
            return fit(module, data, *rest)

        def program_and_keep(*arguments: Any) -> Any:
            self.programs.append(program(*arguments))
            self.program_starts.append(
                [as_solo(self.programs[-1], k) for k in range(self.programs[-1].size)]
            )
            return self.programs[-1]

        monkeypatch.setattr(in_memory, "fit", fit_and_keep)
        monkeypatch.setattr(stacked, "program_of", program_and_keep)

    def train_single(self, run: Run) -> Trained:
        self.run = run
        return train_single(run)


def first_batch(run: Run, data: TrainingData) -> Tensor:
    """Return the batch that a data-dependent initialisation sees."""
    batch, seed = run.config["training"]["batch_size"], stream(run.seed, Role.ORDER, run.replicate)
    rows = next(iter(Order(examples=len(data.train), batch_size=batch, seed=seed)))
    x = torch.from_numpy(data.train.x)
    return x if rows is None else x[rows]


def data_of(run: Run) -> TrainingData:
    return _data(run.config["data"]["name"], run.config["data"]["train_size"])


@cache
def _data(name: str, train_size: int | None) -> TrainingData:
    return load(name, train_size=train_size)[0]


def train_stack(runs: list[Run]) -> list[Trained]:
    return stacked.train(runs, data_of(runs[0]), DATASETS.get(runs[0].config["data"]["name"]))


def train_single(run: Run) -> Trained:
    """Train a run by itself, as the plan would have it."""
    return single.train(run, data_of(run), DATASETS.get(run.config["data"]["name"]))


def as_solo(program: Descent | MiniBatch, index: int) -> Values:
    """Return copies of one run's parameters as its module has them: weight, bias, weight, ..."""
    own = program.of_run(index)[: program.parameters_of_one]
    values = [value.clone() for value in own]
    if isinstance(program, MiniBatch):
        return values
    layers = len(values) // 2
    pairs = zip(values[:layers], values[layers:], strict=True)
    return [one for weight, bias in pairs for one in (weight.t(), bias)]


def compare(monkeypatch: pytest.MonkeyPatch, runs: list[Run], *, program: type) -> list[Trained]:
    """Hold runs that train in a stack against the same runs alone; return those of the stack."""
    watched = Watched(monkeypatch)
    together = train_stack(runs)
    assert isinstance(watched.programs[0], program)
    for index, run in enumerate(runs):
        alone = watched.train_single(run)
        start = watched.program_starts[0][index]
        assert all(map(torch.equal, watched.starts[-1], start)), "initial draw, bit for bit"
        end = as_solo(watched.programs[0], index)
        for one, other in zip(watched.modules[-1].parameters(), end, strict=True):
            torch.testing.assert_close(one.detach().cpu(), other.cpu(), **TOLERANCE)
        same_result(together[index], alone)
        assert together[index].finite
        assert together[index].facts["device"] == alone.facts["device"]
        x = data_of(run).validation.x
        # Not pytest.approx, which takes longer over an array than both trainers took.
        np.testing.assert_allclose(
            together[index].predict(x), alone.predict(x), rtol=1e-3, atol=1e-4
        )
    return together


def same_result(one: Trained, other: Trained) -> None:
    """Hold curves, steps and the selected step of two runs together; an accuracy is exact."""
    assert set(one.curves) == set(other.curves)
    for name, points in other.curves.items():
        margin = 0.0 if name.endswith("accuracy") else 1e-4
        assert [at for at, _ in one.curves[name]] == [at for at, _ in points]
        values = [value for _, value in points]
        found = [value for _, value in one.curves[name]]
        assert found == pytest.approx(values, rel=margin, abs=margin / 10 + 1e-7)
    assert (one.steps, one.selected_step) == (other.steps, other.selected_step)
    assert (one.parameters, one.task) == (other.parameters, other.task)


def losses(trained: Trained) -> list[float]:
    return [loss for _, loss in trained.curves["train_loss"]]
