"""The inception module of GoogLeNet (Szegedy et al., 2015).

Comes in: maps (B, inputs, H, W). Goes out: maps (B, outputs, H, W), four branches side by side.
"""

import torch
from torch import Tensor, nn

# Module 3a of the paper: its input, and the widths of its branches.
INPUT = (192, 28, 28)


class Inception(nn.Module):
    """1x1, 1x1 then 3x3, 1x1 then 5x5, and pool then 1x1, concatenated along the channels.

    Arguments: channels of the input, of the 1x1 branch, of (reduction, 3x3), of (reduction, 5x5),
    and of the projection after the pool. The defaults are module 3a: 163,696 parameters.
    """

    def __init__(
        self,
        inputs: int = 192,
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
