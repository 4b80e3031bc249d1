"""Tables: what stands where, in every format."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from dataclasses import replace
from math import isfinite

import pandas as pd
import pytest

from ablation_lab.report import text as literal
from ablation_lab.report.formatting import DASH, difference_text, plain_text, uncertain_text
from ablation_lab.report.layout import grid as layout_grid
from ablation_lab.report.reference_tables import values_table
from ablation_lab.report.reference_values import answers, value_table
from ablation_lab.report.study import Study
from ablation_lab.report.tables import cell_entry, cell_table, pivot_table, tables_for
from ablation_lab.report.tabular import (
    WRITERS,
    Entry,
    Notes,
    Table,
    comma_separated,
    header_spans,
    latex,
    markdown,
)
from ablation_lab.study.declaration import MEMBERS, parse
from tests.report.golden_store import declaration, grid
from tests.report.grids import with_cells


def texts(table: Table) -> list[list[str]]:
    return [[entry.text for entry in row] for row in table.rows]


def test_the_pivot_of_successes(studies: dict[str, Study]) -> None:
    table = pivot_table(studies["xor_depth"])
    assert table.header == (("depth", "activation sigmoid", "activation relu"),)
    assert texts(table)[2] == [
        "3", "6/10 60.0 % [31.3, 83.2]", "5/10 50.0 % [23.7, 76.3], 3/10 not converged",
    ]  # fmt: skip
    assert texts(table)[3][1] == "–"
    assert table.rows[3][1].notes == (1,)
    assert table.notes == ("excluded: never trains",)


def test_the_pivot_of_means(studies: dict[str, Study]) -> None:
    table = pivot_table(studies["keep_prob"])
    assert table.rows[0][1].words.endswith("(10); reference 95")
    assert texts(table)[2] == ["0.5", "59.0 ± 24.7 (10), 4/10 not converged", "–"]
    assert table.notes[1].startswith("runs of two kinds: 6 of 10 around 91.0 %")
    assert table.notes[2] == "skipped: needs an accelerator & time"
    bold = [entry.cell for row in table.rows for entry in row if entry.bold]
    assert bold == ["keep_prob=1.0,architecture=wide"]


def test_a_cell_to_which_the_columns_do_not_apply_is_said_once(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    whole, *others = study.declaration.cells
    cells = (whole.model_copy(update={"factors": {"depth": "1"}}), *others[1:])
    table = pivot_table(
        replace(study, declaration=study.declaration.model_copy(update={"cells": cells}))
    )
    first, second = table.rows[0][1:]
    assert first.cell == second.cell == whole.cell
    assert first.text != "same cell"
    assert second.text == "same cell"


def test_every_cell_stands_in_both_tables(studies: dict[str, Study]) -> None:
    for study in studies.values():
        for table in tables_for(study)[:2]:
            found = {entry.cell for row in table.rows for entry in row} - {""}
            assert found == {cell.cell for cell in study.declaration.cells}


def test_the_order_of_runs_changes_no_table(studies: dict[str, Study]) -> None:
    for study in studies.values():
        frame = study.frame.sample(frac=1, random_state=5)
        shuffled = dataclasses.replace(study, frame=frame)
        assert tables_for(shuffled) == tables_for(study)


def test_a_missing_layout_with_most_places_empty_becomes_a_list() -> None:
    factors = {"a": ["1", "2", "3", "4"], "b": ["1", "2", "3", "4"]}
    base = {"a": "1", "b": "1"}
    cells = [{"cell": "base", "factors": base}]
    cells += [{"cell": f"a{i}", "factors": {**base, "a": i}} for i in "234"]
    cells += [{"cell": f"b{i}", "factors": {**base, "b": i}} for i in "234"]
    made = declaration("one", "quick", factors=factors, cells=cells, replicates=1, metric="success")
    found = layout_grid(parse(json.dumps(made), "here"))
    assert found.rows == ("a", "b")
    assert found.columns == ()
    assert len(found.places) == 7


def test_cells_that_factors_do_not_tell_apart_are_listed_by_name() -> None:
    cells = [{"cell": name, "factors": {"a": "1"}} for name in ("x", "y")]
    made = declaration(
        "two", "quick", factors={"a": ["1"]}, cells=cells, replicates=1, metric="success"
    )
    found = layout_grid(parse(json.dumps(made), "here"))
    assert found.down == (("x",), ("y",))


def test_a_layout_is_completed_with_the_factors_it_forgot() -> None:
    factors = {"a": ["1", "2"], "b": ["x", "y"], "c": ["p", "q"]}
    made = declaration(
        "three", "quick", factors=factors, cells=grid(factors), replicates=1, metric="success",
        layout={"rows": "b", "columns": ["a"]},
    )  # fmt: skip
    found = layout_grid(parse(json.dumps(made), "here"))
    assert (found.rows, found.columns) == (("b",), ("a", "c"))
    assert len(found.places) == 8


AWKWARD = Table(
    name="t",
    title="50% & more",
    caption="a_b",
    header=(("", "A", "A", "B"), ("x", "p", "q", "p")),
    rows=((Entry("r|1"), Entry("±1", bold=True, notes=(1,)), Entry("<2>"), Entry("–")),),
    notes=("why_#1",),
)


def test_latex_escapes_and_spans() -> None:
    text = latex(AWKWARD)
    assert r"\caption{50\% \& more. a\_b}" in text
    assert r" & \multicolumn{2}{c}{A} & B \\" in text
    assert (
        r"r\textbar{}1 & \textbf{$\pm$1}\textsuperscript{1} & \textless{}2\textgreater{} & -- \\"
        in text
    )
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"why\_\#1" in text


@pytest.mark.parametrize("character", list("&%$#_{}~^\\"))
def test_every_special_character_of_latex_is_escaped(character: str) -> None:
    assert literal.latex(character) != character
    assert literal.latex(f"a{character}b").startswith("a\\")


def test_markdown_keeps_its_columns() -> None:
    lines = markdown(AWKWARD).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert [line.replace("\\|", "").count("|") for line in rows] == [5, 5, 5]
    assert "A · q" in rows[0]
    assert "**±1** [1]" in rows[2]


def test_csv_reads_back() -> None:
    head, row = csv.reader(io.StringIO(comma_separated(AWKWARD)))
    assert head == ["x", "A · p", "A · q", "B · p", "notes"]
    assert row == ["r|1", "±1", "<2>", "–", "why_#1"]


def test_a_header_span_never_crosses_the_line_above() -> None:
    header = (("", "A", "A", "B", "B"), ("", "x", "x", "x", "y"), ("r", "1", "2", "1", "1"))
    assert header_spans(header) == (
        (("", 1), ("A", 2), ("B", 2)),
        (("", 1), ("x", 2), ("x", 1), ("y", 1)),
        (("r", 1), ("1", 1), ("2", 1), ("1", 1), ("1", 1)),
    )


def test_every_format_prints_every_row(studies: dict[str, Study]) -> None:
    for study in studies.values():
        for table in tables_for(study):
            for write in WRITERS.values():
                assert len(write(table).splitlines()) > len(table.rows)


def test_an_interval_that_is_narrow_gets_two_decimals(studies: dict[str, Study]) -> None:
    study = studies["ladder"]
    narrow = study.cells.assign(
        low=study.cells["estimate"] - 2e-4, high=study.cells["estimate"] + 2e-4
    )
    table = pivot_table(with_cells(study, pd.DataFrame(narrow)))
    assert texts(table)[0][1].startswith("90.10 ± 0.02")


def test_ours_stands_in_the_unit_of_what_is_printed(studies: dict[str, Study]) -> None:
    told = 0
    for study in studies.values():
        stored = value_table(answers([study]))["estimate"]
        for row, estimate in zip(values_table(study).rows, stored, strict=True):
            ours = row[3].text
            assert ours == (f"{estimate:.4g}" if isfinite(estimate) else DASH)
            told += ours != DASH
    assert told


def test_runs_that_all_diverged_are_counted_where_there_is_no_value(
    studies: dict[str, Study],
) -> None:
    row = {
        "cell": "c",
        "reason": "",
        "kinds": "",
        "estimate": float("nan"),
        "not_converged": 3,
        "finished": 4,
    }
    declared = studies["keep_prob"].declaration
    for not_converged, text in ((3, f"{DASH}, 3/4 not converged"), (0, DASH)):
        entry = cell_entry(
            row | {"not_converged": not_converged}, declared, digits=1, notes=Notes()
        )
        assert entry.text == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (34848.0, "34,848"),
        (62378344, "62,378,344"),
        (-3, "-3"),
        (-0.0, "0"),
        (0.123456, "0.1235"),
        (1e30, "1e+30"),
    ],
)
def test_a_count_keeps_all_of_its_digits(value: float, text: str) -> None:
    assert plain_text(value) == text


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (0.06749, 1.238e-05, "0.067490 ± 0.000012"),
        (2.0, 0.13, "2.00 ± 0.13"),
        (12345.0, 678.0, "12,345 ± 678"),
        (-1e-6, 0.13, "0.00 ± 0.13"),
        (3.2e-09, 1.1e-11, "(3.200 ± 0.011)e-09"),
        (1e33, 4e32, "(1.00 ± 0.40)e+33"),
        (0.5, 0.0, "0.5 ± 0"),
    ],
)
def test_a_value_and_its_half_interval_end_at_the_same_digit(
    value: float, half: float, text: str
) -> None:
    assert uncertain_text(value, half) == text


@pytest.mark.parametrize("spec", ["", ".2f", ".1%"])
def test_no_zero_has_a_sign(studies: dict[str, Study], spec: str) -> None:
    declaration = studies["keep_prob"].declaration
    metric = declaration.primary.model_copy(update={"format": spec})
    declared = declaration.model_copy(update={"metrics": (metric,)})
    for value in (-1e-6, 1e-6, -0.0):
        assert set(difference_text(value, declared, digits=1)) <= set("0.%")
    assert difference_text(-0.25, declared, digits=1).startswith("-")
    assert difference_text(0.25, declared, digits=1).startswith("+")


def test_a_cell_of_members_is_named_as_such_and_every_cell_says_what_its_columns_are(
    studies: dict[str, Study],
) -> None:
    study = studies["ladder"]
    last = study.declaration.cells[-1]
    members = last.model_copy(update={"cell": f"{last.cell}{MEMBERS}"})
    cells = (*study.declaration.cells, members)
    row = study.cells.iloc[-1].to_dict() | {"cell": members.cell}
    declared = study.declaration.model_copy(update={"cells": cells})
    frame = pd.DataFrame([*study.cells.to_dict("records"), row])
    table = cell_table(with_cells(replace(study, declaration=declared), frame))
    first = [entries[0].text for entries in table.rows]
    assert first[-1] == f"{first[-2]}, its members"
    assert "±" not in table.caption
