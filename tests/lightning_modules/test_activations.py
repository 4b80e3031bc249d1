"""Activations: values, shapes, maxout's pieces."""

import math

import pytest
import torch

from lightning_modules.activations import MONOTONE, activation_along, maxout, pieces
from lightning_modules.registry import ACTIVATIONS, UnknownName
from tests.lightning_modules.properties import check_activation

AT_TWO_AND_MINUS_THREE = {
    "sigmoid": (1 / (1 + math.exp(-2)), 1 / (1 + math.exp(3))),
    "relu": (2.0, 0.0),
    "tanh": (math.tanh(2), math.tanh(-3)),
    "softsign": (2 / 3, -3 / 4),
    "very_leaky_relu": (2.0, -1.0),
    "identity": (2.0, -3.0),
}


@pytest.mark.parametrize("name", AT_TWO_AND_MINUS_THREE)
def test_values(name: str) -> None:
    found = ACTIVATIONS.get(name)(torch.tensor([2.0, -3.0]))
    torch.testing.assert_close(found, torch.tensor(AT_TWO_AND_MINUS_THREE[name]))


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_what_holds_of_every_activation(name: str) -> None:
    check_activation(name)


@pytest.mark.parametrize("name", ACTIVATIONS.names())
@pytest.mark.parametrize("axis", [1, -1])
def test_the_width_is_divided_by_the_pieces(name: str, axis: int) -> None:
    shape = [2, 5, 6, 4]
    shape[axis] = 3 * pieces(name)
    expected = list(shape)
    expected[axis] = 3
    assert activation_along(name, axis)(torch.randn(shape)).shape == tuple(expected)


@pytest.mark.parametrize("name", sorted(MONOTONE))
def test_those_called_monotone_are(name: str) -> None:
    x = torch.randn(10_000).sort().values
    assert (ACTIVATIONS.get(name)(x).diff() >= 0).all()


def test_maxout_takes_the_larger_of_two_blocks() -> None:
    x = torch.tensor([[1.0, 5.0, 2.0, -4.0]])
    assert maxout(x).tolist() == [[2.0, 5.0]]


def test_maxout_of_five_pieces() -> None:
    x = torch.randn(3, 20)
    torch.testing.assert_close(maxout(x, pieces=5), x.reshape(3, 5, 4).amax(1))


def test_maxout_refuses_a_width_that_its_pieces_do_not_divide() -> None:
    with pytest.raises(ValueError, match="multiple of 2"):
        maxout(torch.ones(4, 3))


def test_unknown_activation() -> None:
    with pytest.raises(UnknownName, match="nearest: 'sigmoid'"):
        pieces("sigmiod")
