"""The truth test of the trainers: a stack of K runs is K solo runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.data import DATASETS, TrainingData, load
from experiments.planning.plan import descends_innermost
from experiments.run import Run
from experiments.seeds import Role, stream
from experiments.trainers import descent, resident, solo, stacked
from experiments.trainers.descent import Descent
from experiments.trainers.minibatch import MiniBatch
from experiments.trainers.order import Order
from experiments.trainers.trained import Trained
from lightning_modules.classifier import Classifier
from lightning_modules.stack import MLPStack

MakeRun = Callable[..., Run]
Values = list[Tensor]

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
        fit, program = resident.fit, stacked.program_of

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

        monkeypatch.setattr(resident, "fit", fit_and_keep)
        monkeypatch.setattr(stacked, "program_of", program_and_keep)

    def train_solo(self, run: Run) -> Trained:
        self.run = run
        return train_solo(run)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Return what the trainers build during the test."""
    return Watched(monkeypatch)


def first_batch(run: Run, data: TrainingData) -> Tensor:
    """Return the batch that a data-dependent initialisation sees."""
    batch, seed = run.config["training"]["batch_size"], stream(run.seed, Role.ORDER, run.replicate)
    rows = next(iter(Order(examples=len(data.train), batch_size=batch, seed=seed)))
    x = torch.from_numpy(data.train.x)
    return x if rows is None else x[rows]


def data_of(run: Run) -> TrainingData:
    section = run.config["data"]
    return load(section["name"], train_size=section["train_size"])[0]


def train_stack(runs: list[Run]) -> list[Trained]:
    return stacked.train(runs, data_of(runs[0]), DATASETS.get(runs[0].config["data"]["name"]))


def train_solo(run: Run) -> Trained:
    return solo.train(run, data_of(run), DATASETS.get(run.config["data"]["name"]))


def as_solo(program: Descent | MiniBatch, index: int) -> Values:
    """Return copies of one run's parameters as its module has them: weight, bias, weight, ..."""
    values = [value.clone() for value in program.of_run(index)]
    if isinstance(program, MiniBatch):
        return values
    layers = len(values) // 2
    pairs = zip(values[:layers], values[layers:], strict=True)
    return [one for weight, bias in pairs for one in (weight.t(), bias)]


def compare(watched: Watched, runs: list[Run], *, program: type) -> None:
    together = train_stack(runs)
    assert isinstance(watched.programs[0], program)
    for index, run in enumerate(runs):
        alone = watched.train_solo(run)
        start = watched.program_starts[0][index]
        assert all(map(torch.equal, watched.starts[-1], start)), "initial draw, bit for bit"
        end = as_solo(watched.programs[0], index)
        for one, other in zip(watched.modules[-1].parameters(), end, strict=True):
            torch.testing.assert_close(one.detach(), other, **TOLERANCE)
        for name, margin in (("train_loss", 1e-4), ("val_accuracy", 0.0)):
            assert [at for at, _ in together[index].curves[name]] == [
                at for at, _ in alone.curves[name]
            ]
            for (_, one_value), (_, other_value) in zip(
                together[index].curves[name], alone.curves[name], strict=True
            ):
                assert one_value == pytest.approx(other_value, rel=margin, abs=margin / 10 + 1e-7)
        assert together[index].steps == alone.steps
        assert together[index].parameters == alone.parameters
        assert together[index].finite
        x = data_of(run).validation.x
        assert together[index].predict(x) == pytest.approx(alone.predict(x), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("activation", "loss", "l2"),
    [
        (activation, loss, 0.01 * ((i + j) % 2))  # every pair of the three
        for i, activation in enumerate(["sigmoid", "relu", "tanh", "maxout"])
        for j, loss in enumerate(["printed", "stable"])
    ],
)
def test_a_stack_is_its_runs(
    watched: Watched, make_run: MakeRun, activation: str, loss: str, l2: float
) -> None:
    # Runs of one stack may differ in initialisation, rate, seed and replicate.
    other = {"model__init": "he_normal" if l2 else "orthonormal", "model__bias_init": "zeros"}
    differences: list[dict[str, Any]] = [
        {"model__init": "normal"},
        {**other, "replicate": 1, "seed": 5, "optimizer__learning_rate": 0.03},
    ]
    common = {
        "model__activation": activation,
        "model__widths": [4, 3],
        "training__loss": loss,
        "training__l2": l2,
        "training__steps": 200,
    }
    compare(watched, [make_run(**common, **each) for each in differences], program=Descent)


@pytest.mark.parametrize("loss", ["printed", "stable"])
def test_a_stack_of_several_classes(watched: Watched, make_run: MakeRun, loss: str) -> None:
    common = {
        "data": {"name": "digits", "train_size": 40},
        "model": {"family": "linear", "init": "normal_001"},
        "training__loss": loss,
        "training__steps": 200,
    }
    compare(watched, [make_run(replicate=n, **common) for n in range(2)], program=Descent)


# Each of the choices that a mini-batch stack has, most of them in pairs.
DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 60},
    "training": {"epochs": 3, "batch_size": 20, "loss": "stable"},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "model__widths": [6, 5],
}


@pytest.mark.parametrize(
    "settings",
    [
        {"model__activation": "relu", "model__init": "lsuv"},
        {"model__activation": "maxout", "model__init": "lsuv", "training__l2": 0.01},
        {"model__activation": "sigmoid", "optimizer": {"name": "sgd", "learning_rate": 0.1}},
        {"model__activation": "tanh", "optimizer": {"name": "momentum", "learning_rate": 0.05}},
        {"model__activation": "softsign", "optimizer": {"name": "rmsprop", "learning_rate": 0.01}},
        {"model__activation": "very_leaky_relu", "training__loss": "printed"},
        {"model__init": "xavier_uniform", "optimizer": {"name": "adagrad", "learning_rate": 0.1}},
        {"model__init": "he_normal", "optimizer": {"name": "adadelta", "learning_rate": 1.0}},
        {"model__init": "orthonormal", "training": {"epochs": 5, "loss": "stable"}},
        {"model__init": "normal_001", "training": {"steps": 10, "batch_size": 25}},
        {"model": {"family": "linear"}},
        {"model": {"family": "convnet", "channels": [3, 4], "conv_bias": True, "dense": [5]}},
        {"model": {"family": "convnet", "channels": [2], "activation": "maxout", "init": "lsuv"}},
    ],
    ids=lambda settings: " ".join(f"{k.rpartition('_')[2]}={v}" for k, v in settings.items()),
)
def test_a_stack_on_mini_batches_is_its_runs(
    watched: Watched, make_run: MakeRun, settings: dict[str, Any]
) -> None:
    common = {key: value for key, value in DIGITS.items() if not _replaced(key, settings)}
    runs = [make_run(replicate=n, **common, **settings) for n in range(3)]
    compare(watched, runs, program=MiniBatch)


def _replaced(key: str, settings: dict[str, Any]) -> bool:
    return key in settings or (key.startswith("model__") and "model" in settings)


def test_runs_of_a_stack_may_differ_in_initialisation_loss_and_l2(
    watched: Watched, make_run: MakeRun
) -> None:
    differences: list[dict[str, Any]] = [
        {"model__init": "normal"},
        {"model__init": "lsuv", "training__loss": "printed"},
        {"model__init": "zeros", "training__l2": 0.1, "replicate": 4},
    ]
    compare(watched, [make_run(**DIGITS, **each) for each in differences], program=MiniBatch)


def losses(trained: Trained) -> list[float]:
    return [loss for _, loss in trained.curves["train_loss"]]


def test_dropout_masks_belong_to_the_run(make_run: MakeRun) -> None:
    keeps = [0.5, 1.0, 0.8, 0.5]
    runs = [make_run(replicate=n, model__keep_prob=k, **DIGITS) for n, k in enumerate(keeps)]
    every, few = train_stack(runs), train_stack([runs[3], runs[0]])
    for one, other in ((every[3], few[0]), (every[0], few[1])):
        assert losses(one) == pytest.approx(losses(other), rel=1e-5)
    # The run that keeps every unit is the solo run, whatever its neighbours drop.
    assert losses(every[1]) == pytest.approx(losses(train_solo(runs[1])), rel=1e-5)
    # Two replicates and two keep_probs drop different units.
    assert losses(every[0]) != losses(every[3])


def test_dropout_is_that_of_a_solo_run_in_distribution(make_run: MakeRun) -> None:
    """Mean final loss of 60 replicates each way, within four standard errors of the difference."""
    runs = [make_run(replicate=n, model__keep_prob=0.6, **DIGITS) for n in range(60)]
    together = [trained.curves["train_loss"][-1][1] for trained in train_stack(runs)]
    alone = [train_solo(run).curves["train_loss"][-1][1] for run in runs]
    # Replicates share their draw and their order, so that the difference is paired.
    difference = torch.tensor(together) - torch.tensor(alone)
    error = float(difference.std()) / len(runs) ** 0.5
    assert 0 < abs(float(difference.mean())) < 4 * error


class Full(torch.OutOfMemoryError):
    """What an accelerator raises when its memory is full."""


def test_a_stack_that_does_not_fit_is_trained_in_halves(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(replicate=n, **DIGITS) for n in range(5)]
    whole = train_stack(runs)
    fits, tried = stacked._train_together, []

    def small(some: list[Run], *rest: Any) -> list[Trained]:
        tried.append(len(some))
        if len(some) > 2:
            raise Full
        return fits(some, *rest)

    monkeypatch.setattr(stacked, "_train_together", small)
    parts = train_stack(runs)
    assert tried == [5, 2, 3, 1, 2]
    for one, other in zip(whole, parts, strict=True):
        assert losses(one) == pytest.approx(losses(other), rel=1e-5)
    monkeypatch.setattr(stacked, "_train_together", lambda *_: (_ for _ in ()).throw(Full()))
    with pytest.raises(torch.OutOfMemoryError):
        train_stack(runs[:1])


def test_a_run_that_diverges_disturbs_no_neighbour(make_run: MakeRun) -> None:
    common: dict[str, Any] = {"model__activation": "relu", "training__steps": 300}
    runs = [make_run(replicate=n, **common) for n in range(4)]
    wild = make_run(replicate=2, optimizer__learning_rate=1e4, **common)
    calm, disturbed = train_stack(runs), train_stack([*runs[:2], wild, runs[3]])
    assert not disturbed[2].finite
    assert 1 <= (disturbed[2].nonfinite_step or 0) <= 300
    x = data_of(wild).validation.x
    alone = train_solo(wild)
    assert (disturbed[2].steps, disturbed[2].nonfinite_step) == (alone.steps, alone.nonfinite_step)
    assert [at for at, _ in disturbed[2].curves["train_loss"]] == [
        at for at, _ in alone.curves["train_loss"]
    ]
    for index in (0, 1, 3):
        assert disturbed[index].finite
        assert disturbed[index].nonfinite_step is None
        assert disturbed[index].curves == calm[index].curves
        assert disturbed[index].predict(x).tolist() == calm[index].predict(x).tolist()


def test_the_first_step_that_is_not_finite_is_that_of_the_solo_run(make_run: MakeRun) -> None:
    common: dict[str, Any] = {"optimizer__learning_rate": 1e4, "training__steps": 300}
    run = make_run(model__activation="relu", **common)
    (together,), alone = train_stack([run]), train_solo(run)
    assert together.nonfinite_step == alone.nonfinite_step
    assert alone.nonfinite_step is not None


def test_a_stack_does_not_depend_on_its_size_or_order(make_run: MakeRun) -> None:
    runs = [make_run(replicate=n, training__steps=100) for n in range(5)]
    forward, backward = train_stack(runs), train_stack(runs[::-1])[::-1]
    for one, other in zip(forward, backward, strict=True):
        # Vector lanes may round another way.
        assert one.curves["train_loss"][-1][1] == pytest.approx(
            other.curves["train_loss"][-1][1], rel=1e-5
        )


# Torch's own, about its own code, when its compiler is imported.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs g++, which is missing")
def test_compiled_is_eager(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [make_run(replicate=n, model__widths=[2]) for n in range(4)]
    results = []
    for compiled in (True, False):
        monkeypatch.setattr(descent, "worth_compiling", lambda _, choice=compiled: choice)
        results.append(train_stack(runs))
    for one, other in zip(*results, strict=True):
        assert (one.facts["compiled"], other.facts["compiled"]) == ("true", "false")
        for (_, fast), (_, slow) in zip(
            one.curves["train_loss"], other.curves["train_loss"], strict=True
        ):
            # A compiler may fuse and reorder float32 operations.
            assert fast == pytest.approx(slow, rel=1e-5)


def test_the_innermost_stack_refuses_another_network(make_run: MakeRun) -> None:
    run = make_run(data__name="digits", model={"family": "convnet", "channels": [2]})
    module = solo.build_module(run, DATASETS.get("digits"))
    assert isinstance(module, Classifier)
    assert not descends_innermost(run.config)
    with pytest.raises(TypeError, match="a stack needs an MLPNetwork, found ConvNetNetwork"):
        MLPStack([module])


def test_the_innermost_stack_refuses_dropout(make_run: MakeRun) -> None:
    run = make_run(model__keep_prob=0.5)
    module = solo.build_module(run, DATASETS.get("xor"))
    assert isinstance(module, Classifier)
    assert not descends_innermost(run.config)
    with pytest.raises(ValueError, match="a stack has no dropout"):
        MLPStack([module])
