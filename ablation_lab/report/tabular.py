"""What a table is: entries that know their text, their sort value, their notes and their cell.

In: nothing. Out: the model that `writers.py` prints in every format, so that the HTML page and a
LaTeX fragment cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """One entry: its text, the value to sort by, and the cell whose runs it leads to.

    `printed` is what the source printed there; it stands in grey behind our own value.
    """

    text: str
    value: float | None = None
    bold: bool = False
    notes: tuple[int, ...] = ()
    cell: str = ""
    printed: str = ""

    @property
    def words(self) -> str:
        """Everything that the entry says, as plain text."""
        return f"{self.text}; {self.printed}" if self.printed else self.text


@dataclass(frozen=True)
class Table:
    """A table: header lines (equal neighbours span), rows of entries, numbered notes."""

    name: str
    title: str
    caption: str
    header: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Entry, ...], ...]
    notes: tuple[str, ...] = ()


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
