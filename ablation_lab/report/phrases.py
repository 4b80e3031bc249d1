"""Levels and lists of them as parts of a sentence.

In: levels by factor. Out: '9 weight layers and ReLU', 'a, b and 3 more'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablation_lab.report.language import ENGLISH, language, tr
from ablation_lab.study.factor import Factor

Levels = Mapping[str, str]
MOST_NAMED = 4  # places or levels that a sentence spells out


def capital(text: str) -> str:
    """The text with a capital letter, in languages that begin sentences with one."""
    return f"{text[:1].upper()}{text[1:]}" if language() == ENGLISH else text


def levels_text(levels: Levels, factors: Mapping[str, Factor]) -> str:
    """'9 weight layers, activation relu and learning rate 0.1'."""
    return joined([level_text(factors[name], level) for name, level in levels.items()])


def said_text(levels: Levels, factors: Mapping[str, Factor]) -> str:
    """The same levels without the factors' labels: '9, relu and 0.1'."""
    return joined([factors[name].said(level) for name, level in levels.items()])


def joined(texts: Sequence[str]) -> str:
    """'a, b and c'."""
    *first, last = texts or [""]
    return tr("{listed} and {last}", listed=", ".join(first), last=last) if first else last


def level_text(factor: Factor, level: str) -> str:
    """The words of a level, where it has some; '9 weight layers' of what is counted, else both."""
    if level in factor.words:
        return factor.words[level]
    counted = factor.label.endswith("s") and not factor.label.endswith("ss")
    if counted and level.isdigit():
        return tr("{number} {things}", number=level, things=factor.label)
    return f"{factor.label} {level}"


def listed(names: Sequence[str]) -> str:
    """'a, b and c', and of many how many more."""
    shown = list(names[:MOST_NAMED])
    more = [tr("{n} more", n=len(names) - len(shown))] if len(names) > MOST_NAMED else []
    return joined([*shown, *more])


def within_text(kept: str, averaged: Sequence[str] = ()) -> str:
    """What holds for both sides, as the beginning of a sentence."""
    over = tr(" and ").join(averaged)
    if kept and over:
        return tr("with {kept} and on average over {over}, ", kept=kept, over=over)
    if kept:
        return tr("with {kept}, ", kept=kept)
    return tr("on average over {over}, ", over=over) if over else ""
