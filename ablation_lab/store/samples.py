"""What generative runs made: for each cell the picture of one run.

In: the store and the frame of a study. Out: grey or coloured pictures by cell, each a square of
generated images, of the first finished replicate whose picture the store has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation_lab.store.artifacts import artifact_image, has_artifact
from ablation_lab.store.frame import open_store
from ablation_lab.study.record import Status

METRIC = "test_distance"  # what generative runs alone are measured by
FILE = "samples.png"

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
    said = f"{len(lost)} cells, such as {lost[0]}: the store has no {FILE} of any replicate"
    return Samples(images, (f"{said}, so the figure of samples leaves them out",))


def _first_image(uri: str, run_ids: Iterable[str]) -> Image | None:
    client = open_store(uri)
    for run_id in run_ids:
        if has_artifact(client, run_id, FILE):
            return artifact_image(client, run_id, FILE)
    return None
