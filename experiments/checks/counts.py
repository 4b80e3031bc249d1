"""Parameter counts and shapes of the decks' own networks, from the modules that train here."""

from collections.abc import Iterable
from math import isqrt

import torch
from torch import nn

from ablation_lab.study.checks import CHECKS
from lightning_modules.convnet import ConvNet
from lightning_modules.gan import GAN
from lightning_modules.layers import layers_of
from lightning_modules.linear import Linear, LinearRegression
from lightning_modules.mlp import MLP

IMAGE = (1, 28, 28)


def parameters(module: nn.Module) -> int:
    """Return the number of parameters, biases included."""
    return sum(parameter.numel() for parameter in module.parameters())


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


@CHECKS.register("mlp_dense_1")
def mlp_dense_1() -> Iterable[float]:
    """First layer of 784-256-256-256-10."""
    return [by_layer(keras_mlp())[0]]


@CHECKS.register("mlp_dense_2")
def mlp_dense_2() -> Iterable[float]:
    """Second layer of 784-256-256-256-10."""
    return [by_layer(keras_mlp())[1]]


@CHECKS.register("mlp_dense_3")
def mlp_dense_3() -> Iterable[float]:
    """Third layer of 784-256-256-256-10."""
    return [by_layer(keras_mlp())[2]]


@CHECKS.register("mlp_dense_4")
def mlp_dense_4() -> Iterable[float]:
    """Last layer of 784-256-256-256-10."""
    return [by_layer(keras_mlp())[3]]


@CHECKS.register("mlp_total")
def mlp_total() -> Iterable[float]:
    """All of 784-256-256-256-10."""
    return [parameters(keras_mlp())]


@CHECKS.register("cnn_conv_1")
def cnn_conv_1() -> Iterable[float]:
    """First convolution of the Keras network."""
    return [by_layer(keras_cnn())[0]]


@CHECKS.register("cnn_conv_2")
def cnn_conv_2() -> Iterable[float]:
    """Second convolution of the Keras network."""
    return [by_layer(keras_cnn())[1]]


@CHECKS.register("cnn_dense")
def cnn_dense() -> Iterable[float]:
    """Dense layer of the Keras network."""
    return [by_layer(keras_cnn())[2]]


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
