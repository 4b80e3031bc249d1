"""Tables as programs write them: read alike whatever their form, or refused with their row."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.store.tables import Table, labels, melted, numbers, of_frame, read_table

PLAIN = "lr,seed,acc\n0.1,0,0.9125\n0.1,1,0.905\n0.01,0,0.875\n0.01,1,0.88\n"
VALUES = [0.9125, 0.905, 0.875, 0.88]


def read(folder: Path, content: str | bytes, name: str = "results.csv") -> Table:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


def german(text: str) -> str:
    return text.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.encode("utf-32"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        german(PLAIN),
        "sep=;\n" + german(PLAIN),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        german(PLAIN).encode("utf-16"),
        PLAIN.replace("lr,seed,acc", " lr , seed , acc "),
        PLAIN.replace(",0.9125", ', "0.9125"').replace('"', ""),
        PLAIN + "\n\n",
    ],
)
def test_a_table_reads_the_same_in_every_form(tmp_path: Path, content: str | bytes) -> None:
    table = read(tmp_path, content)
    assert table.names == ["lr", "seed", "acc"]
    values, percent = numbers(table, "acc")
    assert values.tolist() == VALUES
    assert not percent
    assert labels(table, "lr").tolist() == ["0.1", "0.1", "0.01", "0.01"]
    assert table.rows.tolist() == ["row 2", "row 3", "row 4", "row 5"]


@pytest.mark.parametrize("written", ["91.25%", "91.25 %", "91,25%", "91,25 %"])
def test_percent_signs_make_shares(tmp_path: Path, written: str) -> None:
    values, percent = numbers(read(tmp_path, f"a;acc\nx;{written}\ny;50%\n"), "acc")
    assert percent
    assert values.tolist() == pytest.approx([0.9125, 0.5], abs=1e-15)


def test_what_has_no_value_and_what_is_not_finite_are_two_things(tmp_path: Path) -> None:
    values, _ = numbers(read(tmp_path, "a,acc\nx,0.5\nx,\nx,N/A\nx,NaN\nx,-inf\nx,null\n"), "acc")
    assert values.isna().tolist() == [False, True, True, True, False, True]
    assert values[4] == float("-inf")


def test_latin_letters_and_quoted_delimiters_stay(tmp_path: Path) -> None:
    table = read(tmp_path, 'name,acc\n"größer, älter",0.5\n'.encode("cp1252"))
    assert table.column("name").tolist() == ["größer, älter"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "results.csv: empty; expected a header and a row for each run"),
        ("\n \n", "results.csv: empty"),
        ("lr,acc\n", "results.csv: no row under the header"),
        ("lr,acc\n0.1,0.5\n0.1,0.5,7\n", "results.csv: row 3: expected 2 fields, found 3"),
        ("lr,acc\n0.1,0\0.5\n", "results.csv: row 2: a zero byte; expected a table of text"),
        ("PK\x03\x04" + "\0" * 300, "results.csv: row 1: a zero byte"),
        ('lr,acc\n0.1,"0.5\n', "results.csv: row 2: a quotation mark opens a text that never ends"),
    ],
)
def test_what_is_no_table_is_refused_with_its_row(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^[^\n]+$") as refusal:
        read(tmp_path, content)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("oops", "a number, found 'oops'"),
        ("1,234.5", "a number, found '1,234.5'"),
        ("90%", "a percent sign, as in other rows"),
    ],
)
def test_a_field_of_another_kind_is_named(tmp_path: Path, field: str, expected: str) -> None:
    table = read(tmp_path, f'a,acc\nx,0.5\nx,"{field}"\nx,0.7\n')
    with pytest.raises(ConfigurationError, match=r"results\.csv: column 'acc', row [23]: ") as said:
        numbers(table, "acc")
    assert expected in str(said.value)


def test_commas_that_may_be_thousands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"row 3: expected 1234 or 1\.234, .* '1,234'"):
        numbers(read(tmp_path, 'a,n\nx,7\nx,"1,234"\nx,"12,345"\n'), "n")
    for content in ('a,n\nx,"1,234"\nx,"0,5"\n', "a;n\nx;1,234\nx;2,345\n"):
        values, _ = numbers(read(tmp_path, content), "n")
        assert values[0] == 1.234


def test_a_column_that_is_not_there_has_a_nearest_one(tmp_path: Path) -> None:
    table = read(tmp_path, "lr,accuracy,lr\n0.1,0.5,3\n")
    with pytest.raises(ConfigurationError, match="no column 'acuracy'; nearest: 'accuracy'"):
        table.column("acuracy")
    with pytest.raises(ConfigurationError, match="2 columns 'lr'"):
        table.column("lr")
    with pytest.raises(ConfigurationError, match=r"none\.csv: cannot be read: No such file"):
        read_table(tmp_path / "none.csv")


def test_equal_numbers_are_one_level_as_it_was_first_written(tmp_path: Path) -> None:
    table = read(tmp_path, "lr,x\n0.10,1\n1e-1,1\n0.1,1\n,1\ntrue,1\n")
    assert labels(table, "lr").tolist() == ["0.10", "0.10", "0.10", "", "true"]


def test_whole_numbers_of_a_frame_stay_whole_beside_a_gap() -> None:
    table = of_frame(pd.DataFrame({"depth": [1.0, 2.0, None], "on": [True, False, True]}))
    assert labels(table, "depth").tolist() == ["1", "2", ""]
    assert labels(table, "on").tolist() == ["true", "false", "true"]


def test_a_wide_table_is_made_long(tmp_path: Path) -> None:
    table = melted(
        read(tmp_path, "lr,acc_3,acc_4\n0.1,0.5,0.6\n0.2,0.7,0.8\n"), "seed", "acc_*", "acc"
    )
    assert table.names == ["lr", "seed", "acc"]
    assert table.column("seed").tolist() == ["3", "3", "4", "4"]
    assert numbers(table, "acc")[0].tolist() == [0.5, 0.7, 0.6, 0.8]
    assert table.rows.tolist()[2] == "row 2, column acc_4"
    with pytest.raises(ConfigurationError, match=r"no column is called like 'loss_\*'"):
        melted(table, "run", "loss_*", "loss")
