"""The published works that a study may call for, by the words whose use calls for them.

In: `templates/works.yaml`. Out: works as a list of references has them, and as BibTeX.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

WORKS = Path(__file__).parent / "templates" / "works.yaml"


@dataclass(frozen=True)
class Work:
    """A published work, where it appeared, and the words whose use in a study calls for it."""

    key: str
    authors: tuple[str, ...]
    title: str
    year: int
    words: tuple[str, ...]
    journal: str = ""
    volume: int | None = None
    conference: str = ""
    publisher: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """The work as a list of references has it."""
        where = self.journal or self.conference or self.publisher or self.note
        placed = f"{where} {self.volume}" if self.volume else where
        when = f"{placed}, {self.year}" if placed else str(self.year)
        return f"{', '.join(self.authors)}. {self.title}. {when}."

    @property
    def bibtex(self) -> str:
        """The work as an entry of BibTeX; braces keep the letters of its title as they are."""
        kinds = {"article": self.journal, "inproceedings": self.conference, "book": self.publisher}
        kind = next((kind for kind, place in kinds.items() if place), "misc")
        fields = {
            "author": " and ".join(self.authors),
            "title": f"{{{self.title}}}",
            "journal": self.journal,
            "volume": self.volume,
            "booktitle": self.conference,
            "publisher": self.publisher,
            "note": self.note,
            "year": self.year,
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{kind}{{{self.key},", *lines, "}", ""])


@cache
def works() -> tuple[Work, ...]:
    """Every work that a study may call for."""
    listed = yaml.safe_load(WORKS.read_text(encoding="utf-8"))
    pairs = ((tuple(each.pop("authors")), tuple(each.pop("words")), each) for each in listed)
    return tuple(Work(authors=authors, words=words, **each) for authors, words, each in pairs)


def references(words: Collection[str]) -> tuple[Work, ...]:
    """The works that any of the words calls for, in the order in which they are listed."""
    return tuple(work for work in works() if set(work.words) & set(words))
