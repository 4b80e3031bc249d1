"""What a table is, and how it is written: Markdown, LaTeX (booktabs), CSV, the spans for HTML.

In: entries that know their text, their sort value, their notes and their cell. Out: one model that
every format prints, so that the HTML page and a LaTeX fragment cannot disagree. Every special
character of a format is escaped here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

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
    return Entry(item) if isinstance(item, str) else Entry(str(item), sortable(item))


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


TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "–": "--", "—": "---", "·": r"$\cdot$", "−": "$-$", "<": r"\textless{}", ">": r"\textgreater{}",
    "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$", "∈": r"$\in$", "√": r"$\surd$",
}  # fmt: skip
SENTENCE = 48  # letters of an entry that no longer stand on one line
WIDE = 75  # letters that fit side by side in a column of text
SPECIAL = r"\`*_{}[]<>#|~"


def write_table(table: Table, folder: Path) -> None:
    """Write a table in every format into a folder, as `table_<name>.<ending>`."""
    for ending, write in WRITERS.items():
        (folder / f"table_{table.name}.{ending}").write_text(write(table), encoding="utf-8")


def markdown(table: Table) -> str:
    """A pipe table with title, caption and numbered notes."""
    head = [" · ".join(filter(None, column)) for column in zip(*table.header, strict=True)]
    lines = [f"**{_md(table.title)}**", "", _md_line(head), _md_line(["---"] * len(head))]
    lines += [_md_line([_md_entry(entry) for entry in row], escape=False) for row in table.rows]
    notes = [f"[{i}] {_md(note)}" for i, note in enumerate(table.notes, start=1)]
    return "\n".join([*lines, "", _md(table.caption), *("  \n" + n for n in notes)]) + "\n"


def latex(table: Table) -> str:
    """A table environment; needs the package booktabs."""
    widths = [
        max(len(entry.words) for entry in column) for column in zip(*table.rows, strict=True)
    ] or [0] * len(table.header[0])
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{tex(table.title)}. {tex(table.caption)}}}",
    ]
    lines += [_tex_size(sum(widths)), rf"\begin{{tabular}}{{{_tex_columns(widths)}}}", r"\toprule"]
    lines += [_tex_header(line) for line in header_spans(table.header)]
    lines += [r"\midrule", *(_tex_row(row) for row in table.rows), r"\bottomrule", r"\end{tabular}"]
    for i, note in enumerate(table.notes, start=1):
        lines += ["", rf"{{\footnotesize\textsuperscript{{{i}}} {tex(note)}\par}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def comma_separated(table: Table) -> str:
    """The entries as they are printed, one header line; notes in a column of their own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = [" · ".join(filter(None, column)) for column in zip(*table.header, strict=True)]
    writer.writerow([*head, "notes"])
    for row in table.rows:
        marks = sorted({mark for entry in row for mark in entry.notes})
        writer.writerow(
            [*(entry.words for entry in row), "; ".join(table.notes[m - 1] for m in marks)]
        )
    return out.getvalue()


def tex(text: str) -> str:
    """Plain text as LaTeX."""
    return "".join(TEX.get(character, character) for character in text)


def header_spans(header: tuple[tuple[str, ...], ...]) -> list[list[tuple[str, int]]]:
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
        lines.append(merged)
    return [*lines, [(text, 1) for text in header[-1]]]


def _md(text: str) -> str:
    return "".join("\\" + c if c in SPECIAL else c for c in text)


def _md_line(texts: list[str], *, escape: bool = True) -> str:
    return "| " + " | ".join(_md(t) if escape and t != "---" else t for t in texts) + " |"


def _md_entry(entry: Entry) -> str:
    text = _md(entry.text)
    text = f"**{text}**" if entry.bold else text
    text += f"; {_md(entry.reference)}" if entry.reference else ""
    return text + "".join(f" [{mark}]" for mark in entry.notes)


def _tex_columns(widths: list[int]) -> str:
    """One letter per column; a column of sentences wraps."""
    return "".join(r"p{0.35\linewidth}" if width > SENTENCE else "l" for width in widths)


def _tex_size(letters: int) -> str:
    """Letters that let a wide table fit its page."""
    if letters <= WIDE:
        return r"\normalsize"
    return r"\scriptsize\setlength{\tabcolsep}{3pt}"


def _tex_header(line: list[tuple[str, int]]) -> str:
    parts = [
        tex(text) if width == 1 else rf"\multicolumn{{{width}}}{{c}}{{{tex(text)}}}"
        for text, width in line
    ]
    return " & ".join(parts) + r" \\"


def _tex_row(row: tuple[Entry, ...]) -> str:
    return " & ".join(_tex_entry(entry) for entry in row) + r" \\"


def _tex_entry(entry: Entry) -> str:
    text = tex(entry.text)
    text = rf"\textbf{{{text}}}" if entry.bold else text
    text += f"; {tex(entry.reference)}" if entry.reference else ""
    return text + "".join(rf"\textsuperscript{{{mark}}}" for mark in entry.notes)


WRITERS = {"md": markdown, "tex": latex, "csv": comma_separated}
