"""Cells whose runs are no pairs, of unequal numbers or by seeds of their own, tested apart.

In: the values of two cells for every comparison. Out: what `joint` says of pairs: a corrected p and
intervals that hold together. Welch's t tests with Holm's correction and Bonferroni's intervals; of
successes Fisher's exact test. Where a run that is not finite counts at an infinite worst, ranks
decide (Mann and Whitney), the limit of ever worse values. Shapes: K comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan, sqrt

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Floats, holm
from ablation_lab.statistics.joint import Joint
from ablation_lab.statistics.outcomes import Outcomes
from ablation_lab.statistics.planning import Procedure, replicates_needed

FISHER = "Fisher's exact test, unpaired"
Samples = tuple[Floats, Floats]


def tested_apart(
    pairs: Sequence[tuple[Outcomes, Outcomes]], *, success: bool, level: float
) -> tuple[Floats, Joint]:
    """The mean differences (1, K) of pairs of cells, and the test of them as one family."""
    samples = _samples(pairs)
    joint = welch(samples, level=level)
    if success:
        joint = replace(joint, p=successes_apart(samples))
    return mean_differences(samples)[np.newaxis], joint


def _samples(pairs: Sequence[tuple[Outcomes, Outcomes]]) -> list[Samples]:
    return [(np.array([*a.values.values()]), np.array([*b.values.values()])) for a, b in pairs]


def welch(pairs: Sequence[Samples], *, level: float = LEVEL_OF_TESTS) -> Joint:
    """Test the difference of every pair of samples, as one family."""
    pooled = _pooled(pairs)
    found = [_welch(first, second, pooled) for first, second in pairs]
    family = max(sum(np.isfinite(p) for p, _, _ in found), 1)
    means = mean_differences(pairs)
    half = [error * scipy_stats.t.isf(level / (2 * family), degrees) for _, error, degrees in found]
    return Joint(
        procedure=Procedure.WELCH,
        n=tuple(min(len(first), len(second)) for first, second in pairs),
        p=np.array(holm([p for p, _, _ in found])),
        low=means - half,
        high=means + half,
        normal=float(scipy_stats.norm.isf(level / (2 * family))),
    )


def successes_apart(pairs: Sequence[Samples]) -> Floats:
    """Per pair the p of Fisher's exact test of two numbers of successes, Holm-corrected."""
    return np.array(holm([_fisher(first, second) for first, second in pairs]))


def equivalence_apart(pairs: Sequence[tuple[Outcomes, Outcomes]], band: float) -> Floats:
    """Per pair the p of two one-sided Welch tests of |difference| >= band, Holm-corrected."""
    samples = _samples(pairs)
    pooled = _pooled(samples)
    return np.array(holm([_equivalence(*pair, pooled, band) for pair in samples]))


def mean_differences(pairs: Sequence[Samples]) -> Floats:
    """The mean of the first minus that of the second; NaN where one of both has no value."""
    with np.errstate(invalid="ignore"):
        made = [a.mean() - b.mean() if len(a) and len(b) else nan for a, b in pairs]
    alike = [_same(first, second) for first, second in pairs]
    return np.where(alike, 0.0, made)


def share_equivalence(
    successes: int, n: int, other_successes: int, other_n: int, *, band: float
) -> float:
    """The p of two one-sided tests on the difference of two shares; NaN where one has no run.

    Normal tests with one success and one failure added to each share (Agresti and Caffo, 2000), so
    that a share of 0 or 1 is not taken for a certainty.
    """
    if n == 0 or other_n == 0:
        return nan
    first, second = (successes + 1) / (n + 2), (other_successes + 1) / (other_n + 2)
    error = sqrt(first * (1 - first) / (n + 2) + second * (1 - second) / (other_n + 2))
    return float(scipy_stats.norm.sf((band - abs(first - second)) / error))


def _same(first: Floats, second: Floats) -> bool:
    """Whether all runs of both count at the worst, so that nothing differs."""
    both = np.concatenate([first, second])
    return bool(len(first) and len(second) and np.isinf(both).all() and len(set(both)) == 1)


def _welch(first: Floats, second: Floats, pooled: float) -> tuple[float, float, float]:
    """The p, the error of the mean difference, and its degrees of freedom (Satterthwaite, 1946)."""
    if min(len(first), len(second)) < 2:
        return nan, nan, 1.0
    if not np.isfinite([*first, *second]).all():
        p = 1.0 if _same(first, second) else scipy_stats.mannwhitneyu(first, second).pvalue
        return float(p), nan, 1.0
    error, degrees = _error(first, second, pooled)
    difference = abs(float(first.mean() - second.mean()))
    if error == 0:
        return float(difference == 0), 0.0, degrees
    return float(2 * scipy_stats.t.sf(difference / error, degrees)), error, degrees


def _error(first: Floats, second: Floats, pooled: float) -> tuple[float, float]:
    n = np.array([len(first), len(second)])
    own = np.array([first.var(ddof=1), second.var(ddof=1)])
    # As for pairs: the spread of so few runs may be small by chance.
    spread = np.maximum(own, pooled) if n.min() < replicates_needed() else own
    parts = spread / n
    if not parts.any():
        return 0.0, float(n.sum() - 2)
    return float(np.sqrt(parts.sum())), float(parts.sum() ** 2 / (parts**2 / (n - 1)).sum())


def _pooled(pairs: Sequence[Samples]) -> float:
    """The mean variance of all samples; 0 where none has one."""
    known = [s.var(ddof=1) for pair in pairs for s in pair if len(s) > 1 and np.isfinite(s).all()]
    return float(np.mean(known)) if known else 0.0


def _equivalence(first: Floats, second: Floats, pooled: float, band: float) -> float:
    if min(len(first), len(second)) < 2 or not np.isfinite([*first, *second]).all():
        return nan
    error, degrees = _error(first, second, pooled)
    room = band - abs(float(first.mean() - second.mean()))
    if error == 0:
        return float(room <= 0)
    return float(scipy_stats.t.sf(room / error, degrees))


def _fisher(first: Floats, second: Floats) -> float:
    if not (len(first) and len(second)):
        return nan
    table = [[int((s >= 0.5).sum()), int((s < 0.5).sum())] for s in (first, second)]
    return float(scipy_stats.fisher_exact(table).pvalue)
