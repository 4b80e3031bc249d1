"""The truth test of the trainers: a stack of K runs is K solo runs."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.data import DATASETS, TrainingData, load
from experiments.run import Run
from experiments.trainers import solo, stacked
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
        self.stacks: list[MLPStack] = []
        self.stack_starts: list[Values] = []
        build = solo.build_module

        def build_and_keep(*arguments: Any) -> Any:
            module = build(*arguments)
            self.modules.append(module)
            self.starts.append([p.detach().clone() for p in module.parameters()])
            return module

        def stack_and_keep(modules: list[Classifier]) -> MLPStack:
            stack = MLPStack(modules)
            self.stacks.append(stack)
            self.stack_starts.append([p.detach().clone() for p in stack.parameters()])
            return stack

        monkeypatch.setattr(solo, "build_module", build_and_keep)
        monkeypatch.setattr(stacked, "MLPStack", stack_and_keep)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Return what the trainers build during the test."""
    return Watched(monkeypatch)


def data_of(run: Run) -> TrainingData:
    section = run.config["data"]
    return load(section["name"], train_size=section["train_size"])[0]


def train_stack(runs: list[Run]) -> list[Trained]:
    return stacked.train(runs, data_of(runs[0]), DATASETS.get(runs[0].config["data"]["name"]))


def train_solo(run: Run) -> Trained:
    return solo.train(run, data_of(run), DATASETS.get(run.config["data"]["name"]))


def as_solo(values: Values, index: int) -> Values:
    """Return a stack's (weights..., biases...) of one run as a module's (weight, bias, ...)."""
    layers = len(values) // 2
    pairs = zip(values[:layers], values[layers:], strict=True)
    return [one for w, b in pairs for one in (w[..., index].t(), b[..., index])]


def compare(watched: Watched, runs: list[Run]) -> None:
    together = train_stack(runs)
    for index, run in enumerate(runs):
        alone = train_solo(run)
        start = as_solo(watched.stack_starts[0], index)
        assert all(map(torch.equal, watched.starts[-1], start)), "initial draw, bit for bit"
        end = as_solo([p.detach() for p in watched.stacks[0].parameters()], index)
        for one, other in zip(watched.modules[-1].parameters(), end, strict=True):
            torch.testing.assert_close(one.detach(), other, **TOLERANCE)
        assert [at for at, _ in together[index].curves["train_loss"]] == [
            at for at, _ in alone.curves["train_loss"]
        ]
        for (_, one_loss), (_, other_loss) in zip(
            together[index].curves["train_loss"], alone.curves["train_loss"], strict=True
        ):
            assert one_loss == pytest.approx(other_loss, rel=1e-4, abs=1e-5)
        assert together[index].curves["val_accuracy"] == alone.curves["val_accuracy"]
        assert together[index].steps == alone.steps == 200
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
    compare(watched, [make_run(**common, **each) for each in differences])


@pytest.mark.parametrize("loss", ["printed", "stable"])
def test_a_stack_of_several_classes(watched: Watched, make_run: MakeRun, loss: str) -> None:
    common = {
        "data": {"name": "digits", "train_size": 40},
        "model": {"family": "linear", "init": "normal_001"},
        "training__loss": loss,
        "training__steps": 200,
    }
    compare(watched, [make_run(replicate=n, **common) for n in range(2)])


def test_a_run_that_diverges_disturbs_no_neighbour(make_run: MakeRun) -> None:
    common: dict[str, Any] = {"model__activation": "relu", "training__steps": 300}
    runs = [make_run(replicate=n, **common) for n in range(4)]
    wild = make_run(replicate=2, optimizer__learning_rate=1e4, **common)
    calm, disturbed = train_stack(runs), train_stack([*runs[:2], wild, runs[3]])
    assert not disturbed[2].finite
    assert 1 <= (disturbed[2].nonfinite_step or 0) <= 300
    x = data_of(wild).validation.x
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
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs g++, which is missing")
def test_compiled_is_eager(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [make_run(replicate=n, model__widths=[2]) for n in range(4)]
    results = []
    for compiled in (True, False):
        monkeypatch.setattr(stacked, "_worth_compiling", lambda *_, choice=compiled: choice)
        results.append(train_stack(runs))
    for one, other in zip(*results, strict=True):
        assert (one.facts["compiled"], other.facts["compiled"]) == ("true", "false")
        for (_, fast), (_, slow) in zip(
            one.curves["train_loss"], other.curves["train_loss"], strict=True
        ):
            # A compiler may fuse and reorder float32 operations.
            assert fast == pytest.approx(slow, rel=1e-5)


def test_another_network_is_refused(make_run: MakeRun) -> None:
    run = make_run(data__name="digits", model={"family": "convnet", "channels": [2]})
    with pytest.raises(TypeError, match="a stack needs an MLPNetwork, found ConvNetNetwork"):
        train_stack([run])


def test_dropout_is_refused(make_run: MakeRun) -> None:
    config = make_run(model__keep_prob=0.5)
    with pytest.raises(ValueError, match="a stack has no dropout"):
        train_stack([config, dataclasses.replace(config, replicate=1)])
