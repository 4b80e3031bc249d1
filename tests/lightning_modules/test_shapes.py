"""Shapes that torch would broadcast: every loss and measure scores them rightly, or refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_modules.families import build_family
from lightning_modules.losses import (
    MEASURES,
    accuracy,
    correct,
    cross_entropy,
    loss_function,
    squared_error,
)
from lightning_modules.registry import LOSSES, REDUCTIONS
from lightning_modules.task import Task, compared

B, T, C, N = 6, 4, 3, 2
DRAW = torch.Generator().manual_seed(0)
NUMBERS = torch.rand(B, N, generator=DRAW)
CLASSES = torch.arange(B) % C


def logits(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


# What is no class number for each row of logits, by the number of classes.
WRONG_LABELS: list[tuple[int, Tensor, Tensor, str]] = [
    (C, logits(B, C), CLASSES[:, None], "labels of shape (6, 1)"),
    (C, logits(B, C), CLASSES[:1], "labels of shape (1,)"),
    (C, logits(1, C), CLASSES, "outputs of shape (1, 3)"),
    (C, logits(B, C), CLASSES.float(), "found torch.float32"),
    (C, logits(B, C), torch.softmax(logits(B, C), -1), "found torch.float32"),
    (C, logits(B, C), torch.eye(C, dtype=torch.int64)[CLASSES], "labels of shape (6, 3)"),
    (C, logits(B, C), CLASSES > 0, "found torch.bool"),
    (C, logits(B, T, C), CLASSES, "outputs of shape (6, 4, 3)"),
    (1, logits(B, 1), CLASSES[:, None] % 2, "labels of shape (6, 1)"),
    (1, logits(B, 1), (CLASSES % 2).float(), "found torch.float32"),
    (1, logits(B, 1), CLASSES > 0, "found torch.bool"),
    (1, logits(B), CLASSES % 2, "outputs of shape (6,)"),
    (1, logits(B, B, 1), CLASSES % 2, "outputs of shape (6, 6, 1)"),
]


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize(("classes", "outputs", "labels", "words"), WRONG_LABELS)
def test_every_form_of_cross_entropy_refuses_what_is_no_label_for_each_row(
    *, classes: int, outputs: Tensor, labels: Tensor, words: str, name: str, mean: bool
) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        loss_function(name, classes, mean=mean)(outputs, labels)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(B, T), (B, 1, T), (B * T,)])
def test_symbols_of_a_sequence_are_not_shuffled_into_each_other(shape: tuple[int, ...]) -> None:
    outputs, y = logits(B, T, C), torch.arange(B * T).reshape(B, T) % C
    if shape == (B, T):
        each = torch.stack([cross_entropy(outputs[b], y[b]) for b in range(B)])
        torch.testing.assert_close(cross_entropy(outputs, y), each.mean())
        return
    with pytest.raises(ValueError, match=r"do not fit labels of shape"):
        cross_entropy(outputs, y.reshape(shape))


# Outputs and targets of one number each, which broadcast to (B, B) where an axis is missing.
ONE = NUMBERS[:, :1]
SAME = [
    (ONE, ONE[:, 0]),
    (ONE[:, 0], ONE),
    (ONE, ONE[:, :, None]),
    (ONE[:, :, None], ONE[:, 0]),
    (NUMBERS, NUMBERS[:, None, :]),
]


@pytest.mark.parametrize(("outputs", "targets"), SAME)
def test_an_axis_of_one_entry_changes_no_error(outputs: Tensor, targets: Tensor) -> None:
    expected = (outputs.flatten() + 1 - targets.flatten()).square().mean()
    torch.testing.assert_close(squared_error(outputs + 1, targets), expected)
    _, measure = MEASURES[Task.REGRESSION]
    torch.testing.assert_close(measure(outputs + 1, outputs, targets), expected)


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (NUMBERS, NUMBERS[:, 0]),
        (NUMBERS, NUMBERS[:, :1]),
        (NUMBERS[:, 0], NUMBERS),
        (NUMBERS, NUMBERS[:1]),
        (NUMBERS[:1], NUMBERS),
        (NUMBERS, NUMBERS.T),
        (NUMBERS.reshape(1, B, N), NUMBERS),
    ],
)
def test_what_an_error_would_broadcast_is_refused_with_both_shapes(
    outputs: Tensor, targets: Tensor
) -> None:
    for measure in (squared_error, lambda o, y: MEASURES[Task.REGRESSION][1](o, o, y)):
        with pytest.raises(ValueError, match="expected one number for each") as error:
            measure(outputs, targets)
        for shape in (outputs.shape, targets.shape):
            assert str(tuple(shape)) in str(error.value)


@pytest.mark.parametrize(
    ("outputs", "labels"),
    [
        (logits(B, C), CLASSES[:, None]),
        (logits(B, 1), (CLASSES % 2)[:, None]),
        (logits(B), CLASSES % 2),
        (logits(B, 1, C), CLASSES),
    ],
)
def test_an_axis_of_one_entry_changes_no_accuracy(outputs: Tensor, labels: Tensor) -> None:
    rows = outputs.reshape(B, -1)
    assert accuracy(outputs, labels) == accuracy(rows, labels.flatten())
    assert correct(outputs, labels).numel() == B
    assert MEASURES[Task.CLASSIFICATION][1](outputs, outputs, labels) == accuracy(outputs, labels)


@pytest.mark.parametrize(
    ("outputs", "labels"),
    [
        (logits(B, B), torch.eye(B, dtype=torch.int64)),
        (logits(B, C), CLASSES[:1]),
        (logits(1, C), CLASSES),
        (logits(B, T, C), CLASSES),
        (logits(B, T), torch.ones(B, T, dtype=torch.int64)),
        (logits(B, C), CLASSES.float()),
        (logits(B, C), CLASSES > 0),
    ],
)
def test_an_accuracy_of_other_shapes_is_refused(outputs: Tensor, labels: Tensor) -> None:
    with pytest.raises(ValueError, match=r"labels.*expected"):
        accuracy(outputs, labels)


@pytest.mark.parametrize("task", [Task.RECONSTRUCTION, Task.GENERATION])
def test_an_image_may_be_a_row_and_nothing_else(task: Task) -> None:
    x = torch.rand(B, 1, 2, 2)
    _, measure = MEASURES[task]
    assert float(measure(x.flatten(1), x, CLASSES)) == pytest.approx(0, abs=1e-6)
    for wrong in (x[:, 0, 0], x[:3], x.expand(B, 3, 2, 2)):
        with pytest.raises(ValueError, match=r"do not fit examples of shape \(6, 1, 2, 2\)"):
            measure(wrong, x, CLASSES)


@pytest.mark.parametrize("name", REDUCTIONS.names())
@pytest.mark.parametrize("labels", [CLASSES[:, None], CLASSES.float(), CLASSES > 0, CLASSES[:2]])
def test_a_reduction_looks_at_right_labels_or_at_none(
    name: str, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lightning_modules import reductions

    monkeypatch.setattr(reductions, "STEPS", 1)
    x = logits(B, 5)
    reduce = REDUCTIONS.get(name)
    if name == "lda":
        with pytest.raises(ValueError, match=r"labels.*expected"):
            reduce(x, labels, 1, 0)
        return
    assert torch.equal(reduce(x, labels, 1, 0)(x), reduce(x, CLASSES, 1, 0)(x))


@pytest.mark.parametrize("family", ["linear", "mlp"])
def test_a_classifier_refuses_numbers_in_its_first_step(family: str) -> None:
    module = build_family(family, input_shape=(5,), classes=C)
    x = logits(B, 5)
    right = module.objective(x, CLASSES)
    assert right == module.objective(x, CLASSES.to(torch.int32).long())
    for labels in (CLASSES.float(), CLASSES[:, None], torch.eye(C)[CLASSES]):
        with pytest.raises(ValueError, match=r"labels.*expected"):
            module.objective(x, labels)


def test_arrays_are_held_against_each_other_like_tensors() -> None:
    outputs, targets = compared(Task.REGRESSION, ONE.numpy(), ONE.numpy(), ONE[:, 0].numpy())
    assert outputs.shape == targets.shape == (B, 1)
    with pytest.raises(ValueError, match="found float32"):
        compared(Task.CLASSIFICATION, logits(B, C).numpy(), None, CLASSES.float().numpy())
