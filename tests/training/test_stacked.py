"""The truth test of the trainers: a stack of K runs is K solo runs. Here: runs innermost."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
from torch import Tensor

from ablation_lab.data import DATASETS
from ablation_lab.study.stacking import descends_innermost
from ablation_lab.training import descent, single
from ablation_lab.training.descent import Compiled, Descent
from lightning_modules.families import Classifier
from lightning_modules.losses import Loss
from lightning_modules.registry import ACTIVATIONS
from lightning_modules.stack import MLPStack
from tests.training.stacks import (
    MakeRun,
    compare,
    data_of,
    train_single,
    train_stack,
)


@pytest.mark.parametrize(
    ("activation", "loss", "l2"),
    [
        (activation, loss, 0.01 * ((i + j) % 2))  # every pair of the three
        for i, activation in enumerate(ACTIVATIONS.names())
        for j, loss in enumerate(Loss)
    ],
)
def test_a_stack_is_its_runs(
    monkeypatch: pytest.MonkeyPatch, make_run: MakeRun, activation: str, loss: str, l2: float
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
    compare(monkeypatch, [make_run(**common, **each) for each in differences], program=Descent)


@pytest.mark.parametrize("loss", ["unclipped", "stable"])
def test_a_stack_of_several_classes(
    monkeypatch: pytest.MonkeyPatch, make_run: MakeRun, loss: str
) -> None:
    common = {
        "data": {"name": "digits", "train_size": 40},
        "model": {"family": "linear", "init": "normal_001"},
        "training__loss": loss,
        "training__steps": 200,
    }
    compare(monkeypatch, [make_run(replicate=n, **common) for n in range(2)], program=Descent)


def test_a_run_that_diverges_disturbs_no_neighbour(make_run: MakeRun) -> None:
    common: dict[str, Any] = {"model__activation": "relu", "training__steps": 300}
    runs = [make_run(replicate=n, **common) for n in range(4)]
    wild = make_run(replicate=2, optimizer__learning_rate=1e4, **common)
    calm, disturbed = train_stack(runs), train_stack([*runs[:2], wild, runs[3]])
    assert not disturbed[2].finite
    assert 1 <= (disturbed[2].nonfinite_step or 0) <= 300
    x = data_of(wild).validation.x
    alone = train_single(wild)
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
    (together,), alone = train_stack([run]), train_single(run)
    assert together.nonfinite_step == alone.nonfinite_step
    assert alone.nonfinite_step is not None


def test_a_stack_does_not_depend_on_its_order(make_run: MakeRun) -> None:
    runs = [make_run(replicate=n, training__steps=100) for n in range(5)]
    forward, backward = train_stack(runs), train_stack(runs[::-1])[::-1]
    for one, other in zip(forward, backward, strict=True):
        # Vector lanes may round another way.
        assert one.curves["train_loss"][-1][1] == pytest.approx(
            other.curves["train_loss"][-1][1], rel=1e-5
        )


def test_the_loss_reads_the_logits_of_runs_side_by_side(make_run: MakeRun) -> None:
    """Read run by run, no vector instruction computes it or the gradients behind it."""
    modules = [single.build_module(make_run(replicate=n), DATASETS.get("xor")) for n in range(3)]
    stack = MLPStack([module for module in modules if isinstance(module, Classifier)])
    x, y = torch.rand(4, 2), torch.tensor([0, 1, 1, 0])
    seen, loss = [], stack.criterion

    def watch(logits: Tensor, labels: Tensor) -> Tensor:
        seen.append((logits.view(4, 3), labels.view(4, 3)))
        return loss(logits, labels)

    stack.criterion = watch
    stack.objective([*stack.parameters()], x, y)
    ((logits, labels),) = seen
    assert torch.equal(logits, stack(x)[:, 0])
    assert torch.equal(labels, y[:, None].expand(4, 3))


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


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.slow
def test_a_compiler_that_fails_costs_no_run(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config
    from torch._inductor.utils import fresh_cache

    runs = [make_run(replicate=n, model__widths=[3]) for n in range(3)]
    monkeypatch.setattr(config.cpp, "cxx", (None, "/bin/false"))
    monkeypatch.setattr(descent, "worth_compiling", lambda _: True)
    with fresh_cache():
        failed = train_stack(runs)
    monkeypatch.setattr(descent, "worth_compiling", lambda _: False)
    for one, other in zip(failed, train_stack(runs), strict=True):
        assert one.facts["compiled"].startswith("false, as compiling failed: InductorError: ")
        assert "No working C++ compiler" in one.facts["compiled"]
        assert one.curves == other.curves


def test_a_compiled_step_fails_once_and_a_full_device_is_no_failure_of_its_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("no\n  headers")]

    def raising(step: Any, dynamic: bool) -> Any:
        def fast(*values: Any) -> Any:
            raise errors.pop(0)

        return fast

    monkeypatch.setattr(torch, "compile", raising)
    step = Compiled(lambda values, x, y: (values, x + y), wanted=True)
    one = torch.ones(1)
    with pytest.raises(torch.OutOfMemoryError):
        step([], one, one)
    assert step.way == "true"
    assert [step([], one, one)[1].item() for _ in range(2)] == [2.0, 2.0]
    assert step.way == "false, as compiling failed: RuntimeError: no headers"


def test_the_innermost_stack_refuses_another_network(make_run: MakeRun) -> None:
    run = make_run(data__name="digits", model={"family": "convnet", "channels": [2]})
    module = single.build_module(run, DATASETS.get("digits"))
    assert isinstance(module, Classifier)
    assert not descends_innermost(run.config)
    with pytest.raises(TypeError, match="a stack needs an MLPNetwork, found ConvNetNetwork"):
        MLPStack([module])


def test_the_innermost_stack_refuses_dropout(make_run: MakeRun) -> None:
    run = make_run(model__keep_prob=0.5)
    module = single.build_module(run, DATASETS.get("xor"))
    assert isinstance(module, Classifier)
    assert not descends_innermost(run.config)
    with pytest.raises(ValueError, match="a stack has no dropout"):
        MLPStack([module])
