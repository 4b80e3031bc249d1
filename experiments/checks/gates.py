"""Units with fixed weights: the AND and OR gates, and the hand-made XOR network.

Source: the decks' slides on logic gates and on XOR; weights as printed there.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from math import exp

from ablation_lab.study.checks import CHECKS

ROWS = tuple(product((0, 1), repeat=2))
# Weights and bias of the two hidden units and of the output of the printed XOR network.
FIRST, SECOND, OUTPUT = ((5, 5), -8), ((-7, -7), 3), ((-11, -11), 6)
Unit = tuple[Sequence[float], float]


def sigmoid(z: float) -> float:
    """Return 1 / (1 + e^-z)."""
    return 1 / (1 + exp(-z))


def activation(unit: Unit, x: Sequence[float]) -> float:
    """Return w·x + b, the pre-activation of a unit."""
    weights, bias = unit
    return sum(w * value for w, value in zip(weights, x, strict=True)) + bias


@CHECKS.register("and_gate")
def and_gate() -> Iterable[float]:
    """Pre-activations, then outputs of a step unit with weights (1, 1) and bias -1.5."""
    return _gate(-1.5)


@CHECKS.register("or_gate")
def or_gate() -> Iterable[float]:
    """Pre-activations, then outputs of a step unit with weights (1, 1) and bias -0.5."""
    return _gate(-0.5)


@CHECKS.register("xor_handmade_00")
def xor_handmade_00() -> Iterable[float]:
    """Z and sigmoid(z) of both hidden units and of the output at (0, 0)."""
    return _row((0, 0))


@CHECKS.register("xor_handmade_01")
def xor_handmade_01() -> Iterable[float]:
    """Z and sigmoid(z) of both hidden units and of the output at (0, 1)."""
    return _row((0, 1))


@CHECKS.register("xor_handmade_10")
def xor_handmade_10() -> Iterable[float]:
    """Z and sigmoid(z) of both hidden units and of the output at (1, 0)."""
    return _row((1, 0))


@CHECKS.register("xor_handmade_11")
def xor_handmade_11() -> Iterable[float]:
    """Z and sigmoid(z) of both hidden units and of the output at (1, 1)."""
    return _row((1, 1))


@CHECKS.register("xor_handmade")
def xor_handmade() -> Iterable[float]:
    """The three pre-activations of each row, then the outputs of the four rows, as 0 or 1."""
    rows = [_pre_activations(x) for x in ROWS]
    return [*(z for row in rows for z in row), *(round(sigmoid(row[2])) for row in rows)]


@CHECKS.register("xor_handmade_columns")
def xor_handmade_columns() -> Iterable[float]:
    """The pre-activations of the four rows: first hidden unit, second hidden unit, output."""
    rows = [_pre_activations(x) for x in ROWS]
    return [row[unit] for unit in range(3) for row in rows]


def _gate(bias: float) -> list[float]:
    z = [activation(((1, 1), bias), x) for x in ROWS]
    return [*z, *(float(value > 0) for value in z)]


def _pre_activations(x: Sequence[float]) -> tuple[float, float, float]:
    """Return z of the hidden units and of the output; the slide rounds the hidden ones to 0 or 1.

    Without rounding the output at (0, 0) is 0.011184 instead of 0.006693.
    """
    first, second = activation(FIRST, x), activation(SECOND, x)
    hidden = (round(sigmoid(first)), round(sigmoid(second)))
    return first, second, activation(OUTPUT, hidden)


def _row(x: Sequence[float]) -> list[float]:
    return [value for z in _pre_activations(x) for value in (z, sigmoid(z))]
