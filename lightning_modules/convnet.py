"""Convolutional networks: convolutions with pooling, then dense layers.

Comes in: images, as such or flat. Goes out: logits.
"""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.activations import MONOTONE, activation_along, pieces
from lightning_modules.families import Classifier, Common
from lightning_modules.layers import Convolution, Dense, dropout, sizes
from lightning_modules.registry import FAMILIES

CHANNEL_AXIS = 1
# How far an image is moved, in pixels.
MARGIN = 4


class ConvNetNetwork(nn.Module):
    """Per convolution: kernel x kernel SAME, activation, 2x2 maximum pool, dropout; then an MLP.

    Pools keep a last odd row and column, as TensorFlow's SAME does: 28 -> 14 -> 7 -> 4.
    `convolutions` and `linears` hold the layers, the last one gives the logits; in front of
    maxout they are `pieces` times as wide as the settings say.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        outputs: int,
        channels: Sequence[int],
        kernel: int = 3,
        conv_bias: bool = False,
        dense_widths: Sequence[int] = (),
        activation: str = "relu",
        keep_prob: float = 1.0,
        dense_keep_prob: float | None = None,
    ) -> None:
        super().__init__()
        self.input_shape = image_shape(input_shape)
        # Quicker on a CPU; a stack, in which torch cannot ask for it, sets the plain one.
        self.memory_format = torch.channels_last
        self.activation = activation
        self.activate_maps = activation_along(activation, CHANNEL_AXIS)
        self.activate = activation_along(activation, -1)
        self.pool_first = activation in MONOTONE
        self.keep_prob = keep_prob
        self.dense_keep_prob = keep_prob if dense_keep_prob is None else dense_keep_prob
        self.dropout = dropout(self.keep_prob)
        self.dense_dropout = dropout(self.dense_keep_prob)
        depths = (self.input_shape[0], *channels)
        parts = pieces(activation)
        self.convolutions = nn.ModuleList(
            Convolution(depths[i], depths[i + 1], kernel=kernel, bias=conv_bias, pieces=parts)
            for i in range(len(channels))
        )
        ends = (_features(self.input_shape, channels), *dense_widths)
        hidden = [Dense(ends[i], ends[i + 1], pieces=parts) for i in range(len(dense_widths))]
        self.linears = nn.ModuleList([*hidden, Dense(ends[-1], outputs)])

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits. Shapes: (B, channels, H, W), (B, H, W) or flat (B, D) -> (B, C)."""
        maps = x.reshape(x.shape[0], *self.input_shape)
        maps = maps.contiguous(memory_format=self.memory_format)
        for convolved in self.convolutions:
            maps = self.dropout(self._pool(convolved(maps)))
        *hidden, last = self.linears
        h = maps.flatten(1)
        for linear in hidden:
            h = self.dense_dropout(self.activate(linear(h)))
        logits: Tensor = last(h)
        return logits

    def _pool(self, maps: Tensor) -> Tensor:
        if self.pool_first:
            return self.activate_maps(functional.max_pool2d(maps, 2, ceil_mode=True))
        return functional.max_pool2d(self.activate_maps(maps), 2, ceil_mode=True)


@FAMILIES.register("convnet")
class ConvNet(Classifier):
    """A convolutional network by its settings.

    For MNIST: channels (32, 64) with 50,090 parameters, 50,186 with `conv_bias`; channels
    (32, 64, 128) and dense (625,) with 1,379,333.

    Arguments: `input_shape` (channels, H, W) or (H, W); `channels` after each convolution;
    `dense` widths of the hidden dense layers; `keep_prob` after every pool and every hidden
    dense layer, where `dense_keep_prob` takes precedence if given; `init` and `dense_init`
    (None: the same); the others as for `Classifier`.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        channels: Sequence[int] = (32, 64),
        kernel: int = 3,
        conv_bias: bool = False,
        dense: Sequence[int] = (),
        activation: str = "relu",
        init: str = "xavier_uniform",
        dense_init: str | None = None,
        bias_init: str = "zeros",
        keep_prob: float = 1.0,
        dense_keep_prob: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        network = ConvNetNetwork(
            input_shape=input_shape,
            outputs=sizes("classes", (classes,))[0],
            channels=sizes("channels", channels),
            kernel=sizes("kernel", (kernel,))[0],
            conv_bias=conv_bias,
            dense_widths=sizes("dense", dense),
            activation=activation,
            keep_prob=keep_prob,
            dense_keep_prob=dense_keep_prob,
        )
        super().__init__(
            network=network,
            classes=classes,
            init={"conv": init, "dense": init if dense_init is None else dense_init},
            bias_init=bias_init,
            **common,
        )


def image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return (channels, H, W), from that or from (H, W) of one channel.

    Errors: ValueError for another number of axes.
    """
    found = sizes("input_shape", shape)
    if len(found) == 2:
        return 1, found[0], found[1]
    if len(found) == 3:
        return found[0], found[1], found[2]
    raise ValueError(f"input_shape: expected (channels, H, W) or (H, W), found {found}")


def _features(shape: tuple[int, int, int], channels: Sequence[int]) -> int:
    """Return how many numbers one image has after all pools, each of which halves, rounding up."""
    depth, height, width = (shape[0], *channels)[-1], shape[1], shape[2]
    for _ in channels:
        height, width = -(-height // 2), -(-width // 2)
    return depth * height * width


def mirror_and_crop(x: Tensor) -> Tensor:
    """Return every image mirrored with probability 1/2, and moved by up to 4 pixels each way.

    It draws from torch's global generator, as torch's dropout does. What moves in from outside is
    0. Shapes: (B, C, H, W) -> the same.
    """
    count, _, height, width = x.shape
    padded = functional.pad(x, (MARGIN,) * 4)
    top, left = torch.randint(0, 2 * MARGIN + 1, (2, count, 1), device=x.device)
    rows = top + torch.arange(height, device=x.device)
    columns = left + torch.arange(width, device=x.device)
    mirrored = torch.rand(count, 1, device=x.device) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    images = torch.arange(count, device=x.device)[:, None, None]
    # Indexed axes come first: (B, H, W, C).
    moved = padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)
