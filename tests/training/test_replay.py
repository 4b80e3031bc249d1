"""Steps that are captured once and replayed, as on a card, give what the same steps give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ablation_lab.study.run import Run
from ablation_lab.study.stacking import why_alone
from ablation_lab.training import computing
from ablation_lab.training.computing import Capture, Repeated
from ablation_lab.training.trained import Trained
from tests.training.stacks import DIGITS, MakeRun, data_of, train_stack
from tests.training.tape import tape

CPU = torch.device("cpu")
DROPPING: dict[str, Any] = {**DIGITS, "model__keep_prob": 0.7}


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Capture on the CPU too; the list grows with every capture."""
    captures: list[int] = []

    def counted(capture: Capture) -> Capture:
        def count(compute: Any, inputs: Any) -> Any:
            captures.append(len(inputs))
            return capture(compute, inputs)

        return count

    for device, capture in {**computing.CAPTURES, "cpu": tape}.items():
        monkeypatch.setitem(computing.CAPTURES, device, counted(capture))
    return captures


def as_they_are(runs: list[Run]) -> list[Trained]:
    """Train without capturing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(computing, "CAPTURES", {})
        return train_stack(runs)


@pytest.mark.parametrize(
    ("settings", "differences"),
    [
        (DROPPING, [{"model__keep_prob": 0.5}, {"model__init": "lsuv"}, {}]),
        (DIGITS, [{"training__loss": "unclipped"}, {"training__l2": 0.01}, {}]),
        ({**DROPPING, "optimizer": {"name": "ftrl", "learning_rate": 0.1}}, [{}, {}]),
        ({**DIGITS, "training__lr_milestones": [1, 2]}, [{}, {}]),
        ({**DROPPING, "training__batch_size": 16, "training__drop_last": False}, [{}, {}]),
        (
            {**DIGITS, "model": {"family": "convnet", "channels": [2], "dense": [], "kernel": 3}},
            [{}, {}],
        ),
        ({"model__widths": [4, 3], "training__steps": 60}, [{}, {"model__init": "he_normal"}]),
    ],
    ids=["dropout", "losses", "ftrl", "falls", "remainder", "convnet", "innermost"],
)
def test_replayed_steps_are_the_steps(
    make_run: MakeRun,
    captured: list[int],
    settings: dict[str, Any],
    differences: list[dict[str, Any]],
) -> None:
    runs = [make_run(replicate=n, **{**settings, **own}) for n, own in enumerate(differences)]
    assert not any(why_alone(run.config, accelerator=True) for run in runs)
    replayed, plain = train_stack(runs), as_they_are(runs)
    assert len(captured) == (1 if runs[0].config["training"].get("drop_last", True) else 2)
    for run, one, other in zip(runs, replayed, plain, strict=True):
        x = data_of(run).validation.x
        assert one.facts["step"] == "captured and replayed"
        assert one.curves == other.curves
        assert torch.equal(torch.from_numpy(one.predict(x)), torch.from_numpy(other.predict(x)))


def test_a_stack_that_shrinks_is_captured_anew(make_run: MakeRun, captured: list[int]) -> None:
    wild = {**DROPPING, "optimizer": {"name": "adam", "learning_rate": 0.1}}
    settings = {**wild, "training": {"epochs": 24, "batch_size": 20, "loss": "stable"}}
    runs = [make_run(replicate=n, **settings, training__patience=2) for n in range(4)]
    replayed, plain = train_stack(runs), as_they_are(runs)
    assert len(captured) > 1
    assert [one.curves for one in replayed] == [other.curves for other in plain]


def test_what_cannot_be_captured_goes_on_as_it_is(captured: list[int]) -> None:
    def looks(x: Tensor) -> tuple[Tensor]:
        return (x * 2 if float(x.sum()) > 0 else x,)

    repeated = Repeated(looks, CPU)
    ones = torch.ones(2)
    assert [repeated(x)[0].sum().item() for x in (ones, -ones, ones)] == [4.0, -2.0, 4.0]
    assert repeated.way.startswith("one operation at a time, as capturing failed: operation not")
    assert len(captured) == 1


def test_a_device_that_is_full_is_no_reason_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack has to be halved instead."""

    def full(compute: Any, inputs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setitem(computing.CAPTURES, "cpu", full)
    with pytest.raises(torch.OutOfMemoryError):
        Repeated(lambda x: (x,), CPU)(torch.ones(1))


def test_a_captured_function_reads_nothing_of_python_again(captured: list[int]) -> None:
    """The tape tells a graph from a function: else these tests would show nothing."""
    known = {"number": 1.0}
    repeated = Repeated(lambda x: (x + known["number"],), CPU)
    first = repeated(torch.zeros(1))[0].item()
    known["number"] = 5.0
    assert (first, repeated(torch.ones(1))[0].item()) == (1.0, 2.0)
