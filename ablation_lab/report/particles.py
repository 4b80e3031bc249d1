"""Korean particles: which of two forms follows a word, by how its end is read.

In: a word, a number or a level, and both forms, '은/는', '을/를' or '으로/로', that after a
consonant first. Out: the word with the right one; with both, as Korean writes it, where only a
person knows how the word is read.
"""

from __future__ import annotations

import re

FIRST, LAST = ord("가"), ord("힣")
FINALS = 28  # syllables of one beginning, the first of which has no final consonant
RIEUL = 8  # the place of ㄹ among the finals, behind which 로 stands as behind a vowel
# As they are read: 영 일 이 삼 사 오 육 칠 팔 구; a number that ends in 0 ends in 십, 백, 천.
CONSONANT_DIGITS, RIEUL_DIGITS = "013678", "178"
# Letters that are read by their names: 엘, 엠, 엔, 알.
CONSONANT_LETTERS, RIEUL_LETTERS = "LMNR", "LR"
SILENT = re.compile(r"[\s\"'”’»)\]}]+$|\s*\([^()]*\)$")
SIGNS = {"%": "트", "°": "도", "₩": "원"}  # as they are read: 퍼센트


def with_particle(word: str, forms: str) -> str:
    """The word and the particle that follows it."""
    after_consonant, after_vowel = forms.split("/")
    final = _final(word, loose=after_consonant == "으로")
    if final is None:
        return f"{word}{_both(after_consonant, after_vowel)}"
    return f"{word}{after_consonant if final else after_vowel}"


def _both(after_consonant: str, after_vowel: str) -> str:
    """'은(는)', '(으)로'."""
    optional = after_consonant.removesuffix(after_vowel)
    if optional and optional != after_consonant:
        return f"({optional}){after_vowel}"
    return f"{after_consonant}({after_vowel})"


def _final(word: str, *, loose: bool) -> bool | None:
    """Whether a word ends in a consonant, not in ㄹ if `loose`; None where nobody can say."""
    last = _last(word)
    if FIRST <= ord(last) <= LAST:
        place = (ord(last) - FIRST) % FINALS
        return place != 0 and not (loose and place == RIEUL)
    if last.isdigit():
        return last in CONSONANT_DIGITS and not (loose and last in RIEUL_DIGITS)
    if last.isupper() and last.isascii():
        return last in CONSONANT_LETTERS and not (loose and last in RIEUL_LETTERS)
    return None


def _last(word: str) -> str:
    """The last letter that is read; a sign by the syllable that it is read as."""
    heard = word
    while (shorter := SILENT.sub("", heard)) != heard:
        heard = shorter
    last = heard[-1:] or "?"
    return SIGNS.get(last, last)
