"""Random changes of images that keep their class: mirroring, and crops of the padded image.

Comes in: a batch of images. Goes out: a batch of the same shape. Drawn from torch's global
generator, as dropout is.
"""

import torch
from torch import Tensor
from torch.nn import functional

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
