"""A module whose outputs do not fit the data is refused before it trains, or scored rightly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ablation_lab.data import DATASETS, DataError, Dataset, Part, TrainingData, verify
from ablation_lab.study.record import Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.execute import execute
from ablation_lab.training.scoring import accuracy_of, score
from ablation_lab.training.validate import validate_stack
from lightning_modules.task import Task
from tests.training.own_modules import registered

MakeRun = Callable[..., Run]
X = np.linspace(-1, 1, 32, dtype=np.float32)[:, None]


class Own(pl.LightningModule):
    """A line whose outputs a test chooses, and whose loss broadcasts them without a warning."""

    task = Task.CLASSIFICATION
    width = 1

    @staticmethod
    def outputs(z: Tensor) -> Tensor:
        return z

    def __init__(self, *, input_shape: tuple[int, ...], **_: Any) -> None:
        super().__init__()
        self.line = nn.Linear(input_shape[0], self.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(self.line(x))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        x, y = batch
        return (self(x).sum(-1) - y).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data(y: Any, *, classes: int = 0) -> Dataset:
    part = Part(X, np.asarray(y))
    return Dataset(
        name="small",
        shape=(1,),
        classes=classes,
        examples=len(X),
        about="a test",
        read=lambda _: (TrainingData(part, part), part),
        targets=part.y.shape[1:],
    )


@pytest.fixture
def stack(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stack]]:
    """Give the function that registers a data set, and stacks one run of a family on it."""

    def stacked(dataset: Dataset, family: str = "test_own", **members: Any) -> Stack:
        monkeypatch.setitem(DATASETS._things, "small", dataset)
        for name, value in members.items():
            monkeypatch.setattr(Own, name, value)
        run = make_run(
            model={"family": family},
            data={"name": "small"},
            training={"steps": 500, "batch_size": None},
        )
        return Stack((run,), TrainerName.SINGLE, "a test")

    with registered([Own]):
        yield stacked


Stacked = Callable[..., Stack]


@pytest.mark.parametrize("shape", [(32,), (32, 1), (32, 1, 1)])
def test_a_built_in_regression_is_scored_rightly_whatever_axis_of_one_is_missing(
    stack: Stacked, shape: tuple[int, ...]
) -> None:
    """Broadcast, the best line is the mean, and its loss the variance: 4 x 0.35."""
    ready = stack(data((2 * X + 1).reshape(shape)), "linear_regression")
    assert validate_stack(ready) == ""
    (record,) = execute(ready)
    assert record.status is Status.FINISHED, record.error
    assert record.metrics["test_loss"] < 1e-3
    assert record.curves["val_loss"][-1][1] < 1e-3


@pytest.mark.parametrize(
    ("outputs", "shape", "said"),
    [
        (lambda z: z, (32,), "outputs of shape (2, 1) do not fit targets of shape (2,)"),
        (lambda z: z[:, 0], (32, 1), "outputs of shape (2,) do not fit targets of shape (2, 1)"),
        (lambda z: z[None], (32, 1), "outputs of shape (1, 2, 1) do not fit"),
        (lambda z: z.expand(-1, 3), (32, 1), "outputs of shape (2, 3) do not fit"),
        (lambda z: z.expand(-1, 3), (32,), "outputs of shape (2, 3) do not fit"),
    ],
)
def test_a_regression_of_ones_own_that_would_broadcast_is_refused(
    stack: Stacked, outputs: Callable[[Tensor], Tensor], shape: tuple[int, ...], said: str
) -> None:
    chosen = {"task": Task.REGRESSION, "outputs": staticmethod(outputs)}
    line = validate_stack(stack(data((2 * X + 1).reshape(shape)), **chosen))
    assert "family 'test_own' on data 'small'" in line
    assert said in line
    assert line.endswith("change what `forward` gives, or the data set")


def test_a_regression_of_ones_own_in_one_shape_trains(stack: Stacked) -> None:
    chosen = {"task": Task.REGRESSION, "outputs": staticmethod(lambda z: z[:, 0])}
    ready = stack(data((2 * X + 1)[:, 0]), **chosen)
    assert validate_stack(ready) == ""


@pytest.mark.parametrize(
    ("width", "outputs", "classes", "said"),
    [
        (3, lambda z: z, 10, "expected 10 logits for each label, found 3"),
        (1, lambda z: z, 10, "expected 10 logits for each label, found 1"),
        (10, lambda z: z.argmax(1), 10, "expected 10 logits for each label, found 1"),
        (10, lambda z: z[:1], 10, "outputs of shape (1, 10) do not fit labels of shape (2,)"),
        (2, lambda z: z[:, None].expand(-1, 5, -1), 2, "outputs of shape (2, 5, 2) do not fit"),
        (10, lambda z: z, 10, ""),
        (12, lambda z: z, 10, ""),
        (2, lambda z: z, 1, ""),
        (1, lambda z: z, 2, ""),
        (1, lambda z: z[:, 0], 1, ""),
    ],
)
def test_a_classifier_of_ones_own_gives_a_logit_for_each_class_or_is_refused(
    *,
    stack: Stacked,
    width: int,
    outputs: Callable[[Tensor], Tensor],
    classes: int,
    said: str,
) -> None:
    labels = np.arange(32) % max(classes, 2)
    chosen = {"outputs": staticmethod(outputs), "width": width}
    line = validate_stack(stack(data(labels, classes=classes), **chosen))
    assert (said in line) if said else not line


def test_a_classifier_on_numbers_is_told_of_its_task(stack: Stacked) -> None:
    line = validate_stack(stack(data(X[:, 0]), width=3))
    assert "labels: expected class numbers of type int64, found torch.float32" in line
    assert "task = Task.REGRESSION" in line


def test_one_hot_labels_and_an_axis_too_many_are_refused_for_a_built_in_classifier(
    stack: Stacked,
) -> None:
    for y in (np.eye(4, dtype=np.int64)[np.arange(32) % 4], np.arange(32)[:, None] % 4):
        line = validate_stack(stack(data(y, classes=4), "mlp"))
        assert "family 'mlp' on data 'small': outputs of shape (2, 4) do not fit labels" in line


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.arange(32) % 2 == 0, "type of y in the train part: expected int64, found bool"),
        (np.arange(32) % 4 + 1, "labels in the train part: expected 0 to 3, found 1 to 4"),
        (np.arange(32) % 4 - 1, "labels in the train part: expected 0 to 3, found -1 to 2"),
        (X[:, 0], "type of y in the train part: expected int64, found float32"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused_when_the_data_is_verified(
    y: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS._things, "small", data(y, classes=4))
    with pytest.raises(DataError, match=said):
        verify("small")


def test_scores_of_other_shapes_are_right_or_refused() -> None:
    part = Part(X, X[:, 0])
    assert score(Task.REGRESSION, X + 2, part, test_is_train=False).metrics["test_loss"] == (
        pytest.approx(4)
    )
    with pytest.raises(ValueError, match=r"outputs of shape \(32, 3\) do not fit targets"):
        score(Task.REGRESSION, np.repeat(X, 3, 1), part, test_is_train=False)
    labels = np.arange(32) % 2
    logits = np.where(labels[:, None] == [0, 1], 1.0, -1.0).astype(np.float32)
    for right in (labels, labels[:, None]):
        assert accuracy_of(logits, right) == accuracy_of(logits[:, 1:], right) == 1
        assert accuracy_of(logits[:, 1], right.reshape(-1)) == 1
    with pytest.raises(ValueError, match="do not fit labels"):
        accuracy_of(np.eye(32, dtype=np.float32), np.eye(32, dtype=np.int64))


def test_a_metric_of_ones_own_is_handed_shapes_that_agree(
    stack: Stacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ablation_lab.study.metric import METRICS, metric

    @metric("largest_miss", direction="minimize")
    def largest_miss(outputs: Any, targets: Any) -> float:
        return float(np.abs(outputs - targets).max())

    try:
        ready = stack(data((2 * X + 1)[:, 0]), "linear_regression")
        run = ready.runs[0]
        config = {**run.config, "training": {**run.config["training"], "metrics": ["largest_miss"]}}
        (record,) = execute(replace(ready, runs=(replace(run, config=config),)))
        assert record.metrics["largest_miss"] < 0.1, record.error
    finally:
        METRICS._things.pop("largest_miss", None)
