"""Generated images as one picture: what a generative run leaves to look at."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def write_grid(images: NDArray[np.float32], path: Path) -> None:
    """Write images (N, channels, H, W) in [0, 1], one channel or three, as one picture."""
    grid = image_grid(images)
    Image.fromarray(grid[..., 0] if grid.shape[-1] == 1 else grid).save(path)


def image_grid(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay images (N, channels, H, W) in [0, 1] out as one, (rows x H, columns x W, channels).

    As many columns as rows, or one more; what is left of the last row stays black, and so does a
    pixel that is not finite.
    """
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    padded = np.zeros((rows * columns, channels, height, width), np.float32)
    padded[:count] = np.clip(np.nan_to_num(images), 0, 1)
    laid = padded.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    grid = laid.reshape(rows * height, columns * width, channels)
    pixels: NDArray[np.uint8] = np.rint(grid * 255).astype(np.uint8)
    return pixels
