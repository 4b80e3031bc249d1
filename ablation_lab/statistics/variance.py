"""Analysis of variance: which share of all variance a factor, a pair, or the seed accounts for.

In: a `Factorial`. Out: one `Share` per source, with its interval and F test.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.factorial import Factorial, rank
from ablation_lab.statistics.jackknife import jackknife
from ablation_lab.statistics.stats import Floats, Interval, holm

HIGHER = ("interactions of three or more",)
SEED = ("replicate (seed)",)
RESIDUAL = ("residual",)


@dataclass(frozen=True)
class Share:
    """One source of variance. `f`, `p`, `p_holm` are NaN where nothing is tested."""

    term: tuple[str, ...]
    df: int
    share: Interval
    f: float
    p: float
    p_holm: float


def shares(data: Factorial) -> list[Share]:
    """Eta squared of every term: its type II sum of squares over that of all runs.

    Replicates are blocks, as the same seed stands in every cell, so F = (SS/df) / (residual mean
    square) with the residual inside blocks. In a complete grid the shares add up to one. The
    intervals are those of a jackknife over replicates. Empty where all runs are equal, or where a
    single replicate leaves no residual.

    Source: Fisher's analysis of randomised blocks; type II sums as in statsmodels' anova_lm.
    """
    replicates, cells = data.values.shape
    if np.ptp(data.values) == 0 or replicates < 2:
        return []
    forms = {term: data.explained(term) for term in data.terms}
    if rank(data.unexplained()):
        forms[HIGHER] = data.unexplained()
    degrees = {term: rank(form) for term, form in forms.items()}
    between = rank(np.eye(cells)) - 1
    degrees |= {SEED: replicates - 1, RESIDUAL: between * (replicates - 1)}
    squares = _squares(data.values, forms)
    tested = [
        _f_test(squares, degrees, term) if term != RESIDUAL else (nan, nan) for term in degrees
    ]
    corrected = holm([p for _, p in tested])
    intervals = _jackknifed(data.values, forms, squares)
    return [
        Share(term, df, intervals[term], f, p, p_holm)
        for (term, df), (f, p), p_holm in zip(degrees.items(), tested, corrected, strict=True)
        if df > 0
    ]


def _squares(values: Floats, forms: dict[tuple[str, ...], Floats]) -> dict[tuple[str, ...], float]:
    """Sums of squares of every source; the residual is what cells and replicates leave."""
    replicates, cells = values.shape
    centred = values - values.mean()
    by_cell, by_replicate = centred.mean(axis=0), centred.mean(axis=1)
    made = {term: replicates * float(by_cell @ form @ by_cell) for term, form in forms.items()}
    seed = cells * float((by_replicate**2).sum())
    left = float((centred**2).sum()) - replicates * float((by_cell**2).sum()) - seed
    return {**made, SEED: seed, RESIDUAL: max(left, 0.0)}


def _total(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())


def _f_test(
    squares: dict[tuple[str, ...], float],
    degrees: dict[tuple[str, ...], int],
    term: tuple[str, ...],
) -> tuple[float, float]:
    if not degrees[term] or not degrees[RESIDUAL]:
        return nan, nan
    mean, noise = squares[term] / degrees[term], squares[RESIDUAL] / degrees[RESIDUAL]
    if noise == 0:
        return (inf, 0.0) if mean > 0 else (nan, nan)
    return mean / noise, float(scipy_stats.f.sf(mean / noise, degrees[term], degrees[RESIDUAL]))


def _jackknifed(
    values: Floats,
    forms: dict[tuple[str, ...], Floats],
    squares: dict[tuple[str, ...], float],
) -> dict[tuple[str, ...], Interval]:
    """Shares with t-intervals from leaving out one replicate at a time, cut to [0, 1]."""
    n, total = len(values), _total(values)
    without = [np.delete(values, r, axis=0) for r in range(n)] if n > 2 else []
    again = [(_squares(part, forms), _total(part)) for part in without]
    return {
        term: jackknife(
            square / total, [part[term] / whole if whole else 0.0 for part, whole in again]
        )
        for term, square in squares.items()
    }
