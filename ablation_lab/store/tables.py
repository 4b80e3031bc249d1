"""Somebody else's table becomes columns of text and numbers, or one line says where it does not.

In: a CSV file as programs write them: any of four delimiters, decimal commas, percent signs, a byte
order mark, UTF-8, UTF-16 or the code page of Windows. Out: a ``Table``, whose cells are text until
somebody asks for numbers. Rows are counted as a spreadsheet does: the header is row 1.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass, field, replace
from fnmatch import translate
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablation_lab.errors import ConfigurationError, nearest

DELIMITERS = (",", ";", "\t", "|")
LOOKED_AT = 50  # lines by which the delimiter is told
FIRST_ROW = 2
# Words for "there is no value", beside the empty field; of a factor, the last two may be levels.
LACKING = frozenset(("", "na", "n/a", "<na>", "-", "–", "—", "#n/a"))
NOTHING = LACKING | {"null", "none"}
NOT_FINITE = {"nan": np.nan, "inf": np.inf, "+inf": np.inf, "infinity": np.inf, "-inf": -np.inf,
              "-infinity": -np.inf}  # fmt: skip
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?\s*%?", re.IGNORECASE)
# What in a file with commas between its fields may be thousands as well as a decimal comma.
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Table:
    """Rows that somebody else wrote, and which they are.

    ``rows`` name each row as its source does; ``checksum`` is SHA-256 of the source's content.
    ``curves`` have the columns row, metric, step, value: what runs logged along the way.
    """

    frame: pd.DataFrame
    name: str
    checksum: str
    rows: pd.Series[str]
    curves: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["row", "metric", "step", "value"])
    )
    delimiter: str = ""

    def column(self, name: str) -> pd.Series[Any]:
        """Return a column. Errors: ConfigurationError that names the nearest one."""
        found = self.frame.loc[:, self.frame.columns == name]
        if found.shape[1] == 1:
            return found.iloc[:, 0]
        what = "no column" if found.empty else f"{found.shape[1]} columns"
        raise ConfigurationError(f"{self.name}: {what} {name!r}; {nearest(name, self.names)}")

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [str(name) for name in self.frame.columns]

    def refuse(self, column: str, place: int, expected: str) -> ConfigurationError:
        """Return the error of one field, by the place of its row."""
        found = self.column(column).iloc[place]
        where = f"{self.name}: column {column!r}, {self.rows.iloc[place]}"
        return ConfigurationError(f"{where}: expected {expected}, found {found!r}")


def read_table(path: Path) -> Table:
    """Read a CSV file. Errors: ConfigurationError with file and row."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    text = _decoded(content)
    if not text.strip():
        raise ConfigurationError(f"{path}: empty; expected a header and a row for each run")
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise ConfigurationError(
            f"{path}: row {row}: a zero byte; expected a table of text, as CSV"
        )
    delimiter, text = _delimiter(text)
    header = next(csv.reader(io.StringIO(text), delimiter=delimiter))
    frame = _parsed(text, delimiter, path)
    if frame.empty:
        raise ConfigurationError(f"{path}: no row under the header; expected one for each run")
    frame.columns = pd.Index([name.strip() for name in header])
    numbers = range(FIRST_ROW, FIRST_ROW + len(frame))
    rows = pd.Series([f"row {number}" for number in numbers], index=frame.index)
    return Table(frame, path.name, hashlib.sha256(content).hexdigest(), rows, delimiter=delimiter)


def of_frame(frame: pd.DataFrame, name: str = "the table") -> Table:
    """Return a table of pandas as it is; its rows are named by its index."""
    if frame.empty:
        raise ConfigurationError(f"{name}: no rows; expected one for each run")
    plain = frame.reset_index(drop=True)
    plain.columns = pd.Index(map(str, plain.columns))
    rows = pd.Series([f"row {label}" for label in frame.index])
    digest = hashlib.sha256(plain.to_csv(index=False).encode())
    return Table(plain, name, digest.hexdigest(), rows)


def melted(table: Table, name: str, pattern: str, metric: str) -> Table:
    """Return a wide table long: a row for each column that the pattern names, as in ``acc_*``.

    The new column ``name`` has what stands for the star, the column ``metric`` the values.
    """
    matching = re.compile(translate(pattern).replace(".*", "(.*)"))
    found = {each: match for each in table.names if (match := matching.match(each))}
    if not found:
        raise ConfigurationError(
            f"{table.name}: no column is called like {pattern!r}; {nearest(pattern, table.names)}"
        )
    levels = {each: (match[1] if match.re.groups else each) for each, match in found.items()}
    kept = [each for each in table.names if each not in found]
    for new in {name, metric} & set(kept):
        raise ConfigurationError(f"{table.name}: column {new!r} is there already; say another name")
    long = table.frame.assign(_row=table.rows).melt(
        [*kept, "_row"], list(found), var_name=name, value_name=metric
    )
    rows = long.pop("_row") + ", column " + long[name]
    return replace(table, frame=long.assign(**{name: long[name].map(levels)}), rows=rows)


def is_nothing(values: pd.Series[Any], words: Set[str] = NOTHING) -> pd.Series[bool]:
    """Return which fields have no value; a word for what is not finite is one."""
    if pd.api.types.is_numeric_dtype(values):
        return values.isna()
    return values.isna() | values.astype(str).str.strip().str.lower().isin(words)


def numbers(table: Table, column: str) -> tuple[pd.Series[float], bool]:
    """Return a column as numbers, NaN where there is none; and whether it was in percent.

    Errors: ConfigurationError for a field that is no number, by its row.
    """
    values = table.column(column)
    if pd.api.types.is_numeric_dtype(values):
        return values.astype("float64"), False
    text = values.where(~is_nothing(values), "").astype(str).str.strip()
    percent = text.str.endswith("%")
    _refuse_thousands(table, column, text)
    made = pd.to_numeric(_pointed(text).str.removesuffix("%").str.strip(), errors="coerce")
    words = text.str.lower().map(NOT_FINITE)
    wrong = made.isna() & words.isna() & ~text.str.lower().isin(("", "nan"))
    if wrong.any():
        raise table.refuse(column, int(np.argmax(wrong.to_numpy())), "a number")
    some = made.notna()
    if percent.any() and not percent[some].all():
        place = int(np.argmax((some & ~percent).to_numpy()))
        raise table.refuse(column, place, "a percent sign, as in other rows")
    made = made / 100 if percent.any() else made
    return made.where(made.notna(), words).astype("float64"), bool(percent.any())


def _refuse_thousands(table: Table, column: str, text: pd.Series[str]) -> None:
    """Refuse a column whose commas between fields of commas nobody can be sure of: 1,234."""
    commas = text.str.contains(",", regex=False)
    if table.delimiter == "," and commas.any() and text[commas].str.fullmatch(THOUSANDS).all():
        place = int(np.argmax(commas.to_numpy()))
        raise table.refuse(column, place, "1234 or 1.234, since a comma may mean either")


def labels(table: Table, column: str) -> pd.Series[str]:
    """Return a column as labels of levels, equal numbers with one label; '' for no value."""
    values = table.column(column)
    missing = is_nothing(values, LACKING)
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")  # whole numbers that stood beside an empty field
    said = {value: _label(value) for value in values[~missing].unique()}
    known = pd.Series(said, dtype=object)
    text = _pointed(known.astype(str)) if len(known) else known
    first: dict[object, str] = {}
    by_value = {
        value: first.setdefault(_number(label) if _number(label) is not None else label, label)
        for value, label in text.items()
    }
    return values.map(by_value).where(~missing, "").astype(object)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _label(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return str(value).strip()


def _pointed(text: pd.Series[str]) -> pd.Series[str]:
    """Return text with decimal points, where no number in it has one already."""
    commas = text.str.fullmatch(DECIMAL_COMMA)
    if not commas.any() or text[~commas].str.contains(".", regex=False).any():
        return text
    return text.where(~commas, text.str.replace(",", "."))


def _decoded(content: bytes) -> str:
    """Return the text of a file, its lines ended as lines of Unix are."""
    return _text(content).replace("\r\n", "\n").replace("\r", "\n")


def _text(content: bytes) -> str:
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    if content[:200].count(b"\0") > len(content[:200]) / 3:
        return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-16-le", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _delimiter(text: str) -> tuple[str, str]:
    """Return the delimiter of a text, and the text without a line that says so for Excel."""
    if text[:4].lower() == "sep=":
        said, _, rest = text.partition("\n")
        return said[4:5], rest
    lines = [line for line in text[:100_000].splitlines()[:LOOKED_AT] if line.strip()]
    return max(DELIMITERS, key=lambda each: _agreement(lines, each)), text


def _agreement(lines: Iterable[str], delimiter: str) -> tuple[int, int]:
    """Return how many lines have as many fields as most, and how many fields these are."""
    counts = Counter(len(fields) for fields in csv.reader(lines, delimiter=delimiter))
    fields, times = max(counts.items(), key=lambda each: (each[1], each[0]))
    return (times, fields) if fields > 1 else (0, 0)


def _parsed(text: str, delimiter: str, path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            skip_blank_lines=True,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise ConfigurationError(f"{path}: {_unreadable(' '.join(str(error).split()))}") from None


def _unreadable(said: str) -> str:
    """Return what pandas says of a row in the words and the count of a spreadsheet."""
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", said):
        return f"row {found[2]}: expected {found[1]} fields, found {found[3]}"
    if found := re.search(r"EOF inside string starting at row (\d+)", said):
        return f"row {int(found[1]) + 1}: a quotation mark opens a text that never ends"
    return said
