"""Networks that the decks show as tables: plain modules, for shapes and parameter counts.

Comes in: nothing but widths. Goes out: torch modules, and what their layers put out on torch's meta
device, where a forward pass computes shapes and no numbers. They are no model families: nothing
here trains. Activations and dropout are left out, as they change no shape.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

LENET5_INPUT = (1, 32, 32)
ALEXNET_INPUT = (3, 227, 227)
INCEPTION_INPUT = (192, 28, 28)  # of module 3a of the paper, whose widths are the defaults
ALPHAGO_INPUT = (48, 19, 19)  # a board as 48 feature planes
BOARD = 19
HIDDEN_LAYERS = 11  # the layers 2 to 12 of the policy network
WINDOW = 5  # channels over which the local response normalisation sums


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a module whose parameters have shapes and no values."""
    with torch.device("meta"):
        return build()


def output_shapes(module: nn.Module, input_shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return the output shape of every named child, without the batch axis, in order of use.

    Shapes: the input is (1, *input_shape); a child that runs more than once keeps its last shape.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            shapes[name] = tuple(output.shape[1:])

        return hook

    hooks = [child.register_forward_hook(note(name)) for name, child in module.named_children()]
    module(torch.empty(1, *input_shape, device="meta"))
    for hook in hooks:
        hook.remove()
    return shapes


def parameters(module: nn.Module) -> int:
    """Return the number of parameters, biases included."""
    return sum(parameter.numel() for parameter in module.parameters())


def lenet5() -> nn.Sequential:
    """Return LeNet-5 (LeCun et al., 1998): 32 -> 28 -> 14 -> 10 -> 5 -> 1, 61,706 parameters.

    Every map of the second convolution sees all six maps below it (the original leaves some out);
    its pooling factors do not train.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, 5),
            pool1=nn.AvgPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            pool2=nn.AvgPool2d(2),
            conv3=nn.Conv2d(16, 120, 5),
            flat=nn.Flatten(),
            fc1=nn.Linear(120, 84),
            fc2=nn.Linear(84, 10),
        )
    )


def alexnet() -> nn.Sequential:
    """Return AlexNet as one tower (Krizhevsky et al., 2012): 62,378,344 parameters."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 96, 11, stride=4),
            pool1=nn.MaxPool2d(3, stride=2),
            norm1=nn.LocalResponseNorm(WINDOW),
            conv2=nn.Conv2d(96, 256, 5, padding=2),
            pool2=nn.MaxPool2d(3, stride=2),
            norm2=nn.LocalResponseNorm(WINDOW),
            conv3=nn.Conv2d(256, 384, 3, padding=1),
            conv4=nn.Conv2d(384, 384, 3, padding=1),
            conv5=nn.Conv2d(384, 256, 3, padding=1),
            pool3=nn.MaxPool2d(3, stride=2),
            flat=nn.Flatten(),
            fc6=nn.Linear(6 * 6 * 256, 4096),
            fc7=nn.Linear(4096, 4096),
            fc8=nn.Linear(4096, 1000),
        )
    )


class Inception(nn.Module):
    """The module of GoogLeNet (Szegedy et al., 2015): 163,696 parameters as module 3a.

    1x1, 1x1 then 3x3, 1x1 then 5x5, and pool then 1x1, concatenated along the channels. Arguments:
    channels of the input, of the 1x1 branch, of (reduction, 3x3), of (reduction, 5x5), and of the
    projection after the pool.
    """

    def __init__(
        self,
        inputs: int = INCEPTION_INPUT[0],
        *,
        one: int = 64,
        three: tuple[int, int] = (96, 128),
        five: tuple[int, int] = (16, 32),
        pooled: int = 32,
    ) -> None:
        super().__init__()
        self.one = nn.Conv2d(inputs, one, 1)
        self.three = nn.Sequential(
            nn.Conv2d(inputs, three[0], 1), nn.Conv2d(three[0], three[1], 3, padding=1)
        )
        self.five = nn.Sequential(
            nn.Conv2d(inputs, five[0], 1), nn.Conv2d(five[0], five[1], 5, padding=2)
        )
        self.pooled = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(inputs, pooled, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches side by side: (B, inputs, H, W) -> (B, outputs, H, W)."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], 1)


class PointBias(nn.Module):
    """Adds a bias of its own to every point of the board: x + b, b of shape (1, 19, 19)."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(1, BOARD, BOARD))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + b. Shapes: (B, 1, 19, 19) -> the same."""
        return x + self.bias


def alphago(filters: int = 192) -> nn.Sequential:
    """Return the policy network of AlphaGo (Silver et al., 2016): 3,882,793 parameters with 192.

    The zero padding is a layer of its own, as the paper tells it. Goes out: a score for each point.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        pad1=nn.ZeroPad2d(2), conv1=nn.Conv2d(ALPHAGO_INPUT[0], filters, 5)
    )
    for number in range(2, 2 + HIDDEN_LAYERS):
        layers[f"pad{number}"] = nn.ZeroPad2d(1)
        layers[f"conv{number}"] = nn.Conv2d(filters, filters, 3)
    layers["conv13"] = nn.Conv2d(filters, 1, 1, bias=False)
    layers["bias13"] = PointBias()
    return nn.Sequential(layers)
