"""Random changes: dropout masks that belong to one run, and images that keep their class.

Comes in: a batch, and for a mask one number per run. Goes out: a batch of the same shape. A mask is
a hash of the run's stream, the step, the call and the position, so that a run in a stack draws the
same masks whatever its neighbours are, on every device. Mirrored and moved images are drawn from
torch's global generator, as torch's own dropout is.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# The largest number of 24 bits, which float32 holds exactly, plus one.
RANGE = 1 << 24


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


MARGIN = 4


def mirror_and_crop(x: Tensor) -> Tensor:
    """Return every image mirrored with probability 1/2, and moved by up to 4 pixels each way.

    What moves in from outside is 0. Shapes: (B, C, H, W) -> the same.
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
