"""Generated images are kept as one picture with the record of their run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from ablation_lab.store.pictures import image_grid, write_grid
from ablation_lab.store.write import Tracker
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName


def test_every_image_has_its_place_in_the_grid() -> None:
    images = np.random.default_rng(0).random((7, 3, 4, 5)).astype(np.float32)
    grid = image_grid(images)
    assert grid.shape == (3 * 4, 3 * 5, 3)
    for number, image in enumerate(images):
        row, column = divmod(number, 3)
        found = grid[row * 4 : row * 4 + 4, column * 5 : column * 5 + 5]
        assert np.array_equal(found, np.rint(image.transpose(1, 2, 0) * 255))
    assert not grid[8:, 5:].any()


def test_what_is_outside_the_range_or_no_number_is_cut() -> None:
    images = np.array([2.0, -1.0, np.nan, np.inf], np.float32).reshape(1, 1, 2, 2)
    assert image_grid(images)[..., 0].tolist() == [[255, 0], [0, 255]]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_the_picture_is_grey_or_coloured(tmp_path: Path, channels: int, mode: str) -> None:
    write_grid(np.ones((4, channels, 2, 3), np.float32), tmp_path / "samples.png")
    with Image.open(tmp_path / "samples.png") as picture:
        assert (picture.mode, picture.size) == (mode, (6, 4))


def test_the_picture_lies_with_the_run(
    store: str, tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run()
    images = np.zeros((4, 1, 2, 2), np.float32)
    record = Record(run=run, status=Status.FINISHED, trainer=TrainerName.SINGLE, images=images)
    (run_id,) = Tracker(store, tmp_path / "artifacts").write([record])
    names = [entry.path for entry in MlflowClient(store).list_artifacts(run_id)]
    assert names == ["samples.png"]
