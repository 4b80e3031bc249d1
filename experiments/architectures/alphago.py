"""The policy network of AlphaGo (Silver et al., Nature 2016).

Comes in: a board as 48 feature planes (B, 48, 19, 19). Goes out: a score for each of its points,
(B, 1, 19, 19).
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

INPUT = (48, 19, 19)
SIDE = 19
HIDDEN_LAYERS = 11  # the layers 2 to 12


class PointBias(nn.Module):
    """Adds a bias of its own to every point of the board: x + b, b of shape (1, 19, 19)."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(1, SIDE, SIDE))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + b. Shapes: (B, 1, 19, 19) -> the same."""
        return x + self.bias


def alphago(filters: int = 192) -> nn.Sequential:
    """Return the network with `filters` maps a layer: 3,882,793 parameters with 192.

    The zero padding is a layer of its own, as the paper tells it. The ReLU after each layer and
    the softmax over the points are left out, as they change no shape.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        pad1=nn.ZeroPad2d(2), conv1=nn.Conv2d(INPUT[0], filters, 5)
    )
    for number in range(2, 2 + HIDDEN_LAYERS):
        layers[f"pad{number}"] = nn.ZeroPad2d(1)
        layers[f"conv{number}"] = nn.Conv2d(filters, filters, 3)
    layers["conv13"] = nn.Conv2d(filters, 1, 1, bias=False)
    layers["bias13"] = PointBias()
    return nn.Sequential(layers)
