"""The catalogue of a language: which sentences of ours it has to have.

In: the sources of the report. Out: every message with where it stands, and the file of a language
with all of them and no others. `python -m ablation_lab.report.catalogue` renews the files; what is
new there has no translation yet, and a test says so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from ablation_lab.report.glossary import written
from ablation_lab.report.language import (
    DOMAIN,
    ENGLISH,
    IN_TEMPLATES,
    catalogue_of,
    languages,
)

SOURCES = Path(__file__).parent
TEMPLATES = SOURCES / "templates"
FUNCTIONS = ("tr", "trn", "trs", "msgid", "msgids")
WIDTH = 100
Message = str | tuple[str, str]  # of a number: in the singular and in the plural


def messages() -> dict[Message, None]:
    """Every message of the report, in the order of its sources."""
    python = (each for path in sorted(SOURCES.glob("*.py")) for each in in_python(path))
    placed = (each for path in sorted(TEMPLATES.glob("*.*")) for each in in_template(path))
    words = (text for term in written() for text in term)
    return dict.fromkeys((*python, *placed, *words))


def in_python(path: Path) -> Iterator[Message]:
    """The messages of a module: the texts that our functions are called with."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in FUNCTIONS:
            texts = [
                part.value
                for given in call.args
                for part in choices(given)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            yield from [(texts[0], texts[1])] if getattr(call.func, "id", "") == "trn" else texts


def choices(given: ast.expr) -> tuple[ast.expr, ...]:
    """What an argument can be: one of two where a condition says which."""
    return (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,)


def in_template(path: Path) -> Iterator[Message]:
    """The messages of a template of Jinja or Typst."""
    for found in IN_TEMPLATES.finditer(path.read_text(encoding="utf-8")):
        yield found["only"] or (found["one"], found["many"])


def renewed(language: str) -> bytes:
    """The file of a language with every message: known ones as they are, new ones without text."""
    with catalogue_of(language).open("rb") as source:
        known = read_po(source, locale=language, domain=DOMAIN)
    made = Catalog(
        locale=language, domain=DOMAIN, fuzzy=False, header_comment=known.header_comment,
        creation_date=known.creation_date, revision_date=known.revision_date,
    )  # fmt: skip
    for message in messages():
        found = known.get(message)
        made.add(message, found.string if found else None)
    out = BytesIO()
    write_po(out, made, width=WIDTH, no_location=True, omit_header=False, sort_output=True)
    return out.getvalue()


if __name__ == "__main__":
    for each in languages():
        if each != ENGLISH:
            catalogue_of(each).write_bytes(renewed(each))
