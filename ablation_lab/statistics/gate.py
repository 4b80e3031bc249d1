"""Is a candidate kept? Many are proposed, and the chance that any is kept wrongly is spent. Pure.

In: paired differences of a candidate and what it is held against, more is better, and the level of
the proposal. Out: accept, reject, or how many more replicates. Shapes: R replicates.

The i-th proposal has the level α_i = α·γ_i + [the one before was accepted]·α_{i-1}, γ_i =
1/(2.1097·(i+1)·ln²(i+1)), whose sum is 1: online fallback (Tian and Ramdas, Online control of the
familywise error rate, 2021), by which the chance of any false accept is at most α = 5 % however
many are proposed, whatever their results have to do with each other, and whoever chooses them by
the answers before. A proposal looks L times, each at α_i/L (Bonferroni; at such small levels no
more exact sum of looks gives much), by one-sided sign flips. They assume that differences are
symmetric where there is no effect, as those of two cells with the same distribution are.

Rejecting errs in no such sum, so a look may reject early: where even the upper 90 % bound of the
difference would not be shown, with 80 %, by the most replicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, inf, log, log2, sqrt

import numpy as np
from scipy.special import ndtri, stdtrit

from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Floats
from ablation_lab.statistics.joint import limits
from ablation_lab.statistics.planning import POWER

SUM = 2.1097428012369  # of 1/(n·ln² n) from n = 2 on
BOUND = 0.9  # of the difference that a look still thinks possible
BLOCKS = 32  # whose signs are flipped at most: neighbours of more replicates share one
EQUAL = 1e-9  # sums of equal patterns differ by rounding


class Answer(StrEnum):
    """What becomes of a candidate."""

    ACCEPT = "accept"
    REJECT = "reject"
    MORE = "more"


@dataclass(frozen=True)
class Judged:
    """An answer after `n` replicates: mean difference, and p over all looks (1 before the first).

    `more` are the replicates until the next look, and `likely` about those that the difference so
    far would need in all; infinite where there is none, or nobody knows.
    """

    answer: Answer
    n: int
    difference: float
    p: float
    more: int = 0
    likely: float = inf


def level_of(number: int, *, inherited: float = 0.0) -> float:
    """The level of a proposal, counted from 1; ``inherited`` is that of an accepted one before."""
    return LEVEL_OF_TESTS / (SUM * (number + 1) * log(number + 1) ** 2) + inherited


def fewest(level: float, looks: Sequence[int]) -> int:
    """The replicates without which no signs could accept: the smallest p of R is 2^-R."""
    return ceil(log2(len(looks) / level) - EQUAL)


def judge(differences: Floats, *, looks: Sequence[int], level: float) -> Judged:
    """Look at differences (R,), as many as there are; the first look that decides stands."""
    there = len(differences)
    judged = Judged(Answer.MORE, there, _mean(differences), 1.0)
    for n in looks:
        if n > there:
            return replace(judged, more=n - there)
        judged = _look(differences[:n], looks, level)
        if judged.answer is not Answer.MORE:
            break
    return judged


def sign_flip_p(differences: Floats) -> float:
    """The share of all sign patterns whose sum is as large: exact, from halves of the patterns.

    Beyond 32 replicates neighbours turn together, which is as exact with fewer patterns.
    """
    blocks = np.array([each.sum() for each in np.array_split(differences, BLOCKS) if len(each)])
    first, second = np.array_split(blocks, 2)
    sums = np.sort(_sums(second))
    reach = blocks.sum() - EQUAL * np.abs(blocks).sum() - _sums(first)
    return float((len(sums) - np.searchsorted(sums, reach)).sum() / 2 ** len(blocks))


def _sums(values: Floats) -> Floats:
    """The sums of the values (n,) under each of their 2^n sign patterns."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _look(differences: Floats, looks: Sequence[int], level: float) -> Judged:
    finite = limits(differences[:, np.newaxis])[:, 0]
    n, least, each = len(finite), fewest(level, looks), level / len(looks)
    p = min(1.0, len(looks) * sign_flip_p(finite))
    spread = float(finite.std(ddof=1)) if n > 1 else inf
    mean = float(finite.mean())
    possible = mean + stdtrit(max(n - 1, 1), BOUND) * spread / sqrt(n)
    likely, promising = (max(least, _needed(d, spread, each)) for d in (mean, possible))
    hopeless = n == looks[-1] or promising > looks[-1]
    answer = Answer.ACCEPT if p <= level else Answer.REJECT if hopeless else Answer.MORE
    return Judged(answer, n, _mean(differences), p, likely=likely)


def _needed(effect: float, spread: float, level: float) -> float:
    """The replicates that show an effect with 80 % at a level, normal runs assumed."""
    reach = ndtri(POWER) - ndtri(level)
    return float((reach * spread / effect) ** 2) if 0 < effect < inf else inf


def _mean(differences: Floats) -> float:
    return float(differences.mean()) if len(differences) else float("nan")
