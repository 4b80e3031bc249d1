"""Layers as every network here builds them: sizes checked, maxout pieces marked, one dropout.

Comes in: sizes and keep_prob. Goes out: torch layers whose values are still to be initialised.
A layer in front of maxout is `pieces` times as wide and carries that number as its attribute
`pieces`, so that initialisers treat each piece as a layer of its own. In a stack dropout has masks
of the run's own: a hash of the run's stream, the step, the call and the position, so that a run
draws the same masks whatever its neighbours are, on every device.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

Layer: TypeAlias = nn.Linear | nn.Conv2d
KINDS = ("conv", "dense")
# The largest number of 24 bits, which float32 holds exactly, plus one.
RANGE = 1 << 24


class Dense(nn.Linear):
    """A dense layer with bias: (B, inputs) -> (B, pieces x outputs)."""

    def __init__(self, inputs: int, outputs: int, *, pieces: int = 1) -> None:
        super().__init__(inputs, pieces * outputs)
        self.pieces = pieces

    def reset_parameters(self) -> None:
        """Draw nothing: the values come from `initialize`, the global random state stays."""


class Convolution(nn.Conv2d):
    """A convolution of stride 1 that keeps the size ("SAME").

    Shapes: (B, inputs, H, W) -> (B, pieces x outputs, H, W).
    """

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, bias: bool, pieces: int = 1
    ) -> None:
        super().__init__(inputs, pieces * outputs, kernel, padding="same", bias=bias)
        self.pieces = pieces
        # Measured on a CPU, batch 100: a training step takes 0.6 to 0.8 of the time.
        self.weight.data = torch.empty(self.weight.shape, memory_format=torch.channels_last)

    def reset_parameters(self) -> None:
        """Draw nothing: the values come from `initialize`, the global random state stays."""


def dropout(keep_prob: float) -> nn.Module:
    """Return dropout that keeps each unit with probability `keep_prob` and scales by its inverse.

    It is the identity where keep_prob is 1, and in evaluation.
    Errors: ValueError if keep_prob is not in (0, 1].
    """
    if not 0.0 < keep_prob <= 1.0:
        raise ValueError(
            f"keep_prob: expected a probability in (0, 1], found {keep_prob!r}; "
            "it is the probability to keep a unit, 1 switches dropout off"
        )
    return nn.Identity() if keep_prob == 1.0 else nn.Dropout(1 - keep_prob)


def sizes(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Return the values as a tuple of positive whole numbers.

    Errors: ValueError that names the setting and the value that is wrong.
    """
    checked = tuple(values)
    for value in checked:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: expected whole numbers >= 1, found {value!r} in {checked!r}")
    return checked


def pieces_of(layer: nn.Module) -> int:
    """Return how many maxout pieces the layer's outputs hold, 1 for a layer without the mark."""
    found = getattr(layer, "pieces", 1)
    return found if isinstance(found, int) else 1


def layers_of(network: nn.Module) -> Iterator[tuple[str, str, Layer]]:
    """Yield (path, "conv" or "dense", layer) for each dense and convolution layer."""
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            yield path, "conv", module
        elif isinstance(module, nn.Linear):
            yield path, "dense", module


def mix(x: Tensor) -> Tensor:
    """Return a permutation of the int32 numbers in which every input bit turns half of the others.

    x ^= x >> 16; x *= 0x7feb352d; x ^= x >> 15; x *= 0x846ca68b; x ^= x >> 16, all modulo 2^32
    (lowbias32 of Chris Wellons' hash prospector, which searched for the constants).
    """
    x = (x ^ _shifted(x, 16)) * 0x7FEB352D
    x = (x ^ _shifted(x, 15)) * (0x846CA68B - (1 << 32))
    return x ^ _shifted(x, 16)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros, as for unsigned numbers."""
    return (x >> bits) & ((1 << (32 - bits)) - 1)


class OwnDropout(nn.Module):
    """Dropout whose masks come from `stream`: y = x m / keep_prob, m = 1 with that probability.

    `stream` and `keep_prob` are buffers of one number, so that a stack may have its own for every
    run. `at_step` has to be called before each step; several calls within a step differ.
    Shapes: any x; the mask has the shape of x.
    """

    def __init__(self, *, keep_prob: float, stream: int) -> None:
        super().__init__()
        self.keep_prob: Tensor
        self.stream: Tensor
        self.register_buffer("keep_prob", torch.tensor(keep_prob))
        self.register_buffer("stream", torch.tensor(stream % (1 << 31), dtype=torch.int32))
        self._step: int | Tensor = 0
        self._calls = 0

    def at_step(self, step: int | Tensor) -> None:
        """Begin a step: its masks are those of this number, or of this int32 tensor of one."""
        self._step, self._calls = step, 0

    def forward(self, x: Tensor) -> Tensor:
        """Return x with units dropped; x itself in evaluation."""
        if not self.training:
            return x
        self._calls += 1
        key = mix(mix(mix(self.stream) + self._step) + self._calls)
        positions = torch.arange(x.numel(), dtype=torch.int32, device=x.device).view(x.shape)
        bits = _shifted(mix(positions ^ key), 8)
        return torch.where(bits < self.keep_prob * RANGE, x / self.keep_prob, 0.0)
