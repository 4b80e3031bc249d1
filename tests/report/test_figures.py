"""Figures: what is drawn, where, and with what bytes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from seaborn.utils import relative_luminance

from ablation_lab.report.canvas import COLOURS, DASHES, MARKERS, figure_of, fit, save, stretched
from ablation_lab.report.figure_curves import (
    ensemble_size,
    member_curve,
    numeric_curve,
    training_curves,
)
from ablation_lab.report.figure_effects import importance, main_effects
from ablation_lab.report.figures import figures_for, heat_map, ladder, points
from ablation_lab.report.study import Study
from ablation_lab.statistics.effects import level_means
from tests.report.grids import with_cells

WANTED = {
    "keep_prob": [
        "by_keep_prob", "effects", "forest", "heat", "importance", "ladder", "points", "training",
    ],
    "ladder": ["ladder", "points", "training"],
    "xor_depth": ["by_depth", "effects", "heat", "importance", "points", "training"],
}  # fmt: skip


def crosses(ax: Axes) -> int:
    return sum(len(line.get_xdata()) for line in ax.lines if line.get_marker() == "x")


def error_bars(ax: Axes) -> list[np.ndarray]:
    return [np.array(c.get_segments()) for c in ax.collections if hasattr(c, "get_segments")]


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_study_gets_the_figures_that_suit_it(studies: dict[str, Study], name: str) -> None:
    assert sorted(figures_for(studies[name])) == WANTED[name]


@pytest.mark.parametrize("name", sorted(WANTED))
def test_every_figure_labels_its_axes_and_keeps_given_axes(
    studies: dict[str, Study], name: str
) -> None:
    for draw in figures_for(studies[name]).values():
        ax = Figure().subplots()
        assert draw(studies[name], ax=ax) is ax  # type: ignore[call-arg]
        assert ax.get_xlabel()


def test_points_draw_every_interval_and_cross_out_what_is_missing(
    studies: dict[str, Study],
) -> None:
    study = studies["keep_prob"]
    ax = points(study)
    assert crosses(ax) == 1  # the skipped cell
    segments = np.concatenate(error_bars(ax))
    drawn = sorted(zip(segments[:, 0, 0], segments[:, 1, 0], strict=True))
    bounded = study.cells.dropna(subset=["low"])
    wanted = sorted(zip(100 * bounded["low"], 100 * bounded["high"], strict=True))
    np.testing.assert_allclose(drawn, wanted)


def test_an_excluded_cell_is_crossed_out_too(studies: dict[str, Study]) -> None:
    assert crosses(points(studies["xor_depth"])) == 1
    factor = studies["xor_depth"].declaration.factor("depth")
    assert crosses(numeric_curve(studies["xor_depth"], factor=factor)) == 1


def test_the_curve_has_a_numeric_axis_in_order(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    ax = numeric_curve(study, factor=study.declaration.factor("keep_prob"))
    lines = [line for line in ax.lines if len(line.get_xdata()) == 3]
    # Series stand side by side, less than half a step from their level.
    assert list(lines[0].get_xdata()) == pytest.approx([0.5, 0.7, 1.0], abs=0.05)
    assert ax.get_xlabel() == "keep prob"


def test_shares_that_lie_together_have_an_axis_of_their_own(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    factor = next(f for f in study.declaration.compared if f.numeric)
    low, high = numeric_curve(study, factor=factor).get_ylim()
    assert low < 0
    assert high > 100
    near = study.cells.assign(low=0.96, estimate=0.97, high=0.98)
    low, high = numeric_curve(with_cells(study, near), factor=factor).get_ylim()
    assert 90 < low < 96
    assert 98 < high < 104


def test_lines_are_named_at_their_ends_where_those_lie_apart(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    factor = study.declaration.factor("keep_prob")
    apart = np.linspace(0.5, 0.9, len(study.cells))
    for estimates, at_ends in ((apart, True), (0.9, False)):
        cells = study.cells.assign(low=estimates, estimate=estimates, high=estimates)
        ax = numeric_curve(with_cells(study, cells), factor=factor)
        assert (ax.get_legend() is None) is at_ends
        names = [text.get_text() for text in ax.texts]
        assert len(names) == (2 if at_ends else 0)


def test_the_ladder_shows_printed_values(studies: dict[str, Study]) -> None:
    ax = ladder(studies["ladder"])
    diamonds = [x for line in ax.lines if line.get_marker() == "D" for x in line.get_xdata()]
    assert diamonds == [90.0, 50.0, 98.0]
    assert crosses(ax) == 1


def test_the_heat_map_writes_the_estimates(studies: dict[str, Study]) -> None:
    ax = heat_map(studies["xor_depth"])
    shown = {text.get_text() for text in ax.texts}
    assert shown == {f"{100 * v:.1f}" for v in studies["xor_depth"].cells["estimate"]}
    assert crosses(ax) == 1


def test_a_heat_map_hatches_cells_of_which_runs_did_not_converge(
    studies: dict[str, Study],
) -> None:
    study = studies["xor_depth"]
    cell = study.declaration.cells[0].cell
    cells = study.cells.assign(not_converged=(study.cells["cell"] == cell).astype(int))
    hatched = heat_map(with_cells(study, cells)).patches
    assert [patch.get_hatch() for patch in hatched] == ["////"]
    assert not heat_map(with_cells(study, cells.assign(not_converged=0))).patches


def test_numbers_of_a_heat_map_stand_out(studies: dict[str, Study]) -> None:
    ax = heat_map(studies["xor_depth"])
    (painted,) = ax.collections
    known = painted.get_array().compressed()
    for text, colour in zip(ax.texts, painted.to_rgba(known), strict=True):
        ground, ink = (relative_luminance(c) for c in (colour, text.get_color()))
        # Black or white reaches 4.58 on any ground, the least is WCAG's for text.
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) > 4.5


def test_the_colours_are_seaborns_for_the_colour_blind() -> None:
    theirs = seaborn.color_palette("colorblind").as_hex()
    assert [colour in theirs for colour in COLOURS].count(False) == 2
    assert list(COLOURS[:5]) == theirs[:5]


def test_an_infinite_loss_counts_in_the_median(studies: dict[str, Study]) -> None:
    study = studies["ladder"]
    curves = study.curves.assign(metric="train_loss")
    curves.loc[curves["replicate"] > 0, "value"] = np.inf
    ax = training_curves(replace(study, curves=curves))
    assert not any(np.isfinite(line.get_ydata()).any() for line in ax.lines)
    assert len(ax.get_legend().get_lines()) == 3


def test_main_effects_are_the_means_of_levels_with_their_intervals(
    studies: dict[str, Study],
) -> None:
    study = studies["xor_depth"]
    assert study.factorial is not None
    means = level_means(study.factorial)
    ax = main_effects(study)
    segments = np.concatenate(error_bars(ax))
    bounded = [mean for mean in means.values() if np.isfinite(mean.low)]
    drawn = sorted(zip(segments[:, 0, 0], segments[:, 1, 0], strict=True))
    wanted = sorted((100 * mean.low, 100 * mean.high) for mean in bounded)
    np.testing.assert_allclose(drawn, wanted, atol=1e-9)  # bounds of 0 differ by rounding
    assert [text.get_text() for text in ax.get_yticklabels()] == [level for _, level in means]
    with pytest.raises(ValueError, match="expected a factorial"):
        main_effects(studies["ladder"])


def test_importance_names_every_source(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    ax = importance(study)
    assert len(ax.get_yticklabels()) == len(study.shares)
    assert study.importances


def test_an_axis_is_stretched_only_where_runs_lie_far_apart() -> None:
    near, far = Figure().subplots(), Figure().subplots()
    stretched(near, [97.0, 98.0, 99.0])
    stretched(far, [30.0, 97.0, float("nan")])
    assert near.get_xscale() == "linear"
    assert far.get_xscale() == "function"
    low, high = far.get_xlim()
    assert 0 < low < 30
    assert 97 < high < 100


def test_all_of_100_percent_lies_within_a_stretched_axis() -> None:
    ax = Figure(layout="constrained").subplots()
    stretched(ax, [50.0, 75.0, 99.0, 100.0], "y")
    places = ax.transAxes.inverted().transform(
        ax.transData.transform([(0.5, percent) for percent in (50.0, 75.0, 99.0, 100.0)])
    )[:, 1]
    assert np.all(np.diff(places) > 0.05)
    assert places[0] >= 0
    assert places[-1] < 1


@pytest.mark.parametrize("values", [[10.0, 97.6], [50.0, 99.0, 100.0], [50.0, 99.9]])
def test_no_two_numbers_of_a_stretched_axis_touch(values: list[float]) -> None:
    ax = Figure(figsize=(3.45, 2.1), layout="constrained").subplots()
    ax.tick_params(labelsize=7)
    stretched(ax, values, "y")
    fit(figure_of(ax))
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert len(boxes) >= 4
    assert all(above.y0 > below.y1 for below, above in pairwise(boxes))


def test_ensembles_are_drawn_over_the_spread_of_their_members(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    sizes = dict(zip(("1.0", "0.7", "0.5"), ("1", "3", "7"), strict=True))
    factor = study.declaration.factor("keep_prob").model_copy(
        update={"name": "size", "levels": ("1", "3", "7")}
    )
    cells = [
        cell.model_copy(
            update={
                "factors": {"size": sizes[cell.factors["keep_prob"]]}
                | {"architecture": cell.factors["architecture"]},
                "config": {"ensemble": {"size": 1}},
            }
        )
        for cell in study.declaration.cells
    ]
    others = [f for f in study.declaration.factors if f.name != "keep_prob"]
    renamed = study.declaration.model_copy(
        update={"factors": (factor, *others), "cells": tuple(cells), "layout": None}
    )
    ensembles = replace(study, declaration=renamed)
    assert ensemble_size(study.declaration) is None
    assert ensemble_size(renamed) == factor
    ax = member_curve(ensembles, factor=factor)
    (band,) = ax.patches
    first = [cell.cell for cell in cells if cell.factors["size"] == "1"]
    values = 100 * study.frame.loc[study.frame["cell"].isin(first), "test_accuracy"]
    low, high = band.get_y(), band.get_y() + band.get_height()
    assert values.min() < low < values.median() < high < values.max()


def test_training_bands_hold_the_median(studies: dict[str, Study]) -> None:
    ax = training_curves(studies["ladder"])
    assert len(ax.lines) == len(ax.collections) == 3
    assert "validation accuracy" in ax.get_ylabel() or "val accuracy" in ax.get_ylabel()
    for line, band in zip(ax.lines, ax.collections, strict=True):
        ys = band.get_paths()[0].vertices[:, 1]
        assert min(ys) <= min(line.get_ydata())
        assert max(line.get_ydata()) <= max(ys)


def test_looks_differ_in_black_and_white() -> None:
    assert len(set(COLOURS)) == len(set(MARKERS)) == len(set(DASHES)) == 8


def test_equal_figures_give_equal_files(studies: dict[str, Study], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save(points(studies["ladder"]), tmp_path / name, "points")
    for ending in ("svg", "png"):
        first, second = (tmp_path / n / f"figure_points.{ending}" for n in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
    assert b"<dc:date>" not in (tmp_path / "one/figure_points.svg").read_bytes()


def test_axes_without_a_figure_are_refused() -> None:
    ax = Figure().subplots()
    ax.remove()
    with pytest.raises(ValueError, match="belong to no figure"):
        figure_of(ax)
