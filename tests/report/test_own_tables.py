"""Tables that some studies have: steps to a whole string, numbers of checks, parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

from ablation_lab.report.reference_tables import checks_table, verdicts
from ablation_lab.report.report import write_report
from ablation_lab.report.study import Study, load
from ablation_lab.report.table_training import parameters_table, steps_table
from ablation_lab.report.tables import tables_for
from ablation_lab.report.tabular import Table
from ablation_lab.statistics.intervals import wilson
from tests.report.golden_store import Writer, declaration, grid


def texts(table: Table) -> list[list[str]]:
    return [[entry.text for entry in row] for row in table.rows]


def names(study: Study) -> list[str]:
    return [table.name for table in tables_for(study)]


def with_column(study: Study, name: str, values: dict[str, list[float]]) -> Study:
    """The study with one more metric: per cell the values of its runs in order of replicates."""
    frame = study.frame.assign(**{name: nan})
    for cell, given in values.items():
        rows = frame.index[frame["cell"] == cell][: len(given)]
        frame.loc[rows, name] = given
    return replace(study, frame=frame)


def test_steps_until_the_string_is_right(studies: dict[str, Study]) -> None:
    study = studies["ladder"]
    softmax, mlp, xavier, never_run = (cell.cell for cell in study.declaration.cells)
    made = with_column(study, "first_exact_step", {softmax: [9, 7, 30], mlp: [nan, 4, nan]})
    rows = texts(steps_table(made))
    share = wilson(1, 3)
    assert rows[0] == ["softmax", "3/3 100.0 %", "[43.9, 100.0]", "9", "7 to 30"]
    assert rows[1] == ["mlp", "1/3 33.3 %", f"[{100 * share.low:.1f}, {100 * share.high:.1f}]", "4",
                       "4 to 4"]  # fmt: skip
    assert rows[2][1:] == ["0/3 0.0 %", "[0.0, 56.1]", "–", "–"]
    assert rows[3][1:] == ["–"] * 4  # no run of it finished
    assert [row[1].cell for row in steps_table(made).rows] == [softmax, mlp, xavier, never_run]


def test_the_range_of_steps_leaves_out_the_ends(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    cell = study.declaration.cells[0].cell
    every = np.arange(1.0, 101.0)
    frame = study.frame[study.frame["cell"] == cell].iloc[[0] * 100].reset_index(drop=True)
    made = replace(study, frame=frame.assign(first_exact_step=every))
    assert texts(steps_table(made))[0][-2:] == ["50.5", "5 to 95"]


def test_the_table_of_steps_appears_where_runs_have_them(studies: dict[str, Study]) -> None:
    study = studies["ladder"]
    assert "steps" not in names(study)
    cell = study.declaration.cells[0].cell
    assert "steps" not in names(with_column(study, "first_exact_step", {}))
    assert "steps" in names(with_column(study, "first_exact_step", {cell: [3.0]}))


def checks(writer: Writer) -> Study:
    """Four checks: of one, twelve, an infinite and no number; the last one failed."""
    factors = {"check": ["one", "twelve", "infinite", "broken"]}
    cells = grid(factors)
    claims = {
        "check=twelve": [
            {"claim_id": name, "printed": None, "values": [0.5], "kind": "exact", "about": about,
             "text": text, "study": "computed"}
            for name, about, text in (("a", "a shape", "[0, 1]"), ("b", "a shape", "[0, 2]"))
        ]
    }  # fmt: skip
    made = declaration(
        "computed", "quick", factors=factors, cells=cells, replicates=1, metric="value_0",
        chance=None, claims=claims,
    )  # fmt: skip
    writer.declare(made)
    given = {"check=one": [62378344.0], "check=twelve": [i + 0.5 for i in range(12)],
             "check=infinite": [0.0, inf, -2.0]}  # fmt: skip
    for cell, numbers in given.items():
        metrics = {f"value_{i}": number for i, number in enumerate(numbers)}
        writer.run(made, cell, 0, metrics=metrics)
    writer.run(made, "check=broken", 0, error="ValueError: no such layer", state="FAILED")
    return load(writer.uri, "quick")[0]


def test_every_number_of_every_check_stands_in_its_order(
    new_writer: Callable[[], Writer],
) -> None:
    table = checks_table(checks(new_writer()))
    assert table.header == (("check", "what", "numbers", "printed"),)
    twelve = ", ".join(f"{i}.5" for i in range(12))
    assert texts(table) == [
        ["one", "–", "62,378,344", "–"],
        ["twelve", "a shape", twelve, "[0, 1]; [0, 2]"],
        ["infinite", "–", "0, inf, -2", "–"],
        ["broken", "–", "–", "–"],
    ]
    (note,) = table.notes
    assert "no such layer" in note
    assert table.rows[3][2].notes == (1,)


def test_a_study_that_computes_has_no_means(
    new_writer: Callable[[], Writer], tmp_path: Path
) -> None:
    study = checks(new_writer())
    assert names(study) == ["checks", "values"]
    assert not any("converged" in table.caption for table in tables_for(study))
    index = write_report([study], profile="quick", reports=tmp_path)
    drawn = {path.name for path in index.parent.rglob("figure_*")}
    assert drawn == {"figure_verdicts.svg", "figure_verdicts.png"}
    page = index.parent / f"{study.name}.html"
    assert "62,378,344" in page.read_text(encoding="utf-8")
    assert (index.parent / "paper.pdf").stat().st_size > 1000


def test_the_figure_of_checks_counts_verdicts(new_writer: Callable[[], Writer]) -> None:
    ax = verdicts(checks(new_writer()))
    words = [label.get_text() for label in ax.get_yticklabels()]
    counts = dict(zip(words, (bar.get_width() for bar in ax.patches), strict=True))
    assert counts == {"no reference value": 3, "equal": 2}


def test_parameters_by_the_factors_they_depend_on(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    assert "parameters" not in names(study)
    sizes = {"1": 3.0, "2": 9.0, "3": 44.0, "4": 44.0}
    wanted = {c.cell: [sizes[c.factors["depth"]]] * 10 for c in study.declaration.cells}
    made = with_column(study, "parameters", wanted)
    assert "parameters" in names(made)
    table = parameters_table(made)
    assert table.header == (("depth", "cells", "parameters"),)
    assert texts(table) == [["1", "2", "3"], ["2", "2", "9"], ["3, 4", "3", "44"]]


def test_parameters_that_depend_on_both_factors(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    wanted = {c.cell: [5.0] * 10 for c in study.declaration.cells}
    table = parameters_table(
        with_column(study, "parameters", wanted | {"depth=2,activation=relu": [7.0] * 10})
    )
    assert table.header == (("depth", "activation", "cells", "parameters"),)
    assert texts(table) == [["every", "every", "6", "5"], ["2", "relu", "1", "7"]]


@pytest.mark.parametrize("counts", [{}, {"depth=1,activation=relu": [4.0, 6.0]}])
def test_runs_of_one_cell_may_differ_and_runs_without_a_network_have_none(
    studies: dict[str, Study], counts: dict[str, list[float]]
) -> None:
    made = with_column(studies["xor_depth"], "parameters", counts)
    assert "parameters" not in names(made)
    if counts:
        assert texts(parameters_table(made))[0][-1] == "4 or 6"
