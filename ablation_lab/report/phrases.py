"""Levels and lists of them as parts of a sentence.

In: levels by factor. Out: '9 weight layers and ReLU', 'a, b and 3 more'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablation_lab.study.factor import Factor

Levels = Mapping[str, str]
MOST_NAMED = 4  # places or levels that a sentence spells out


def capital(text: str) -> str:
    """The text with a capital letter."""
    return f"{text[:1].upper()}{text[1:]}"


def levels_text(levels: Levels, factors: Mapping[str, Factor]) -> str:
    """'9 weight layers, activation relu and learning rate 0.1'."""
    return joined([level_text(factors[name], level) for name, level in levels.items()])


def said_text(levels: Levels, factors: Mapping[str, Factor]) -> str:
    """The same levels without the factors' labels: '9, relu and 0.1'."""
    return joined([factors[name].said(level) for name, level in levels.items()])


def joined(texts: Sequence[str]) -> str:
    """'a, b and c'."""
    *first, last = texts or [""]
    return f"{', '.join(first)} and {last}" if first else last


def level_text(factor: Factor, level: str) -> str:
    """The words of a level, where it has some; '9 weight layers' of what is counted, else both."""
    if level in factor.words:
        return factor.words[level]
    counted = factor.label.endswith("s") and not factor.label.endswith("ss")
    return f"{level} {factor.label}" if counted and level.isdigit() else f"{factor.label} {level}"


def listed(names: Sequence[str]) -> str:
    """'a, b and c', and of many how many more."""
    shown = list(names[:MOST_NAMED])
    more = [f"{len(names) - len(shown)} more"] if len(names) > MOST_NAMED else []
    return joined([*shown, *more])


def within_text(kept: str, averaged: Sequence[str] = ()) -> str:
    """What holds for both sides, as the beginning of a sentence."""
    over = f"on average over {' and '.join(averaged)}" if averaged else ""
    said = " and ".join(filter(None, (f"with {kept}" if kept else "", over)))
    return f"{said}, " if said else ""
