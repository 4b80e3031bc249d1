"""Losses: against the written-out formula, saturation, accuracy."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.losses import Loss, accuracy, correct, loss_function
from lightning_modules.registry import UnknownName

# Beyond |z| = 5 the float32 rounding of 1 - h itself is worth more than the tolerance.
LOGITS = st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3)


@given(LOGITS, st.integers(0, 2))
def test_stable_and_printed_agree_where_nothing_saturates(row: list[float], label: int) -> None:
    logits, labels = torch.tensor([row]), torch.tensor([label])
    stable = loss_function("stable", 3)(logits, labels)
    torch.testing.assert_close(
        loss_function("unclipped", 3)(logits, labels), stable, atol=1e-4, rtol=0
    )


@given(st.floats(-5, 5, width=32), st.integers(0, 1))
def test_binary_stable_and_printed_agree_where_nothing_saturates(z: float, label: int) -> None:
    logits, labels = torch.tensor([[z]]), torch.tensor([label])
    stable = loss_function(Loss.STABLE, 1)(logits, labels)
    printed = loss_function(Loss.UNCLIPPED, 1)(logits, labels)
    torch.testing.assert_close(printed, stable, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("classes", "logits", "labels"),
    [(1, [[40.0]], [1]), (1, [[-200.0]], [0]), (3, [[300.0, 0.0, 0.0]], [0])],
)
def test_printed_is_nan_once_saturated_and_stable_is_not(
    classes: int, logits: list[list[float]], labels: list[int]
) -> None:
    z, y = torch.tensor(logits), torch.tensor(labels)
    assert loss_function("unclipped", classes)(z, y).isnan()
    assert float(loss_function("stable", classes)(z, y)) == pytest.approx(0, abs=1e-6)


def test_printed_gradient_is_nan_once_saturated() -> None:
    z = torch.tensor([[40.0]], requires_grad=True)
    loss_function("unclipped", 1)(z, torch.tensor([1])).backward()
    assert z.grad is not None
    assert z.grad.isnan().all()


def test_a_wrong_and_saturated_example_costs_infinity_in_the_printed_form() -> None:
    z, y = torch.tensor([[40.0]]), torch.tensor([0])
    assert float(loss_function("unclipped", 1)(z, y)) == float("inf")
    assert float(loss_function("stable", 1)(z, y)) == pytest.approx(40)


@pytest.mark.parametrize("loss", tuple(Loss))
@pytest.mark.parametrize("classes", [1, 4])
def test_the_mean_is_the_mean_of_the_examples(loss: Loss, classes: int) -> None:
    z, y = torch.randn(20, classes), torch.randint(0, max(classes, 2), (20,))
    each = loss_function(loss, classes, mean=False)(z, y)
    assert each.shape == (20,)
    torch.testing.assert_close(loss_function(loss, classes)(z, y), each.mean())


def test_values_by_hand() -> None:
    z, y = torch.tensor([[0.0, 0.0]]), torch.tensor([1])
    assert float(loss_function("stable", 2)(z, y)) == pytest.approx(0.693147, abs=1e-6)
    assert float(loss_function("unclipped", 1)(z[:, :1], y)) == pytest.approx(0.693147, abs=1e-6)


def test_loss_functions_can_be_pickled() -> None:
    function = loss_function("unclipped", 3)
    logits, labels = torch.rand(2, 3), torch.tensor([0, 2])
    again = pickle.loads(pickle.dumps(function))
    assert again(logits, labels) == function(logits, labels)


def test_unknown_loss_and_impossible_classes() -> None:
    with pytest.raises(UnknownName, match="unknown loss 'stabel'; nearest: 'stable'"):
        loss_function("stabel", 3)
    with pytest.raises(ValueError, match="classes: expected 1"):
        loss_function("stable", 0)


def test_accuracy_counts_rows_and_takes_nan_for_wrong() -> None:
    nan = float("nan")
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [nan, 0.0], [5.0, nan]])
    labels = torch.tensor([0, 0, 0, 1])
    assert correct(logits, labels).tolist() == [True, False, False, False]
    assert float(accuracy(logits, labels)) == 0.25


def test_binary_accuracy_needs_more_than_half() -> None:
    logits = torch.tensor([[1.0], [-1.0], [0.0], [float("nan")], [float("nan")]])
    labels = torch.tensor([1, 0, 1, 0, 1])
    assert correct(logits, labels).tolist() == [True, True, False, False, False]
