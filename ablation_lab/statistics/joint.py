"""Differences of one table, tested together: no number of cells makes a verdict impossible.

In: a matrix of paired differences, one row per replicate. Out: per column a p-value that is
corrected over the table, and an interval that holds together with all others. Shapes: R replicates,
K columns, S sign patterns.

From six replicates on: step-down max-T over joint sign flips (Westfall and Young, Resampling-based
multiple testing, 1993). One sign per replicate turns the whole row, so that the smallest p is
2^(1-R) whatever K is. Assumes that the differences are jointly symmetric where there is no effect.
With two to five replicates: t tests with Holm's correction, which assume normal spread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Floats, holm
from ablation_lab.statistics.planning import Procedure, procedure_for

EXACT = 13  # replicates up to which every sign pattern is taken
DRAWS = 10_000  # patterns beyond, the one seen among them
LIMIT = 1_000  # replicates beyond which sums of flipped differences are as good as normal
CHUNK = 1_000  # patterns at a time, so that memory stays small
STEADIED = 10  # replicates up to which a share of the common spread steadies the statistic
SHARE = 0.5
EQUAL = 1e-9  # sums of equal patterns differ by rounding


@dataclass(frozen=True)
class Joint:
    """What the columns of one table say; arrays of shape (K,).

    `p` is corrected over the table. `low` and `high` hold all mean differences at once with 95 %,
    or with 1 - level. `normal` is the standard normal quantile that takes the place of 1.96 in
    intervals of that kind.
    NaN for a column without a pair.
    """

    procedure: Procedure
    n: tuple[int, ...]
    p: Floats
    low: Floats
    high: Floats
    normal: float


def joint_test(differences: ArrayLike, *, level: float = LEVEL_OF_TESTS) -> Joint:
    """Test every column of (R, K) paired differences against 0, as one family.

    NaN where a replicate lacks a pair. Infinite where a run that is not finite counts at worst: a
    column that has any is judged by the signs of those, the limit of ever worse values.
    """
    given = np.asarray(differences, dtype=np.float64)
    n = (~np.isnan(given)).sum(axis=0)
    procedure = procedure_for(int(n.max(initial=0)))
    by = _by_sign_flips if procedure is Procedure.SIGN_FLIPS else _by_t
    p, half, normal = by(limits(given), n, level)
    p, half = np.where(n > 0, p, np.nan), np.where(n > 1, half, np.nan)
    with np.errstate(invalid="ignore"):
        mean = np.nansum(given, axis=0) / np.where(n > 0, n, np.nan)
        return Joint(procedure, tuple(n.tolist()), p, mean - half, mean + half, normal)


def equivalence_p(differences: ArrayLike, band: float) -> Floats:
    """Per column the p of two one-sided tests of |mean| >= band, corrected over the table.

    Both sides of all columns are one family of one-sided sign flips; with two to five replicates t
    tests with Holm's correction. Source: Schuirmann, 1987.
    """
    d = np.asarray(differences, dtype=np.float64)
    n = (~np.isnan(d)).sum(axis=0)
    if procedure_for(int(n.max(initial=0))) is Procedure.SIGN_FLIPS:
        sides = limits(np.hstack([band - d, band + d]))
        p, _ = _step_down(sides, np.tile(n, 2), two_sided=False)
        worse = p.reshape(2, -1).max(axis=0)
    else:
        worse = np.array(holm([_t_equivalence(column, band) for column in d.T]))
    return np.where(n > 1, worse, np.nan)


def _by_sign_flips(d: Floats, n: Floats, level: float) -> tuple[Floats, Floats, float]:
    p, critical = _step_down(d, n, two_sided=True, level=level)
    mean = np.nansum(d, axis=0) / np.maximum(n, 1)
    squares = np.nansum((d - mean) ** 2, axis=0) + n * _steadying(d, n) ** 2
    # Where the test of d - δ ends to reject: n²u² = c²·(Σ(d - mean)² + n·u² + n·s²), u = mean - δ.
    with np.errstate(divide="ignore", invalid="ignore"):
        half = critical * np.sqrt(squares / (n * np.maximum(n - critical**2, 0.0)))
    return p, np.where(squares > 0, half, 0.0), max(critical, _normal(1, level))


def _step_down(
    d: Floats, n: Floats, *, two_sided: bool, level: float = LEVEL_OF_TESTS
) -> tuple[Floats, float]:
    """Corrected p of each column, and the value that that share of tables' largest ones exceeds."""
    scaled = _scaled(d, n)
    seen = scaled.sum(axis=0)
    seen = np.abs(seen) if two_sided else seen
    order = np.argsort(-seen, kind="stable")
    scaled, seen = scaled[:, order], seen[order]
    as_large, largest, patterns = np.zeros(len(seen)), [], 0
    for sums in _flipped_sums(scaled):
        # Flipping all signs gives the same two-sided table, so half of the patterns are enough.
        flipped = np.abs(sums) if two_sided else np.vstack([sums, -sums])
        steps = np.maximum.accumulate(flipped[:, ::-1], axis=1)[:, ::-1]
        as_large += (steps >= seen * (1 - EQUAL) - EQUAL).sum(axis=0)
        largest.append(steps[:, :1])
        patterns += len(flipped)
    p = np.empty_like(seen)
    p[order] = np.maximum.accumulate(as_large / max(patterns, 1))
    return p, _critical(np.concatenate(largest).ravel() if len(seen) else np.zeros(1), level)


def _critical(largest: Floats, level: float) -> float:
    """The smallest value that at most this share of patterns exceeds; a test rejects beyond it."""
    ordered = np.sort(largest)
    return float(ordered[len(ordered) - 1 - int(level * len(ordered))])


def _scaled(d: Floats, n: Floats) -> Floats:
    """Differences over the root of their squares, which no flip changes; 0 for a missing pair."""
    filled = np.nan_to_num(d, nan=0.0)
    norm = np.sqrt((filled**2).sum(axis=0) + n * _steadying(d, n) ** 2)
    scaled: Floats = filled / np.where(norm > 0, norm, 1.0)
    return scaled


def _steadying(d: Floats, n: Floats) -> float:
    """Half of the lower quartile of the columns' spreads, up to ten replicates.

    With few patterns some column of many is large under another pattern by its small spread alone,
    and no effect can be told from it (as in SAM: Tusher, Tibshirani and Chu, 2001).
    """
    full = n > 1
    if len(d) > STEADIED or int(full.sum()) < 2:
        return 0.0
    return SHARE * float(np.quantile(np.nanstd(d[:, full], axis=0, ddof=1), 0.25))


def _by_t(d: Floats, n: Floats, level: float) -> tuple[Floats, Floats, float]:
    """Paired t tests with the larger of a column's own spread and the pooled one."""
    full, family = n > 1, max(int((n > 1).sum()), 1)
    mean = np.nansum(d, axis=0) / np.maximum(n, 1)
    own = np.nansum((d - mean) ** 2, axis=0) / np.maximum(n - 1, 1)
    pooled = float(own[full].mean()) if full.any() else 0.0
    error = np.sqrt(np.maximum(own, pooled) / np.maximum(n, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(mean == 0, 0.0, np.abs(mean) / error)
    degrees = np.maximum(n - 1, 1)
    p = np.where(full, 2 * scipy_stats.t.sf(t, degrees), np.nan)
    half = error * scipy_stats.t.isf(level / (2 * family), degrees)
    return np.array(holm(p.tolist())), half, _normal(family, level)


def _normal(family: int, level: float) -> float:
    return float(scipy_stats.norm.isf(level / (2 * family)))


def limits(d: Floats) -> Floats:
    """Finite stand-ins for columns with infinite differences: their signs, and 0 beside them."""
    infinite = np.isinf(d)
    signs = np.where(infinite, np.sign(d), np.where(np.isnan(d), np.nan, 0.0))
    return np.where(infinite.any(axis=0), signs, d)


def _t_equivalence(column: Floats, band: float) -> float:
    """The larger p of mean <= -band and mean >= band; equal differences leave nothing to doubt."""
    d = column[~np.isnan(column)]
    if len(d) < 2:
        return float("nan")
    mean, error = float(d.mean()), float(d.std(ddof=1)) / len(d) ** 0.5 if np.ptp(d) else 0.0
    if error == 0:
        return 0.0 if abs(mean) < band else 1.0
    return float(scipy_stats.t.sf((band - abs(mean)) / error, len(d) - 1))


def _flipped_sums(scaled: Floats) -> Iterator[Floats]:
    """Sums of the columns (S, K) under sign patterns, in pieces.

    Beyond a thousand replicates draws of their normal limit, which has the same covariance: time
    and memory no longer grow with the replicates.
    """
    if len(scaled) <= LIMIT:
        for signs in _patterns(len(scaled)):
            yield signs @ scaled
        return
    factor = np.linalg.qr(scaled, mode="r")
    drawn = np.random.default_rng(0).standard_normal((DRAWS - 1, len(factor)))
    yield np.vstack([scaled.sum(axis=0), drawn @ factor])


def _patterns(replicates: int) -> Iterator[Floats]:
    """Sign patterns (S, R) in pieces: every one that begins with +, else seeded draws."""
    made = _drawn(replicates) if replicates > EXACT else _every(replicates)
    for start in range(0, len(made), CHUNK):
        yield made[start : start + CHUNK].astype(np.float64)


@lru_cache(maxsize=EXACT)
def _every(replicates: int) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    rest = list(product((1, -1), repeat=replicates - 1))
    return np.array([(1, *signs) for signs in rest], dtype=np.int8)


@lru_cache(maxsize=4)
def _drawn(replicates: int) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    """The pattern seen, and draws of others."""
    drawn = np.random.default_rng(0).integers(2, size=(DRAWS, replicates), dtype=np.int8)
    drawn[0] = 1
    return 2 * drawn - 1
