"""What a reader can read of a figure: nothing is cut, nothing touches, every line is told apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from ablation_lab.report.canvas import (
    fit,
    line_look,
    new_axes,
    save,
    spanning,
    stretched,
    styled,
)
from ablation_lab.report.captions import caption_of
from ablation_lab.report.figure_curves import numeric_curve, training_curves
from ablation_lab.report.figures import figures_for, heat_map, points
from ablation_lab.report.layout import header, narrow
from ablation_lab.report.study import Study
from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.schema import Design
from tests.report.grids import declared, with_cells

FIVE = {
    "init": ["normal", "xavier_uniform"],
    "activation": ["sigmoid", "relu"],
    "depth": ["3", "5"],
    "keep": ["1.0", "0.7"],
    "rate": ["0.001", "0.01"],
}


def of_cells(study: Study, made: Declaration) -> Study:
    """The study with other cells, all of them with an estimate."""
    rows = [
        {**study.cells.iloc[0].to_dict(), "cell": cell.cell, "estimate": 0.9 + 0.001 * i}
        for i, cell in enumerate(made.cells)
    ]
    return with_cells(replace(study, declaration=made), pd.DataFrame(rows))


def no_number_touches_another(ax: Axes) -> bool:
    for along, axis in enumerate((ax.xaxis, ax.yaxis)):
        boxes = [
            tick.label1.get_window_extent()
            for tick in axis.get_major_ticks()
            if tick.label1.get_text()
        ]
        ends = sorted((box.min[along], box.max[along]) for box in boxes if box.width)
        if any(after[0] < before[1] for before, after in pairwise(ends)):
            return False
    return True


@pytest.mark.parametrize("name", ["keep_prob", "ladder", "xor_depth"])
def test_no_number_touches_another_and_no_label_is_cut(
    studies: dict[str, Study], name: str, tmp_path: Path
) -> None:
    for kind, draw in figures_for(studies[name]).items():
        ax = draw(studies[name])
        save(ax, tmp_path, kind)
        assert no_number_touches_another(ax)
        figure = ax.get_figure(root=True)
        assert figure
        # A paper sets every figure at the size at which it was drawn.
        assert all(text.get_fontsize() >= 7 for text in figure.findobj(Text) if text.get_text())
        for each in figure.axes:
            for label in (each.xaxis.label, each.yaxis.label):
                box = label.get_window_extent()
                assert not label.get_text() or (box.x0 >= 0 and box.y0 >= 0)
                assert box.x1 <= figure.bbox.x1
                assert box.y1 <= figure.bbox.y1


def test_of_numbers_that_touch_some_are_left_out() -> None:
    with styled():
        ax = new_axes(None)
        ax.set_xlim(0, 1)
        ax.set_xticks([0.1, 0.11, 0.2, 0.9], ["0.1", "0.11", "0.2", "0.9"])
        figure = ax.get_figure(root=True)
        assert figure
        fit(figure)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.1", "0.2", "0.9"]


def test_a_label_longer_than_the_figure_is_broken_and_one_at_the_edge_is_moved() -> None:
    with styled():
        ax = new_axes(None)
        ax.set_yticks([0], ["a name that pushes the axes to the right "])
        ax.set_xlabel("mean accuracy over all cells with that level of it")
        ax.set_ylabel("a label of many words " * 5)
        figure = ax.get_figure(root=True)
        assert figure
        fit(figure)
    assert "\n" in ax.get_ylabel()
    assert "\n" not in ax.get_xlabel()
    assert ax.xaxis.label.get_window_extent().x1 <= figure.bbox.x1


def test_a_grid_of_five_factors_is_no_wider_than_a_page(studies: dict[str, Study]) -> None:
    made = declared(FIVE, 2)
    shape = narrow(made)
    assert (len(shape.down), len(shape.across)) == (8, 4)
    assert {place.cell for place in shape.places.values()} == {cell.cell for cell in made.cells}
    lines = header(made, shape, "accuracy")
    assert lines[-1][3:] == ("0.001", "0.01") * 2  # its label stands once, above
    ax = heat_map(of_cells(studies["keep_prob"], made))
    figure = ax.get_figure(root=True)
    assert figure
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(before.x1 < after.x0 for before, after in pairwise(boxes))


def test_single_changes_are_named_by_what_changes(studies: dict[str, Study]) -> None:
    factors = {name: FIVE[name] for name in list(FIVE)[:4]}
    made = declared(factors, 2)
    base = made.cells[0]
    one = [c for c in made.cells if sum(c.factors[n] != base.factors[n] for n in factors) < 2]
    changed = made.model_copy(
        update={
            "cells": tuple(one),
            "baseline": base.cell,
            "design": Design.ONE_AT_A_TIME,
            "layout": None,
        }
    )
    ax = points(of_cells(studies["keep_prob"], changed))
    assert {text.get_text() for text in ax.get_yticklabels()} == {
        "full model", "init = xavier_uniform", "activation = relu", "depth = 5", "keep = 0.7",
    }  # fmt: skip


def test_printed_values_of_another_metric_make_no_ladder(studies: dict[str, Study]) -> None:
    study = studies["ladder"]
    others = {
        cell: tuple(claim.model_copy(update={"metric": "train_loss"}) for claim in claims)
        for cell, claims in study.declaration.references.items()
    }
    changed = replace(
        study, declaration=study.declaration.model_copy(update={"references": others})
    )
    assert "ladder" in figures_for(study)
    assert "ladder" not in figures_for(changed)


def test_a_cell_without_the_factor_of_an_axis_is_a_level_line(studies: dict[str, Study]) -> None:
    factors = {"width": ["2", "5", "9"], "kind": ["pca", "pixels"]}
    made = declared(factors, 2)
    kept = [cell for cell in made.cells if cell.factors["kind"] == "pca"]
    whole = Cell(
        cell="kind=pixels",
        factors={"kind": "pixels"},
        runs=kept[0].runs,
        config=kept[0].config,
    )
    study = of_cells(
        studies["keep_prob"], made.model_copy(update={"cells": (whole, *kept), "layout": None})
    )
    ax = numeric_curve(study, factor=study.declaration.factor("width"))
    assert [90.0, 90.0] in [list(line.get_ydata()) for line in ax.lines]


def test_the_caption_names_dots_only_where_there_are_some(studies: dict[str, Study]) -> None:
    assert "single runs" not in caption_of(studies["xor_depth"], "points")
    assert "where fewer than 10" in caption_of(studies["keep_prob"], "points")


def test_every_line_of_sixteen_differs_in_colour_or_dashes() -> None:
    seen = {(line_look(i)["color"], str(line_look(i)["linestyle"])) for i in range(16)}
    assert len(seen) == 16


def test_a_stretched_axis_says_so() -> None:
    ax = Figure().subplots()
    ax.set_xlabel("accuracy (%)")
    stretched(ax, [30.0, 97.0])
    assert ax.get_xlabel() == "accuracy (%), stretched towards 100"


def test_an_axis_over_many_orders_of_magnitude_is_logarithmic() -> None:
    wide, narrow_one = Figure().subplots(), Figure().subplots()
    spanning(wide, [1e-3, 1.0, 1e33, float("inf")], "y")
    spanning(narrow_one, [1.0, 2.0], "y")
    assert (wide.get_yscale(), narrow_one.get_yscale()) == ("log", "linear")


def test_a_training_curve_has_only_steps_that_all_its_cells_recorded(
    studies: dict[str, Study],
) -> None:
    made = declared({"kind": ["p", "q"], "rate": ["1", "2", "3", "4", "5"]}, 1)
    odd = made.cells[0].cell
    curves = [
        {"cell": c.cell, "replicate": 0, "step": s, "metric": "train_loss", "value": 1.0 / s}
        for c in made.cells
        for s in ((1, 4, 10, 31, 100) if c.cell == odd else (1, 3, 10, 30, 100, 300))
    ]
    ax = training_curves(replace(studies["ladder"], declaration=made, curves=pd.DataFrame(curves)))
    assert [list(line.get_xdata()) for line in ax.lines] == [
        [1, 10, 100, 300],  # the odd cell ends before the others do
        [1, 3, 10, 30, 100, 300],
    ]


def test_lines_of_training_are_levels_of_one_data_set(studies: dict[str, Study]) -> None:
    """Two problems recorded at other steps are two lines, though rates are the first factor."""
    made = declared({"rate": ["1", "2", "3", "4", "5"], "problem": ["xor", "digits"]}, 1)
    steps = {"xor": (1, 10, 100), "digits": (5, 50, 500)}
    curves = [
        {"cell": c.cell, "replicate": 0, "step": s, "metric": "train_loss", "value": 1.0 / s}
        for c in made.cells
        for s in steps[c.factors["problem"]]
    ]
    ax = training_curves(replace(studies["ladder"], declaration=made, curves=pd.DataFrame(curves)))
    assert sorted(tuple(line.get_xdata()) for line in ax.lines) == sorted(steps.values())


def test_levels_far_and_near_on_one_axis_do_not_touch(studies: dict[str, Study]) -> None:
    made = declared({"rate": ["1e-10", "0.01", "0.1", "0.2", "1.5"]}, 2)
    study = of_cells(studies["keep_prob"], made.model_copy(update={"layout": None}))
    ax = numeric_curve(study, factor=study.declaration.factor("rate"))
    figure = ax.get_figure(root=True)
    assert figure
    fit(figure)
    assert no_number_touches_another(ax)
    assert len(ax.get_xticks()) >= 3
