"""Shapes and parameter counts of the decks' architectures, from real modules without numbers."""

from collections.abc import Iterable

from torch import nn

from ablation_lab.study.checks import CHECKS
from experiments.architectures import alexnet, alphago, inception, lenet5
from experiments.architectures.tracing import on_meta, output_shapes, parameters


def _alexnet(*layers: str) -> list[float]:
    """Return height, width and channels of the named layers of AlexNet."""
    shapes = output_shapes(on_meta(alexnet.alexnet), alexnet.INPUT)
    return [float(n) for layer in layers for n in (*shapes[layer][1:], shapes[layer][0])]


@CHECKS.register("lenet5_sizes")
def lenet5_sizes() -> Iterable[float]:
    """Side of the input and of each map of LeNet-5, up to the last convolution."""
    shapes = output_shapes(on_meta(lenet5.lenet5), lenet5.INPUT)
    layers = ("conv1", "pool1", "conv2", "pool2", "conv3")
    return [lenet5.INPUT[-1], *(shapes[layer][-1] for layer in layers)]


@CHECKS.register("alexnet_conv1")
def alexnet_conv1() -> Iterable[float]:
    """Output of the first convolution of AlexNet."""
    return _alexnet("conv1")


@CHECKS.register("alexnet_conv1_weights")
def alexnet_conv1_weights() -> Iterable[float]:
    """Weights of the first convolution, its 96 biases apart."""
    (first, *_) = on_meta(alexnet.alexnet).children()
    assert isinstance(first, nn.Conv2d)
    return [first.weight.numel()]


@CHECKS.register("alexnet_pool1")
def alexnet_pool1() -> Iterable[float]:
    """Output of the first pool, and its parameters."""
    model = on_meta(alexnet.alexnet)
    return [*_alexnet("pool1"), parameters(dict(model.named_children())["pool1"])]


@CHECKS.register("alexnet_norm1")
def alexnet_norm1() -> Iterable[float]:
    """Output of the first normalisation."""
    return _alexnet("norm1")


@CHECKS.register("alexnet_conv2")
def alexnet_conv2() -> Iterable[float]:
    """Output of the second convolution."""
    return _alexnet("conv2")


@CHECKS.register("alexnet_pool2")
def alexnet_pool2() -> Iterable[float]:
    """Output of the second pool."""
    return _alexnet("pool2")


@CHECKS.register("alexnet_norm2")
def alexnet_norm2() -> Iterable[float]:
    """Output of the second normalisation."""
    return _alexnet("norm2")


@CHECKS.register("alexnet_conv3")
def alexnet_conv3() -> Iterable[float]:
    """Output of the third convolution."""
    return _alexnet("conv3")


@CHECKS.register("alexnet_conv4")
def alexnet_conv4() -> Iterable[float]:
    """Output of the fourth convolution."""
    return _alexnet("conv4")


@CHECKS.register("alexnet_conv5")
def alexnet_conv5() -> Iterable[float]:
    """Output of the fifth convolution."""
    return _alexnet("conv5")


@CHECKS.register("alexnet_pool3")
def alexnet_pool3() -> Iterable[float]:
    """Output of the third pool."""
    return _alexnet("pool3")


@CHECKS.register("alexnet_fc")
def alexnet_fc() -> Iterable[float]:
    """Widths of the three dense layers."""
    shapes = output_shapes(on_meta(alexnet.alexnet), alexnet.INPUT)
    return [shapes[layer][0] for layer in ("fc6", "fc7", "fc8")]


@CHECKS.register("alexnet_parameters")
def alexnet_parameters() -> Iterable[float]:
    """All parameters of AlexNet as one tower, which no slide prints."""
    return [parameters(on_meta(alexnet.alexnet))]


@CHECKS.register("inception_3a")
def inception_3a() -> Iterable[float]:
    """Channels and side of the output of GoogLeNet's module 3a, and its parameters."""
    module = on_meta(inception.Inception)
    channels, side, _ = output_shapes(nn.Sequential(module), inception.INPUT)["0"]
    return [channels, side, parameters(module)]


@CHECKS.register("alphago_sizes")
def alphago_sizes() -> Iterable[float]:
    """Side after the padding and side and maps after each kind of convolution of the policy net."""
    shapes = output_shapes(on_meta(alphago.alphago), alphago.INPUT)
    first, second, twelfth, last = (shapes[f"conv{number}"] for number in (1, 2, 12, 13))
    return [shapes["pad1"][-1], first[-1], first[0], shapes["pad2"][-1], second[-1], second[0],
            twelfth[-1], twelfth[0], last[-1]]  # fmt: skip


@CHECKS.register("alphago_parameters")
def alphago_parameters() -> Iterable[float]:
    """All parameters of the policy network with 192 filters, which no slide prints."""
    return [parameters(on_meta(alphago.alphago))]
