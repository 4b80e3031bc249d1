"""The language of a report: its words, its numbers and its dates.

In: an English sentence of ours with named places, and what stands in them. Out: the sentence in the
language in which the report is written. English is the source and needs no catalogue; of every
other language all sentences stand in one file, `locale/<language>/LC_MESSAGES/report.po`. What a
user wrote is a value, never a message, and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import Any

from ablation_lab.report.particles import with_particle

ENGLISH = "en"
LOCALE = Path(__file__).parent / "locale"
DOMAIN = "report"
# In a template a message is the first text behind `tr(`; behind `trn(` are two, of one and of many.
IN_TEMPLATES = re.compile(r'\btr(?:n\("(?P<one>[^"]+)", "(?P<many>[^"]+)"|\("(?P<only>[^"]+)")')
_LANGUAGE = ContextVar("language of the report", default=ENGLISH)


def catalogue_of(language: str) -> Path:
    """The file of a language's sentences."""
    return LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def languages() -> tuple[str, ...]:
    """The languages in which a report can be written, English first."""
    return (ENGLISH, *sorted(path.name for path in LOCALE.iterdir() if path.is_dir()))


def language() -> str:
    """The language of the report that is being written."""
    return _LANGUAGE.get()


@contextmanager
def written_in(language: str) -> Iterator[None]:
    """Write in a language; another report in this process keeps its own."""
    token = _LANGUAGE.set(language)
    try:
        yield
    finally:
        _LANGUAGE.reset(token)


def msgid(text: str) -> str:
    """The text itself, which the catalogue lists: `tr` says it later."""
    return text


def msgids(*texts: str) -> tuple[str, ...]:
    """The texts themselves, such as the heads of columns, for the catalogue."""
    return texts


def trs(*messages: str) -> tuple[str, ...]:
    """Several messages without places, such as the heads of columns."""
    return tuple(map(tr, messages))


def tr(message: str, /, **values: object) -> str:
    """A message in the language of the report, with values at its named places.

    Values are texts, or numbers whose format the message says, as in `{n:,}`. A translation may ask
    for the particle that a value takes: `{cell:은/는}`.
    """
    return _FORMATTER.vformat(translated(message), (), values)


def translated(message: str) -> str:
    """A message in the language of the report, its places as they are."""
    return _catalogue(language()).gettext(message)


def trn(one: str, many: str, n: int, /, **values: object) -> str:
    """The same of a number `{n}`, in the form that it takes."""
    said = _catalogue(language()).ngettext(one, many, int(n))
    return _FORMATTER.vformat(said, (), {"n": n, **values})


@cache
def _catalogue(language: str) -> NullTranslations:
    if language == ENGLISH:
        return NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = BytesIO()
    with catalogue_of(language).open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


class _Sentence(Formatter):
    """Puts values into a sentence, each with the particle that its place asks for."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """A value in the format of its place."""
        if "/" in format_spec:
            return with_particle(str(value), format_spec)
        return format(value, format_spec)


_FORMATTER = _Sentence()


def tr_known(text: str) -> str:
    """What another room says, in the language of the report; any other text as it is.

    Rooms below speak English, since data files hold what they say: it is known by its form.
    """
    if language() == ENGLISH or not text:
        return text
    if (said := translated(text)) != text:
        return said
    for form, message in _forms():
        if found := form.fullmatch(text):
            values = {name: tr_known(value) for name, value in found.groupdict().items()}
            return tr(message, **values)
    first, *more = text.split("; ")
    return "; ".join(map(tr_known, (first, *more))) if more else text


# Places of phrases at which a number stands, so that fewer texts of users look like one of them.
COUNTS, NUMBER = frozenset(("n", "m", "count", "needs", "more", "most", "few")), r"\d[\d.,]*"


@cache
def _forms() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Each known phrase that has places, as what finds it; the most particular first."""
    from ablation_lab.report.known_phrases import PHRASES

    placed = sorted((each for each in PHRASES if "{" in each), key=lambda each: -len(each))
    return tuple((_form(each), each) for each in placed)


def _form(message: str) -> re.Pattern[str]:
    parts = Formatter().parse(message)
    return re.compile("".join(
        re.escape(text) + (f"(?P<{name}>{NUMBER if name in COUNTS else '.+?'})" if name else "")
        for text, name, _, _ in parts
    ))  # fmt: skip
