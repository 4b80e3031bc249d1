"""Files of runs: whether the store has one, and what it says or shows.

In: a client of the store (`frame.open_store`), a run and the name of a file. Out: text or pixels.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlflow import MlflowClient


def has_artifact(client: MlflowClient, run_id: str, name: str) -> bool:
    """Whether the store has that file of a run."""
    return any(item.path == name for item in client.list_artifacts(run_id))


def artifact_text(client: MlflowClient, run_id: str, name: str) -> str:
    """A text file of a run."""
    with tempfile.TemporaryDirectory() as folder:
        return Path(client.download_artifacts(run_id, name, folder)).read_text(encoding="utf-8")


def artifact_image(client: MlflowClient, run_id: str, name: str) -> NDArray[np.float32]:
    """A PNG file of a run, in [0, 1]: shape (H, W) where it is grey, else (H, W, channels)."""
    from matplotlib.image import imread

    with tempfile.TemporaryDirectory() as folder:
        pixels = imread(client.download_artifacts(run_id, name, folder))
    return np.asarray(pixels, dtype=np.float32)
