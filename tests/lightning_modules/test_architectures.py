"""Architectures on the meta device: their shapes and counts, without a single number."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from experiments import architectures
from experiments.architectures import on_meta, output_shapes, parameters

BUILD: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...], int]] = {
    "lenet5": (architectures.lenet5, architectures.LENET5_INPUT, (10,), 61_706),
    "alexnet": (architectures.alexnet, architectures.ALEXNET_INPUT, (1000,), 62_378_344),
    "inception": (architectures.Inception, architectures.INCEPTION_INPUT, (256, 28, 28), 163_696),
    "alphago": (architectures.alphago, architectures.ALPHAGO_INPUT, (1, 19, 19), 3_882_793),
}


@pytest.mark.parametrize("name", BUILD)
def test_counts_and_output(name: str) -> None:
    build, given, made, count = BUILD[name]
    module = on_meta(build)
    assert parameters(module) == count
    assert module(torch.empty(2, *given, device="meta")).shape == (2, *made)
    assert all(parameter.is_meta for parameter in module.parameters())


def test_shapes_come_from_a_forward_pass_that_leaves_no_hook() -> None:
    module = on_meta(architectures.lenet5)
    shapes = output_shapes(module, architectures.LENET5_INPUT)
    assert list(shapes) == [name for name, _ in module.named_children()]
    assert shapes["pool2"] == (16, 5, 5)
    assert not any(child._forward_hooks for child in module.children())


def test_a_wrong_input_is_refused() -> None:
    with pytest.raises(RuntimeError):
        output_shapes(on_meta(architectures.lenet5), (1, 28, 28))


def test_traced_shapes_are_those_of_real_numbers() -> None:
    real = architectures.lenet5()
    x = torch.zeros(1, *architectures.LENET5_INPUT)
    for name, child in real.named_children():
        x = child(x)
        assert (
            tuple(x.shape[1:])
            == output_shapes(on_meta(architectures.lenet5), architectures.LENET5_INPUT)[name]
        )


def test_point_bias_differs_from_point_to_point() -> None:
    bias = architectures.PointBias()
    with torch.no_grad():
        bias.bias.copy_(torch.arange(361.0).reshape(1, 19, 19))
    assert len(bias(torch.zeros(1, 1, 19, 19)).unique()) == 361
