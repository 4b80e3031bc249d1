"""What a table is, and how it is written: Markdown, LaTeX (booktabs), CSV, the spans for HTML.

In: entries that know their text, their sort value, their notes and their cell. Out: one model that
every format prints, so that the HTML page and a LaTeX fragment cannot disagree.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from ablation_lab.report import text as literal
from ablation_lab.report.formatting import plain_text, sortable


@dataclass(frozen=True)
class Entry:
    """One entry: its text, the value to sort by, and the cell whose runs it leads to.

    `reference` is what a source printed there; it stands in grey behind our own value.
    """

    text: str
    value: float | None = None
    bold: bool = False
    notes: tuple[int, ...] = ()
    cell: str = ""
    reference: str = ""

    @property
    def words(self) -> str:
        """Everything that the entry says, as plain text."""
        return f"{self.text}; {self.reference}" if self.reference else self.text


@dataclass(frozen=True)
class Table:
    """A table: header lines (equal neighbours span), rows of entries, numbered notes."""

    name: str
    title: str
    caption: str
    header: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Entry, ...], ...]
    notes: tuple[str, ...] = ()
    spans: tuple[tuple[tuple[str, int], ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Keep the header as (text, width), for formats whose cells span columns."""
        object.__setattr__(self, "spans", header_spans(self.header))

    @property
    def heads(self) -> tuple[str, ...]:
        """The header of each column in one line."""
        return tuple(" · ".join(filter(None, column)) for column in zip(*self.header, strict=True))

    @classmethod
    def of(
        cls,
        name: str,
        title: str,
        *,
        caption: str,
        header: tuple[tuple[str, ...], ...],
        rows: Iterable[Iterable[Any]],
        notes: Notes | None = None,
    ) -> Table:
        """A table of rows whose items are entries, texts, or whole numbers."""
        entries = tuple(tuple(map(_entry, row)) for row in rows)
        return cls(name, title, caption, header, entries, tuple(notes.texts) if notes else ())


def _entry(item: Any) -> Entry:
    if isinstance(item, Entry):
        return item
    return Entry(str(item), sortable(literal.number_of(str(item))))


def numeric(value: object, *, cell: str = "") -> Entry:
    """A number in plain text, sorted by its value; a dash where there is none."""
    return Entry(plain_text(value), sortable(value), cell=cell)


@dataclass
class Notes:
    """Footnotes of one table; an equal text gets an equal number."""

    texts: list[str] = field(default_factory=list)

    def number(self, text: str) -> tuple[int, ...]:
        """The number of a note, empty for no text."""
        if not text:
            return ()
        if text not in self.texts:
            self.texts.append(text)
        return (self.texts.index(text) + 1,)


SENTENCE = 48  # letters of an entry that no longer stand on one line
WIDE = 75  # letters that fit side by side in a column of text


def write_table(table: Table, folder: Path) -> None:
    """Write a table in every format into a folder, as `table_<name>.<ending>`."""
    for ending, write in WRITERS.items():
        (folder / f"table_{table.name}.{ending}").write_text(write(table), encoding="utf-8")


@dataclass(frozen=True)
class Markup:
    """How a format escapes text, sets it in bold, and marks a note."""

    escape: Callable[[str], str]
    bold: str
    note: str

    def entry(self, entry: Entry) -> str:
        """An entry with its reference value and the marks of its notes."""
        text = self.escape(entry.text)
        said = self.bold.format(text) if entry.bold else text
        said += f"; {self.escape(entry.reference)}" if entry.reference else ""
        return said + "".join(self.note.format(mark) for mark in entry.notes)


MARKDOWN = Markup(literal.markdown, "**{}**", " [{}]")
LATEX = Markup(literal.latex, r"\textbf{{{}}}", r"\textsuperscript{{{}}}")


def markdown(table: Table) -> str:
    """A pipe table with title, caption and numbered notes."""
    escape = MARKDOWN.escape
    rows = [map(escape, table.heads), ["---"] * len(table.heads)]
    rows += [map(MARKDOWN.entry, row) for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    notes = [f"  \n[{i}] {escape(note)}" for i, note in enumerate(table.notes, start=1)]
    said = ["", escape(table.caption), *notes]
    return "\n".join([f"**{escape(table.title)}**", "", *lines, *said]) + "\n"


def latex(table: Table) -> str:
    """A table environment; needs the package booktabs, and the encoding T1 of fonts."""
    escape, widths = LATEX.escape, _widths(table)
    size = "" if sum(widths) <= WIDE else r"\scriptsize\setlength{\tabcolsep}{3pt}"
    columns = "".join(r"p{0.35\linewidth}" if width > SENTENCE else "l" for width in widths)
    heads = [_tex_row(map(_tex_span, line)) for line in table.spans]
    rows = [_tex_row(map(LATEX.entry, row)) for row in table.rows]
    notes = [
        rf"\par{{\footnotesize\textsuperscript{{{i}}} {escape(note)}\par}}"
        for i, note in enumerate(table.notes, start=1)
    ]
    return "\n".join([
        r"\begin{table}",
        rf"\centering{size}",
        rf"\caption{{{escape(table.title)}. {escape(table.caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *heads, r"\midrule", *rows,
        r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}", "",
    ])  # fmt: skip


def _widths(table: Table) -> list[int]:
    """The letters of the widest entry of each column."""
    columns = zip(*table.rows, strict=True)
    return [max(len(entry.words) for entry in column) for column in columns] or [0] * len(
        table.heads
    )


def _tex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex_span(span: tuple[str, int]) -> str:
    text, width = LATEX.escape(span[0]), span[1]
    return text if width == 1 else rf"\multicolumn{{{width}}}{{c}}{{{text}}}"


def comma_separated(table: Table) -> str:
    """The entries as they are printed, one header line; notes in a column of their own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(literal.csv, (*table.heads, "notes")))
    for row in table.rows:
        marks = sorted({mark for entry in row for mark in entry.notes})
        notes = "; ".join(table.notes[mark - 1] for mark in marks)
        writer.writerow(map(literal.csv, (*(entry.words for entry in row), notes)))
    return out.getvalue()


def header_spans(header: tuple[tuple[str, ...], ...]) -> tuple[tuple[tuple[str, int], ...], ...]:
    """Header lines as (text, width): neighbours that are equal here and above become one.

    The last line is never merged, so that it has one entry per column; empty entries stay apart.
    """
    lines = []
    for depth, line in enumerate(header[:-1]):
        columns = list(zip(*header[: depth + 1], strict=True))
        merged: list[tuple[str, int]] = []
        for _, run in groupby(range(len(line)), key=columns.__getitem__):
            places = list(run)
            text = line[places[0]]
            merged += [(text, len(places))] if text else [("", 1)] * len(places)
        lines.append(tuple(merged))
    return (*lines, tuple((text, 1) for text in header[-1]))


WRITERS = {"md": markdown, "tex": latex, "csv": comma_separated}
