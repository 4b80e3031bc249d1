"""How large a network is, by its family, from a run's configuration alone. Pure.

Comes in: a resolved configuration. Goes out: a ``Size``, biases and normalisations left out. Of a
family that is not here a guess is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ablation_lab.data import DATASETS

Config = Mapping[str, Any]

LSTM_GATES = 4
# Of FitNet-4's dense layer with maxout; its convolutions have two pieces, as all others.
FITNET_DENSE_PIECES = 5


@dataclass(frozen=True)
class Size:
    """Numbers in the weights, in the maps of one example, and multiply-adds of its forward pass."""

    weights: int
    maps: int
    multiply_adds: int


UNKNOWN = Size(weights=100_000, maps=1_000, multiply_adds=100_000)


def size(config: Config) -> Size:
    """Return the size of a run's network."""
    known = SIZES.get(config["model"]["family"])
    return UNKNOWN if known is None else known(config)


def inputs(config: Config) -> int:
    """Return how many numbers one example has."""
    return math.prod(DATASETS.get(config["data"]["name"]).shape)


def _classes(config: Config) -> int:
    # Real numbers have no classes: one output.
    return max(DATASETS.get(config["data"]["name"]).classes, 1)


def _pieces(config: Config) -> int:
    return 2 if config["model"].get("activation") == "maxout" else 1


def _chain(ends: list[int], pieces: int = 1) -> Size:
    """Return the size of dense layers between these widths; all but the last have pieces."""
    *hidden, last = [a * b for a, b in pairwise(ends)]
    weights = pieces * sum(hidden) + last
    return Size(weights, pieces * sum(ends), weights)


def dense(config: Config) -> Size:
    """Return the size of dense layers between the widths, the inputs and the classes."""
    widths = config["model"].get("widths", [])
    return _chain([inputs(config), *widths, _classes(config)], _pieces(config))


def _autoencoder(config: Config) -> Size:
    widths, entries = config["model"]["widths"], inputs(config)
    return _chain([entries, *widths, *reversed(widths[:-1]), entries], _pieces(config))


def _gan(config: Config) -> Size:
    """Of both networks: the generator once, the discriminator on real and on new examples, thrice.

    New examples pass it for its own loss and for the generator's.
    """
    model, entries = config["model"], inputs(config)
    generator = _chain([model["latent"], model["width"], entries])
    discriminator = _chain([entries, model["width"], 1])
    return Size(
        generator.weights + discriminator.weights,
        generator.maps + 3 * discriminator.maps,
        generator.multiply_adds + 3 * discriminator.multiply_adds,
    )


def _lstm(config: Config) -> Size:
    steps, entries = DATASETS.get(config["data"]["name"]).shape
    weights = LSTM_GATES * (entries + 1)
    # Every weight takes part in every step of the sequence.
    return Size(weights, steps * 3 * LSTM_GATES, steps * weights)


def _char_rnn(config: Config) -> Size:
    dataset = DATASETS.get(config["data"]["name"])
    (steps, entries), classes = dataset.shape, dataset.classes
    width = config["model"]["width"] or classes
    weights = (entries + width + classes) * width
    return Size(weights, steps * (2 * width + classes), steps * weights)


def _convnet(config: Config) -> Size:
    dataset, model = DATASETS.get(config["data"]["name"]), config["model"]
    depth, height, width = dataset.shape
    layers = []
    for channels in model["channels"]:
        layers.append(Convolution(depth, channels, height * width, model["kernel"]))
        depth, height, width = channels, -(-height // 2), -(-width // 2)
    dense = _chain([depth * height * width, *model["dense"], dataset.classes])
    return _of_layers(inputs(config), layers, _pieces(config), dense)


def _fitnet(config: Config) -> Size:
    dataset, model = DATASETS.get(config["data"]["name"]), config["model"]
    depth, height, width = dataset.shape
    layers = []
    for number, stage in enumerate(model["stages"]):
        positions = (height >> number) * (width >> number)
        for channels in stage:
            layers.append(Convolution(depth, channels, positions, 3))
            depth = channels
    pieces = _pieces(config)
    dense = _chain(
        [depth, model["units"], dataset.classes], FITNET_DENSE_PIECES if pieces > 1 else 1
    )
    return _of_layers(inputs(config), layers, pieces, dense)


def _resnet(config: Config) -> Size:
    dataset, model = DATASETS.get(config["data"]["name"]), config["model"]
    depth, height, width = dataset.shape
    layers = [Convolution(depth, model["width"], height * width, 3)]
    depth = model["width"]
    for stage in range(3):
        channels = model["width"] << stage
        positions = (height >> stage) * (width >> stage)
        for _ in range(model["blocks"]):
            layers += [Convolution(depth, channels, positions, 3)]
            layers += [Convolution(channels, channels, positions, 3)]
            depth = channels
    return _of_layers(inputs(config), layers, 1, _chain([depth, dataset.classes]))


@dataclass(frozen=True)
class Convolution:
    """A layer of ``outputs`` maps at so many ``positions``."""

    inputs: int
    outputs: int
    positions: int
    kernel: int

    @property
    def weights(self) -> int:
        """Without biases."""
        return self.inputs * self.outputs * self.kernel**2


def _of_layers(entries: int, layers: list[Convolution], pieces: int, dense: Size) -> Size:
    """Return the size of convolutions, whose maps are kept before and after what follows them."""
    return Size(
        pieces * sum(layer.weights for layer in layers) + dense.weights,
        entries + pieces * sum(2 * each.outputs * each.positions for each in layers) + dense.maps,
        pieces * sum(layer.weights * layer.positions for layer in layers) + dense.multiply_adds,
    )


SIZES: dict[str, Callable[[Config], Size]] = {
    "linear": dense,
    "linear_regression": dense,
    "mlp": dense,
    "rbm_mlp": dense,
    "torch_mlp": dense,
    "autoencoder": _autoencoder,
    "gan": _gan,
    "lstm": _lstm,
    "char_rnn": _char_rnn,
    "convnet": _convnet,
    "fitnet": _fitnet,
    "resnet": _resnet,
}
