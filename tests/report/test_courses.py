"""Gradients along the training: medians over runs, and what becomes of runs that diverge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ablation_lab.report.canvas import figure_of
from ablation_lab.report.figures import figures_for
from ablation_lab.report.study import Study
from ablation_lab.store.layers import COLUMNS, Layers, courses, ends

INF, NAN = float("inf"), float("nan")


def norms(*runs: list[tuple[int, float, float]], cell: str = "c") -> pd.DataFrame:
    """Runs as (step, norm of the first layer, norm of the last one), with a layer between."""
    rows = [
        (cell, replicate, f"{cell}{replicate}", step, value, layer)
        for replicate, points in enumerate(runs)
        for step, first, last in points
        for layer, value in ((2, 1.0), (3, last), (1, first))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_the_ends_of_each_run_and_step() -> None:
    made = ends(norms([(0, 0.1, 2.0), (5, 0.0, 0.0)], [(0, NAN, 1.0), (5, 1.0, INF)]))
    assert list(made["step"]) == [0, 5, 0, 5]
    np.testing.assert_allclose(made["first"], [0.1, 0.0, NAN, NAN])
    np.testing.assert_allclose(made["last"], [2.0, 0.0, NAN, NAN])
    np.testing.assert_allclose(made["ratio"], [0.05, 0.0, NAN, NAN])


def test_any_layer_that_is_not_finite_counts() -> None:
    table = norms([(0, 0.1, 2.0)])
    table.loc[table["layer"] == 2, "value"] = INF
    assert ends(table)["ratio"].isna().all()


def test_the_course_is_the_median_over_runs() -> None:
    table = norms([(0, 1, 2), (9, 3, 3)], [(0, 2, 2), (9, 5, 1)], [(0, 9, 3), (9, 4, 2)])
    assert courses(table, "first")["c"].to_dict() == {0: 2.0, 9: 4.0}
    assert courses(table, "ratio")["c"].to_dict() == {0: 1.0, 9: 2.0}


def test_a_line_ends_where_half_of_the_runs_diverged_and_one_of_three_only_counts() -> None:
    lost = [(0, 1.0, 1.0), (1, NAN, NAN)]  # its last point
    kept = [(0, 2.0, 1.0), (1, 2.0, 1.0), (9, 4.0, 1.0)]
    two = courses(norms(lost, kept), "first")["c"]
    np.testing.assert_allclose(two, [1.5, NAN, NAN])
    three = courses(norms(lost, kept, kept), "first")["c"]
    np.testing.assert_allclose(three, [2.0, 2.0, 4.0])


def test_a_run_that_ended_early_keeps_its_last_value() -> None:
    table = norms([(0, 1.0, 1.0), (1, 5.0, 1.0)], [(0, 1.0, 1.0), (1, 1.0, 1.0), (9, 3.0, 1.0)])
    assert courses(table, "first")["c"].iloc[-1] == 4.0


def probed(study: Study, table: pd.DataFrame) -> Study:
    return replace(study, layers=Layers(table))


@pytest.mark.parametrize(("quantity", "expected"), [("first", [0.01, 0.1]), ("ratio", [1e-3, 0.1])])
def test_it_is_drawn_by_step(
    studies: dict[str, Study], quantity: str, expected: list[float]
) -> None:
    study = studies["xor_depth"]
    cell = study.declaration.cells[0].cell
    made = probed(study, norms([(0, 0.01, 10.0), (7, 0.1, 1.0)], cell=cell))
    ax = figures_for(made)[f"gradients_{quantity}"](made)
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xydata(), list(zip([0, 7], expected, strict=True)))
    assert (ax.get_yscale(), ax.get_xscale()) == ("log", "linear")
    assert len(figure_of(ax).legends[0].get_texts()) == 2


def test_zero_stands_below_all_others_and_long_trainings_are_logarithmic(
    studies: dict[str, Study],
) -> None:
    study = studies["xor_depth"]
    cell = study.declaration.cells[0].cell
    made = probed(study, norms([(0, 0.0, 1.0), (1, 0.5, 1.0), (1000, 2.0, 1.0)], cell=cell))
    ax = figures_for(made)["gradients_first"](made)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.05, 0.5, 2.0])
    assert ax.get_xscale() == "symlog"
    assert list(ax.get_xticks()) == [0, 1, 10, 100, 1000]


def test_one_look_makes_no_course(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    made = probed(study, norms([(0, 1.0, 1.0)], cell=study.declaration.cells[0].cell))
    assert "gradients" in figures_for(made)
    assert not {"gradients_first", "gradients_ratio"} & set(figures_for(made))
