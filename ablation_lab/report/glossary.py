"""The words that a reader of a report meets, each with what it means.

In: `templates/words.yaml`, the only place where they are written. Out: terms with stable anchors,
as data for the pages of a report, and `docs/words.md`, which is made of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from ablation_lab.report.language import tr
from ablation_lab.report.tabular import Table

LONG = 5  # letters of an English word that may stand within an entry; others head a column
WORDS = Path(__file__).parent / "templates" / "words.yaml"
PAGE = """# Words

What a reader of a report meets. Made from `ablation_lab/report/templates/words.yaml` by
`words_page()` of `ablation_lab/report/glossary.py`; every report carries the same words on its
page of methods.
"""


@dataclass(frozen=True)
class Term:
    """A word and what it means; its anchor is that of its heading, so that pages can link to it."""

    word: str
    means: str
    english: str

    @property
    def anchor(self) -> str:
        """The English word in small letters, dashes for blanks, and nothing else but letters."""
        return re.sub(r"[^\w-]", "", self.english.lower().replace(" ", "-"))


def glossary() -> tuple[Term, ...]:
    """Every term, in the order in which a reader meets them, in the language of the report."""
    return tuple(Term(tr(word), tr(means), word) for word, means in written())


@cache
def written() -> tuple[tuple[str, str], ...]:
    """Every word with what it means, as they are written."""
    words = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return tuple((each["word"], each["means"]) for each in words)


def words_of(table: Table) -> tuple[Term, ...]:
    """The terms that a table uses, at the head of a column or in an entry."""
    heads = {text for line in table.header for text in line}
    entries = {entry.text for row in table.rows for entry in row}
    return tuple(
        term
        for term in glossary()
        if term.word in heads
        or (len(term.english) >= LONG and any(term.word in text for text in entries))
    )


def words_page() -> str:
    """Return ``docs/words.md``."""
    return "\n".join([PAGE, *(f"## {term.word}\n\n{term.means}\n" for term in glossary())])
