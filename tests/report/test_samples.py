"""What generative runs made: which picture is shown, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ablation_lab.report.canvas import figure_of, save
from ablation_lab.report.captions import SHOWN, WITHOUT_RULE
from ablation_lab.report.figures import figures_for
from ablation_lab.report.files import write_study
from ablation_lab.report.panels import sample_grids
from ablation_lab.report.study import Study, load
from tests.report.golden_store import Writer, declaration, grid

FACTORS = {"init": ["he", "xavier", "lsuv"]}


def picture(shade: int) -> Any:
    """A grid of 6 x 4 pixels of one shade, with one that is white."""
    pixels = np.full((6, 4), shade, np.uint8)
    pixels[0, 1] = 255
    return Image.fromarray(pixels)


def write(writer: Writer) -> None:
    """Three cells: the first has both pictures, the second only replicate 1's, the third none."""
    made = declaration(
        "gan", "quick", factors=FACTORS, cells=grid(FACTORS), replicates=2,
        metric="test_distance", higher_is_better=False, chance=None,
    )  # fmt: skip
    writer.declare(made)
    for cell in grid(FACTORS):
        for r in (1, 0):  # the order of writing is not that of the replicates
            run = writer.run(made, cell["cell"], r, metrics={"test_distance": 1.0 + r})
            kept = {"init=he": (0, 1), "init=xavier": (1,), "init=lsuv": ()}[cell["cell"]]
            if r in kept:
                writer.client.log_image(run, picture(10 + 40 * r), "samples.png")


@pytest.fixture
def study(new_writer: Callable[[], Writer]) -> Study:
    writer = new_writer()
    write(writer)
    return load(writer.uri, "quick")[0]


def test_each_cell_shows_its_first_replicate_that_has_a_picture(study: Study) -> None:
    images = study.samples.images
    assert list(images) == ["init=he", "init=xavier"]
    for cell, shade in (("init=he", 10), ("init=xavier", 50)):
        expected = np.asarray(picture(shade)) / 255
        np.testing.assert_allclose(images[cell], expected, atol=1e-6)


def test_a_cell_without_a_picture_is_said(study: Study) -> None:
    (problem,) = study.problems
    assert problem.startswith("1 cells, such as init=lsuv: the store has no samples.png")


def test_panels_stand_side_by_side_and_say_what_is_missing(study: Study) -> None:
    axes = figure_of(figures_for(study)["samples"](study)).axes
    assert [ax.get_title() for ax in axes] == ["he", "xavier", "lsuv"]
    assert {ax.get_subplotspec().rowspan.start for ax in axes} == {0}
    assert [[text.get_text() for text in ax.texts] for ax in axes] == [[], [], ["x"]]
    for ax in axes[:2]:
        (image,) = ax.images
        assert (image.get_interpolation(), image.get_cmap().name) == ("none", "gray")
        assert (image.norm.vmin, image.norm.vmax) == (0, 1)
        np.testing.assert_allclose(image.get_array()[0, 1], 1.0)


def test_panels_follow_a_layout_of_columns(new_writer: Callable[[], Writer]) -> None:
    factors = {"init": ["he", "xavier"], "width": ["4", "8"]}
    writer = new_writer()
    made = declaration(
        "gan", "quick", factors=factors, cells=grid(factors), replicates=1,
        metric="test_distance", layout={"rows": "init", "columns": ["width"]},
    )  # fmt: skip
    writer.declare(made)
    for shade, cell in enumerate(grid(factors)):
        run = writer.run(made, cell["cell"], 0, metrics={"test_distance": 1.0})
        writer.client.log_image(run, picture(shade), "samples.png")
    axes = figure_of(sample_grids(load(writer.uri, "quick")[0])).axes
    shades = [round(float(ax.images[0].get_array()[5, 3]) * 255) for ax in axes]
    assert shades == [0, 1, 2, 3]
    assert [ax.get_title() for ax in axes[:2]] == ["width 4", "width 8"]


def test_no_other_study_has_the_figure(studies: dict[str, Study]) -> None:
    for study in studies.values():
        assert not study.samples.images
        assert "samples" not in figures_for(study)


def test_the_picture_is_written_the_same_twice_and_has_a_caption(
    study: Study, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save(sample_grids(study), tmp_path / name, "samples")
    for ending in ("svg", "png"):
        first, second = (tmp_path / n / f"figure_samples.{ending}" for n in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
    assert "samples" in [one.name for one in write_study(study, tmp_path / "study")[1]]
    assert "samples" in SHOWN
    assert "samples" in WITHOUT_RULE
