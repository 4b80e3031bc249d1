"""Histograms by layer: shares that add up, on axes that hold them, and panels that say why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes

from ablation_lab.report.canvas import figure_of
from ablation_lab.report.figure_layers import (
    BINS,
    DARKEST,
    magnitude_edges,
    magnitude_shares,
    shares,
)
from ablation_lab.report.figures import figures_for
from ablation_lab.report.study import Study
from ablation_lab.store.layers import Layers
from ablation_lab.study.record import Histogram, LayerPoint, Probed
from tests.report.test_courses import norms

EVEN = Histogram(-1.0, 1.0, (5,) * 30)
SMALL = Histogram(-1e-6, 1e-6, (5,) * 30)
ZERO = Histogram(0.0, 0.0, (7,))
LOST = Histogram(float("nan"), float("nan"), ())
# The last row of `xor_depth`, depth 4: one activation has a cell, the other is excluded.
DEEPEST, EXCLUDED = 1, 0


def probed(before: tuple[Histogram, ...], after: tuple[Histogram, ...]) -> Probed:
    return Probed(
        tuple(
            LayerPoint(step, f"layer_{number}", {}, {"activation": layer, "gradient": layer})
            for step, layers in ((0, before), (9, after))
            for number, layer in enumerate(layers, start=1)
        )
    )


def panels(study: Study, name: str, seen: Probed | None) -> list[Axes]:
    cells = {c.cell: seen for c in study.declaration.cells if seen is not None}
    other = {study.declaration.cells[0].cell: probed((EVEN, EVEN), (EVEN, EVEN))}
    made = replace(study, layers=Layers(norms([(0, 1.0, 1.0)]), cells or other))
    return figure_of(figures_for(made)[name](made)).axes


def words(ax: Axes) -> list[str]:
    """What a panel says, without the levels beside it."""
    return [text.get_text() for text in ax.texts if text.get_transform() == ax.transAxes]


@pytest.mark.parametrize("histogram", [EVEN, SMALL, ZERO, Histogram(0.2, 0.9, (0, 3, 1))])
def test_every_value_is_in_one_bin(histogram: Histogram) -> None:
    edges = magnitude_edges([EVEN, histogram])
    assert edges is not None
    assert magnitude_shares(histogram, edges).sum() == pytest.approx(1.0)
    assert shares(histogram, np.linspace(-2, 2, BINS + 1)).sum() == pytest.approx(1.0)


def test_magnitudes_fall_where_they_belong() -> None:
    edges = np.array([0.01, 0.1, 0.5, 1.0])
    # Even on [-1, 1]: the share of magnitudes up to t is t.
    np.testing.assert_allclose(magnitude_shares(EVEN, edges), [0.1, 0.4, 0.5])
    one_sided = Histogram(0.0, 1.0, (1,))
    np.testing.assert_allclose(magnitude_shares(one_sided, edges), [0.1, 0.4, 0.5])
    negative = Histogram(-1.0, -0.5, (1,))
    np.testing.assert_allclose(magnitude_shares(negative, edges), [0.0, 0.0, 1.0])
    np.testing.assert_allclose(magnitude_shares(ZERO, edges), [1.0, 0.0, 0.0])


def test_the_axis_of_magnitudes_reaches_below_the_smallest_layer() -> None:
    edges = magnitude_edges([SMALL, ZERO, LOST, EVEN])
    assert edges is not None
    np.testing.assert_allclose(edges[[0, -1]], [1e-8, 1.0])
    np.testing.assert_allclose(np.diff(np.log(edges)), np.log(1e8) / BINS)
    assert magnitude_edges([ZERO, LOST]) is None


def test_darkness_means_the_same_in_every_panel(studies: dict[str, Study]) -> None:
    seen = probed((EVEN, SMALL, EVEN), (ZERO, EVEN, EVEN))
    for name in ("activations", "gradients_entries", "activations_trained"):
        ax = panels(studies["xor_depth"], name, seen)[DEEPEST]
        (image,) = ax.images
        assert (image.norm.vmin, image.norm.vmax) == (0, DARKEST**0.5)
        pixels = np.asarray(image.get_array()) ** 2
        np.testing.assert_allclose(pixels.sum(0), 1.0)


def test_gradients_have_all_layers_and_activations_the_hidden_ones(
    studies: dict[str, Study],
) -> None:
    seen = probed((EVEN, SMALL, EVEN), (EVEN, SMALL, EVEN))
    for name, layers in (("activations", 2), ("gradients_entries_trained", 3)):
        (image,) = panels(studies["xor_depth"], name, seen)[DEEPEST].images
        assert image.get_array().shape == (BINS, layers)


def test_a_layer_that_is_not_finite_is_a_cross_between_the_others(
    studies: dict[str, Study],
) -> None:
    seen = probed((EVEN, LOST, EVEN), (LOST, LOST, LOST))
    ax = panels(studies["xor_depth"], "gradients_entries", seen)[DEEPEST]
    (crosses,) = ax.lines
    assert list(crosses.get_xdata()) == [2]
    pixels = np.asarray(ax.images[0].get_array())
    assert (pixels[:, 1] == 0).all()
    assert pixels[:, 0].any()


def test_panels_without_a_picture_say_why(studies: dict[str, Study]) -> None:
    seen = probed((EVEN, ZERO, ZERO), (LOST, LOST, LOST))
    study = studies["xor_depth"]
    for name in ("activations_trained", "gradients_entries_trained"):
        found = panels(study, name, seen)
        assert (words(found[DEEPEST]), words(found[EXCLUDED])) == (["not finite"], ["excluded"])
    assert words(panels(study, "activations", None)[DEEPEST]) == ["not probed"]
    shallow = probed((EVEN,), (EVEN,))
    assert words(panels(study, "activations", shallow)[DEEPEST]) == ["no hidden layer"]
    zeros = probed((ZERO, ZERO), (ZERO, ZERO))
    assert words(panels(study, "gradients_entries", zeros)[DEEPEST]) == ["all zero"]


def test_nothing_probed_gives_no_figure(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    bare = replace(study, layers=Layers(norms([(0, 1.0, 1.0)])))
    assert not {"activations", "gradients_entries"} & set(figures_for(bare))
