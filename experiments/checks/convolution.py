"""Convolution arithmetic: sizes by formula, as on the slides."""

from collections.abc import Iterable

from ablation_lab.study.checks import CHECKS


def output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> float:
    """Return (N + 2P - F)/S + 1, which is no whole number where the filter does not fit.

    A library would round it down.
    """
    return (size + 2 * padding - kernel) / stride + 1


@CHECKS.register("conv_7x7_stride_1")
def conv_7x7_stride_1() -> Iterable[float]:
    """Side of the output: 7x7, filter 3x3, stride 1."""
    return [output_size(7, 3)]


@CHECKS.register("conv_7x7_stride_2")
def conv_7x7_stride_2() -> Iterable[float]:
    """Side of the output: 7x7, filter 3x3, stride 2."""
    return [output_size(7, 3, stride=2)]


@CHECKS.register("conv_7x7_stride_3")
def conv_7x7_stride_3() -> Iterable[float]:
    """Quotient of the formula: 7x7, filter 3x3, stride 3, which does not fit."""
    return [output_size(7, 3, stride=3)]


@CHECKS.register("conv_7x7_pad_1")
def conv_7x7_pad_1() -> Iterable[float]:
    """Side of the output: 7x7, filter 3x3, stride 1, padded by 1."""
    return [output_size(7, 3, padding=1)]


@CHECKS.register("conv_strides")
def conv_strides() -> Iterable[float]:
    """Side and area of the output for strides 1 and 2: 7x7, filter 3x3."""
    sides = [output_size(7, 3, stride=stride) for stride in (1, 2)]
    return [value for side in sides for value in (side, side**2)]
