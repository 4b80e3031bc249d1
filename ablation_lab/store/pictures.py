"""Pictures of generated images: what a generative run leaves to look at, written and read back.

In: images of a run, or the store and the frame of a study. Out: one picture that is a square of
them; by cell the picture of the first finished replicate whose file the store has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
from numpy.typing import NDArray

from ablation_lab.store.client import Store
from ablation_lab.store.tags import File
from ablation_lab.study.record import Status

METRIC = "test_distance"  # what generative runs alone are measured by

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Samples:
    """Pictures in [0, 1] by cell, (H, W) or (H, W, channels), and what the store lacks."""

    images: Mapping[str, Image] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def load_samples(uri: str, frame: pd.DataFrame) -> Samples:
    """The pictures of a study's generative runs; none where no run generates."""
    if METRIC not in frame.columns:
        return Samples()
    finished = frame[frame["status"] == Status.FINISHED].sort_values("replicate", kind="stable")
    generating = finished[METRIC].notna().groupby(finished["cell"]).transform("any")
    by_cell = finished[generating].groupby("cell", sort=False)["run_id"]
    found = {str(cell): _first_image(uri, run_ids) for cell, run_ids in by_cell}
    images = {cell: image for cell, image in found.items() if image is not None}
    lost = [cell for cell in found if cell not in images]
    if not lost:
        return Samples(images)
    said = f"{len(lost)} cells, such as {lost[0]}: the store has no {File.SAMPLES} of any replicate"
    return Samples(images, (f"{said}, so the figure of samples leaves them out",))


def _first_image(uri: str, run_ids: Iterable[str]) -> Image | None:
    store = Store(uri)
    for run_id in run_ids:
        if store.has(run_id, File.SAMPLES):
            with store.file(run_id, File.SAMPLES) as path:
                return read_picture(path)
    return None


def read_picture(path: Path) -> Image:
    """A PNG file in [0, 1]: shape (H, W) where it is grey, else (H, W, channels)."""
    with PIL.Image.open(path) as picture:
        return np.asarray(picture, dtype=np.float32) / np.float32(255)


def write_grid(images: NDArray[np.float32], path: Path) -> None:
    """Write images (N, channels, H, W) in [0, 1], one channel or three, as one picture."""
    grid = image_grid(images)
    PIL.Image.fromarray(grid[..., 0] if grid.shape[-1] == 1 else grid).save(path)


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
