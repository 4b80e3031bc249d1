"""Shapes and parameter counts of the decks' architectures and networks, and convolution sizes.

Comes in: modules, most without numbers. Goes out: whole numbers, and one quotient that is none.
"""

from collections.abc import Callable, Iterable
from functools import partial
from math import isqrt

import torch
from torch import nn

from ablation_lab.study.metric import CHECKS
from experiments.architectures import (
    ALEXNET_INPUT,
    ALPHAGO_INPUT,
    INCEPTION_INPUT,
    LENET5_INPUT,
    Inception,
    alexnet,
    alphago,
    lenet5,
    on_meta,
    output_shapes,
    parameters,
)
from lightning_modules.convnet import ConvNet
from lightning_modules.gan import GAN
from lightning_modules.layers import layers_of
from lightning_modules.mlp import MLP, Linear, LinearRegression

IMAGE = (1, 28, 28)


@CHECKS.register("lenet5_sizes")
def lenet5_sizes() -> Iterable[float]:
    """Side of the input and of each map of LeNet-5, up to the last convolution."""
    shapes = output_shapes(on_meta(lenet5), LENET5_INPUT)
    layers = ("conv1", "pool1", "conv2", "pool2", "conv3")
    return [LENET5_INPUT[-1], *(shapes[layer][-1] for layer in layers)]


def alexnet_shapes(*layers: str) -> Iterable[float]:
    """Height, width and channels of what the named layers of AlexNet put out."""
    shapes = output_shapes(on_meta(alexnet), ALEXNET_INPUT)
    return [n for layer in layers for n in (*shapes[layer][1:], shapes[layer][0])]


CHECKS.register("alexnet_conv1")(partial(alexnet_shapes, "conv1"))
CHECKS.register("alexnet_norm1")(partial(alexnet_shapes, "norm1"))
CHECKS.register("alexnet_conv2")(partial(alexnet_shapes, "conv2"))
CHECKS.register("alexnet_pool2")(partial(alexnet_shapes, "pool2"))
CHECKS.register("alexnet_norm2")(partial(alexnet_shapes, "norm2"))
CHECKS.register("alexnet_conv3")(partial(alexnet_shapes, "conv3"))
CHECKS.register("alexnet_conv4")(partial(alexnet_shapes, "conv4"))
CHECKS.register("alexnet_conv5")(partial(alexnet_shapes, "conv5"))
CHECKS.register("alexnet_pool3")(partial(alexnet_shapes, "pool3"))


@CHECKS.register("alexnet_conv1_weights")
def alexnet_conv1_weights() -> Iterable[float]:
    """Weights of the first convolution, its 96 biases apart."""
    (first, *_) = on_meta(alexnet).children()
    assert isinstance(first, nn.Conv2d)
    return [first.weight.numel()]


@CHECKS.register("alexnet_pool1")
def alexnet_pool1() -> Iterable[float]:
    """Output of the first pool, and its parameters."""
    model = on_meta(alexnet)
    return [*alexnet_shapes("pool1"), parameters(dict(model.named_children())["pool1"])]


@CHECKS.register("alexnet_fc")
def alexnet_fc() -> Iterable[float]:
    """Widths of the three dense layers."""
    shapes = output_shapes(on_meta(alexnet), ALEXNET_INPUT)
    return [shapes[layer][0] for layer in ("fc6", "fc7", "fc8")]


@CHECKS.register("alexnet_parameters")
def alexnet_parameters() -> Iterable[float]:
    """All parameters of AlexNet as one tower, which no slide prints."""
    return [parameters(on_meta(alexnet))]


@CHECKS.register("inception_3a")
def inception_3a() -> Iterable[float]:
    """Channels and side of the output of GoogLeNet's module 3a, and its parameters."""
    module = on_meta(Inception)
    channels, side, _ = output_shapes(nn.Sequential(module), INCEPTION_INPUT)["0"]
    return [channels, side, parameters(module)]


@CHECKS.register("alphago_sizes")
def alphago_sizes() -> Iterable[float]:
    """Side after the padding and side and maps after each kind of convolution of the policy net."""
    shapes = output_shapes(on_meta(alphago), ALPHAGO_INPUT)
    first, second, twelfth, last = (shapes[f"conv{number}"] for number in (1, 2, 12, 13))
    return [shapes["pad1"][-1], first[-1], first[0], shapes["pad2"][-1], second[-1], second[0],
            twelfth[-1], twelfth[0], last[-1]]  # fmt: skip


@CHECKS.register("alphago_parameters")
def alphago_parameters() -> Iterable[float]:
    """All parameters of the policy network with 192 filters, which no slide prints."""
    return [parameters(on_meta(alphago))]


def by_layer(module: nn.Module) -> list[int]:
    """Return the parameters of each dense and convolution layer, in order."""
    return [parameters(layer) for _, _, layer in layers_of(module)]


def keras_mlp() -> MLP:
    """Return the network 784-256-256-256-10."""
    return MLP(input_shape=IMAGE, classes=10, widths=(256, 256, 256))


def keras_cnn() -> ConvNet:
    """Return conv 32 - pool - conv 64 - pool - FC 10, with biases everywhere."""
    return ConvNet(input_shape=IMAGE, classes=10, channels=(32, 64), conv_bias=True)


@CHECKS.register("linear_regression_parameters")
def linear_regression_parameters() -> Iterable[float]:
    """One input, one output."""
    return [parameters(LinearRegression(input_shape=(1,)))]


@CHECKS.register("logistic_parameters")
def logistic_parameters() -> Iterable[float]:
    """Two inputs, one output."""
    return [parameters(Linear(input_shape=(2,), classes=1))]


@CHECKS.register("softmax_8_points_parameters")
def softmax_8_points_parameters() -> Iterable[float]:
    """Four inputs, three classes."""
    return [parameters(Linear(input_shape=(4,), classes=3))]


def layer_parameters(build: Callable[[], nn.Module], number: int) -> Iterable[float]:
    """Parameters of one dense or convolution layer of a network, counted from 0."""
    return [by_layer(build())[number]]


CHECKS.register("mlp_dense_1")(partial(layer_parameters, keras_mlp, 0))
CHECKS.register("mlp_dense_2")(partial(layer_parameters, keras_mlp, 1))
CHECKS.register("mlp_dense_3")(partial(layer_parameters, keras_mlp, 2))
CHECKS.register("mlp_dense_4")(partial(layer_parameters, keras_mlp, 3))
CHECKS.register("cnn_conv_1")(partial(layer_parameters, keras_cnn, 0))
CHECKS.register("cnn_conv_2")(partial(layer_parameters, keras_cnn, 1))
CHECKS.register("cnn_dense")(partial(layer_parameters, keras_cnn, 2))


@CHECKS.register("mlp_total")
def mlp_total() -> Iterable[float]:
    """All of 784-256-256-256-10."""
    return [parameters(keras_mlp())]


@CHECKS.register("cnn_total")
def cnn_total() -> Iterable[float]:
    """All of the Keras network."""
    return [parameters(keras_cnn())]


@CHECKS.register("cnn_pools")
def cnn_pools() -> Iterable[float]:
    """Parameters of the two pools: what is left when the three layers are taken away."""
    rest = parameters(keras_cnn()) - sum(by_layer(keras_cnn()))
    return [rest, rest]


@CHECKS.register("cnn_shapes")
def cnn_shapes() -> Iterable[float]:
    """Height, width and channels after each convolution and each pool, then the flat length."""
    network = keras_cnn().network
    given: list[torch.Size] = []
    made: list[torch.Size] = []

    def note(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        given.append(inputs[0].shape[1:])
        made.append(output.shape[1:])

    for _, _, layer in layers_of(network):
        layer.register_forward_hook(note)
    network(torch.zeros(1, *IMAGE))
    # The second convolution is given what the first pool made, the dense layer what the second.
    side = isqrt(given[2].numel() // made[1][0])
    pooled = torch.Size((made[1][0], side, side))
    maps = (made[0], given[1], made[1], pooled)
    return [*(float(n) for c, h, w in maps for n in (h, w, c)), given[2].numel()]


@CHECKS.register("dense_connections")
def dense_connections() -> Iterable[float]:
    """Weights of 25-16-16-9-9, the biases apart (with them 931)."""
    widths = (25, 16, 16, 9, 9)
    model = MLP(input_shape=widths[:1], classes=widths[-1], widths=widths[1:-1])
    return [sum(layer.weight.numel() for _, _, layer in layers_of(model))]


@CHECKS.register("gan_layers")
def gan_layers() -> Iterable[float]:
    """Inputs and outputs of each layer of the generator, then of the discriminator."""
    gan = GAN(input_shape=IMAGE)
    layers = [*layers_of(gan.generator), *layers_of(gan.discriminator)]
    return [float(n) for _, _, layer in layers for n in reversed(layer.weight.shape)]


def output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> float:
    """Return (N + 2P - F)/S + 1, which is no whole number where the filter does not fit.

    A library would round it down.
    """
    return (size + 2 * padding - kernel) / stride + 1


def side(**settings: int) -> Iterable[float]:
    """Side of the output: 7x7, filter 3x3."""
    return [output_size(7, 3, **settings)]


CHECKS.register("conv_7x7_stride_1")(partial(side, stride=1))
CHECKS.register("conv_7x7_stride_2")(partial(side, stride=2))
CHECKS.register("conv_7x7_stride_3")(partial(side, stride=3))  # it does not fit: no whole number
CHECKS.register("conv_7x7_pad_1")(partial(side, padding=1))


@CHECKS.register("conv_strides")
def conv_strides() -> Iterable[float]:
    """Side and area of the output for strides 1 and 2: 7x7, filter 3x3."""
    sides = [output_size(7, 3, stride=stride) for stride in (1, 2)]
    return [value for side in sides for value in (side, side**2)]
