"""The report in Korean: no sentence lacks its translation, none is left over or in English."""

from __future__ import annotations

import ast
import re
from itertools import pairwise, product
from pathlib import Path
from string import Formatter

import pytest
from babel import Locale
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from ablation_lab.report.catalogue import Message, messages, renewed
from ablation_lab.report.formatting import plain_text
from ablation_lab.report.known_phrases import PHRASES
from ablation_lab.report.language import (
    ENGLISH,
    catalogue_of,
    languages,
    tr,
    tr_known,
    trn,
    written_in,
)
from ablation_lab.report.particles import with_particle
from ablation_lab.study.names import Language

PRODUCT = Path(__file__).resolve().parents[2] / "ablation_lab"
OTHERS = [each for each in languages() if each != ENGLISH]
JOINTED = 0.7  # of the pairs of words of a phrase, so many stand in one piece in the source
RENEW = "run `python -m ablation_lab.report.catalogue`, then translate what is new in its file"


def places(text: str) -> set[str]:
    """The named places of a message; one that ends in _ is a matter of English grammar."""
    names = {name for _, name, _, _ in Formatter().parse(text) if name}
    return {name for name in names if not name.endswith("_")}


def test_a_report_can_be_asked_for_in_every_language_that_there_is() -> None:
    assert set(languages()) == set(Language)


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated_with_its_places(language: str) -> None:
    with catalogue_of(language).open("rb") as source:
        catalogue = read_po(source, locale=language)
    said = {each.id: each for each in catalogue if each.id}
    first = {one if isinstance(one, str) else one[0]: one for one in messages()}
    found = {one if isinstance(one, str) else one[0] for one in said}
    assert found == set(first), f"{RENEW}: {sorted(found ^ set(first))[:5]}"
    wrong = [one for one in said.values() if one.fuzzy or not is_whole(one.id, one.string)]
    assert not wrong, f"without a translation that has their places: {[e.id for e in wrong][:5]}"
    assert renewed(language) == catalogue_of(language).read_bytes(), RENEW


def is_whole(message: Message, string: str | tuple[str, ...]) -> bool:
    """Whether a translation says something, at the places of the message."""
    texts = (string,) if isinstance(string, str) else string
    wanted = places(message if isinstance(message, str) else message[1])
    return all(text.strip() and places(text) == wanted for text in texts)


def test_what_rooms_below_say_is_known_by_the_form_that_they_give_it() -> None:
    """A phrase whose source was changed would be left in English without a word."""
    source = " ".join(
        each.value.replace("_", " ").lower()
        for path in PRODUCT.rglob("*.py")
        if path.name != "known_phrases.py"
        for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    )
    said = " ".join(re.findall("[a-z]+", source))
    for phrase in PHRASES:
        parts = [re.findall("[a-z]+", part) for part in re.split("{.*?}", phrase.lower())]
        pairs = [
            " ".join(pair) for part in parts for pair in (pairwise(part) if part[1:] else [part])
        ]
        # A sentence that is put together has joints, which stand nowhere as they are.
        assert sum(pair in said for pair in pairs) >= JOINTED * len(pairs), phrase


def test_a_report_has_its_language_and_no_other_gets_it() -> None:
    with written_in("ko"):
        assert (tr("verdict"), trn("{n} study", "{n} studies", 3)) == ("판정", "연구 3개")
        with written_in(ENGLISH):
            assert (tr("verdict"), trn("{n} study", "{n} studies", 1)) == ("verdict", "1 study")
        assert tr("verdict") == "판정"
    assert tr("verdict") == "verdict"


def test_texts_of_other_rooms_are_known_and_those_of_users_stay() -> None:
    failed = "2 failed: OutOfMemoryError; 1 missing: not run, needs 2 GPUs"
    assert tr_known(failed) == failed
    with written_in("ko"):
        assert tr_known("needs n ≥ 7") == "n ≥ 7 필요"
        assert (
            tr_known(failed)
            == "2회 실패: OutOfMemoryError; 1회 없음: 실행하지 않음, 필요한 것: 2 GPUs"
        )
        assert tr_known("better than {all} %") == "better than {all} %"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("판정", "판정은"), ("차이", "차이는"), ("9", "9는"), ("10", "10은"), ("0.3", "0.3은"),
        ("SGD", "SGD는"), ("LSTM", "LSTM은"), ("relu", "relu은(는)"), ("93 %", "93 %는"),
        ("셀 (n = 3)", "셀 (n = 3)은"), ("", "은(는)"),
    ],
)  # fmt: skip
def test_the_particle_is_that_of_how_a_word_ends(word: str, said: str) -> None:
    assert with_particle(word, "은/는") == said


@pytest.mark.parametrize(
    ("word", "said"), [("칼", "칼로"), ("7", "7로"), ("3", "3으로"), ("a", "a(으)로")]
)
def test_behind_rieul_the_short_form_stands(word: str, said: str) -> None:
    assert with_particle(word, "으로/로") == said


@pytest.mark.parametrize(("language", "value"), list(product(OTHERS, (0, 1234, 1234567, 0.0625))))
def test_numbers_are_written_as_the_locale_writes_them(language: str, value: float) -> None:
    assert plain_text(value) == format_decimal(value, locale=Locale(language), format="#,##0.####")
