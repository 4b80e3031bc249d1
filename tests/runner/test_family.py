"""What doctor says of a family: each question has a module that fails it, and nothing else."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ablation_lab.runner.family import Answer, examine_family
from ablation_lab.study.schema import parse_study
from ablation_lab.training.surroundings import SURROUNDINGS, restored
from lightning_modules.registry import FAMILIES, Place, UnknownName

Batch = tuple[Tensor, Tensor]


class Good(pl.LightningModule):
    """A module without any fault, whose step a stack can take."""

    stacks = True
    answers_more = 0

    def __init__(self, *, input_shape: tuple[int, ...], classes: int, width: int = 4, **_: Any):
        super().__init__()
        self.network = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(input_shape), width),
            nn.Tanh(),
            nn.Linear(width, classes + self.answers_more),
        )

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.network(x)
        return outputs

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Plain(Good):
    """The same without a promise to stack."""

    stacks = False


class Strict(pl.LightningModule):
    def __init__(self, *, input_shape: Any, classes: int) -> None:
        super().__init__()


def identity(first: Any = None, *, input_shape: Any, classes: int, **_: Any) -> nn.Module:
    return nn.Identity()


class Raising(Plain):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        raise LookupError("no such\nlayer")


class Paired(Plain):
    def forward(self, x: Tensor) -> Any:
        return self.network(x), x

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0])[0], batch[1])


class Narrow(Plain):
    answers_more = -1


class Clocked(Plain):
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) * (1 + time.perf_counter() % 1)


class Hasty(Plain):
    def on_train_batch_end(self, *_: Any) -> None:
        self.trainer.should_stop = True


class Closed(Plain):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.activate = lambda x: x


class Noisy(Good):
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return super().training_step((batch[0] + torch.randn_like(batch[0]), batch[1]), batch_idx)


CHANGES: dict[str, Callable[[], object]] = {
    "the default dtype": lambda: torch.set_default_dtype(torch.float64),
    "the default device": lambda: torch.set_default_device("meta"),
    "whether gradients are kept": lambda: torch.set_grad_enabled(False),
    "the search for anomalies": lambda: torch.autograd.set_detect_anomaly(True, False),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "cudnn.deterministic": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "the precision of products": lambda: torch.set_float32_matmul_precision("medium"),
    "the number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "numpy's handling of errors": lambda: np.seterr(all="ignore"),
    "the working folder": lambda: os.chdir("/"),
    "environment variables": lambda: os.environ.update(FAMILY="left"),
    "filters of warnings": lambda: warnings.filterwarnings("error", message="of a family"),
}


class Leaving(Plain):
    change: Callable[[], object]

    def on_fit_end(self) -> None:
        type(self).change()


def register(monkeypatch: pytest.MonkeyPatch, family: Any) -> None:
    monkeypatch.setitem(FAMILIES._things, "patient", family)
    monkeypatch.setitem(FAMILIES._places, "patient", (Place(Path(__file__)),))


def examined(monkeypatch: pytest.MonkeyPatch, family: Any) -> dict[str, Answer]:
    register(monkeypatch, family)
    answers = {each.question: each for each in examine_family("patient", [])}
    assert not [each for each in answers.values() if "\n" in each.found]
    return answers


def wrong(answers: dict[str, Answer]) -> dict[str, str]:
    return {question: each.found for question, each in answers.items() if each.wrong}


def test_nothing_is_wrong_with_a_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = examined(monkeypatch, Good)
    assert not wrong(answers)
    assert answers["stacks"].found == "yes: replicates train as one program"
    plain = examined(monkeypatch, Plain)
    assert not wrong(plain)
    assert plain["stacks"].found == "no: family patient says `stacks = False`"


@pytest.mark.parametrize(
    ("family", "question", "line"),
    [
        (
            Strict,
            "settings",
            "takes no 'optimizer', 'loss', 'l2', 'seed', which every family is given",
        ),
        (identity, "builds", "expected a LightningModule, found a Identity"),
        (Raising, "builds", "(tests/runner/test_family.py:"),
        (Paired, "outputs", "expected outputs that are a tensor, found a tuple; say what is meas"),
        (Narrow, "outputs", "expected 10 logits for each label, found 9"),
        (Clocked, "repeatable", "is not repeatable: the loss of step 1 is another"),
        (Hasty, "epochs", "expected 2 epochs of 2 batches, found 1 with 1 in all"),
        (Closed, "pickles", "lambda"),
        (Noisy, "stacks", "says `stacks = True`, but "),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_wrong_is_said_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, family: Any, question: str, line: str
) -> None:
    found = wrong(examined(monkeypatch, family))
    assert list(found) == [question]
    assert line in found[question]


@pytest.mark.parametrize("name", CHANGES)
def test_what_it_leaves_behind_is_named_and_put_back(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Leaving, "change", staticmethod(CHANGES[name]), raising=False)
    before = [each.read() for each in SURROUNDINGS], list(warnings.filters)
    found = wrong(examined(monkeypatch, Leaving))
    assert list(found) == ["leaves nothing"]
    assert f"runs of a worker share: {name}: " in found["leaves nothing"]
    assert ([each.read() for each in SURROUNDINGS], list(warnings.filters)) == before


def test_everything_that_is_put_back_has_a_test() -> None:
    assert {each.name for each in SURROUNDINGS} | {"filters of warnings"} == set(CHANGES)


def test_it_is_put_back_after_an_error_too() -> None:
    failing = nn.Identity()

    def fail(*_: object) -> None:
        torch.set_default_dtype(torch.float64)
        raise RuntimeError("in the middle")

    failing.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="in the middle"), restored() as changed:
        failing(torch.zeros(1))
    assert torch.get_default_dtype() is torch.float32
    assert changed.found == {"the default dtype": (torch.float32, torch.float64)}


def test_it_is_built_as_the_first_cell_that_uses_it(
    monkeypatch: pytest.MonkeyPatch, declaration: dict[str, Any]
) -> None:
    declaration["run"]["model"] = {"family": "patient", "width": 7}
    declaration["factors"] = {"width": {"key": "model.width", "levels": [5, 6]}}
    declaration["baseline"] = {}
    declaration["run"]["training"] = {"steps": 9}
    register(monkeypatch, Plain)
    first = next(examine_family("patient", [parse_study("small", declaration)]))
    assert first.found == "21 parameters, with the settings of study/small.yaml: width=5"


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UnknownName, match="unknown family 'nobody'"):
        list(examine_family("nobody", []))
