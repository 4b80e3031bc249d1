"""The verdict on numbers that a source printed, held against our runs.

In: what is printed of one run, and the same of ours: a row per run, a column per number. Out: a
word with its reason, the p that it rests on, and the power: how often it would notice a run of
another recipe. A printed number is one run of unknown seed, so it is compared with the spread of
single runs, never with the interval of a mean; all numbers of one printed run get one verdict.
Shapes: n of our runs, K numbers, T tested runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from math import isfinite, nan, sqrt

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.intervals import (
    LEVEL_OF_TESTS,
    Bounds,
    Floats,
    prediction_interval,
    two_kinds,
)
from ablation_lab.study.metric import METRICS, Metric
from ablation_lab.study.references import ReferenceValue, Tolerance

FEWEST = 3  # runs that have a spread
RANKED = 39  # runs from which ranks decide: 2/(n+1) <= 0.05
SHIFT = 2.0  # standard deviations that the power is about
NEAR = 0.5  # standard deviations that count as near
FEW_NEAR = 0.05  # a share of our runs that is said
SHARE: Bounds = (0.0, 1.0)
SHOWN = 8  # entries of a vector that a reason spells out


class Word(StrEnum):
    """What can be said of a reference value."""

    EQUAL = "equal"  # no chance is in it: the same within the tolerance
    CONSISTENT = "consistent"
    DIFFERS = "differs"
    NOT_DECIDABLE = "not decidable"
    REPORTED = "reported"  # nothing is printed that could be compared
    NOT_ATTEMPTED = "not attempted"
    LOST = "cell lost"


@dataclass(frozen=True)
class Verdict:
    """A word and its reason; `needs` are the runs from which it could be decided, 0 for none.

    `p` and `power` are NaN where no chance is in it.
    """

    word: Word
    why: str
    needs: int = 0
    p: float = nan
    power: float = nan

    @property
    def text(self) -> str:
        """The word as tables say it."""
        return f"{self.word} (n ≥ {self.needs})" if self.needs else self.word.value


def judge(reference: ReferenceValue, runs: Floats) -> Verdict:
    """Return the verdict on one entry, given ours: (n, K), a column per number of the source.

    Where the source prints nothing comparable, the columns are whatever we report.
    """
    if reference.not_attempted or not len(runs):
        return Verdict(Word.NOT_ATTEMPTED, reference.not_attempted or "no finished run")
    if not reference.is_comparable:
        return Verdict(Word.REPORTED, "the source prints no value that could be compared")
    if reference.is_drawn:
        metric = metric_named(reference.metric)
        return judge_run(reference.values, runs, shares=metric is not None and metric.is_share)
    return agreement(reference, runs)


def agreement(reference: ReferenceValue, runs: Floats) -> Verdict:
    """Whether every run has every number within the tolerance: no chance is in it."""
    printed = np.array(reference.values)
    tolerance = reference.tolerance or Tolerance(absolute=(0.0,), relative=0.0, why="none")
    with np.errstate(invalid="ignore"):  # inf - inf, where both are infinite
        apart = np.where(runs == printed, 0.0, np.abs(runs - printed))
    slack = _slack(tolerance, printed)
    excess = apart - slack * (1 + 1e-9)
    within = int((excess <= 0).all(axis=1).sum())
    run, worst = np.unravel_index(int(np.argmax(excess)), excess.shape)
    why = f"ours {_listed(runs[run])}"
    if within < len(runs):
        why += f": {apart[run, worst]:.3g} from {printed[worst]:.10g}, allowed {slack[worst]:.3g}"
    if len(runs) > 1:
        why = f"{within:,} of {len(runs):,} runs within the tolerance; the farthest: {why}"
    word = Word.EQUAL if within == len(runs) else Word.DIFFERS
    return Verdict(word, f"{why}; tolerance: {tolerance.why}")


def judge_run(printed: Sequence[float], runs: Floats, *, shares: bool | Sequence[bool]) -> Verdict:
    """Judge the K numbers of one printed run, together, among n runs of ours.

    From 39 runs on by ranks; below by the prediction interval of one more run, at the level 0.05/K,
    where our runs are of one kind; `shares` says of which numbers it is known that they lie in
    [0, 1]. A run that is not finite counts as infinite.
    """
    n, count = runs.shape
    if n < FEWEST:
        return Verdict(
            Word.NOT_DECIDABLE, f"no spread of {n} {'run' if n == 1 else 'runs'}", FEWEST
        )
    tested = np.array(printed, dtype=np.float64)
    given = np.broadcast_to(np.asarray(shares, dtype=bool), (count,))
    found = _by_ranks(tested, runs) if n >= RANKED else _by_normal(tested, runs, shares=given)
    why = f"{found.said}; {_power_text(found.power, exact=count == 1 and n < RANKED)}"
    if count == 1:
        why += _nearness(tested[0], runs[:, 0])
    if found.p <= LEVEL_OF_TESTS:
        return Verdict(Word.DIFFERS, why, p=found.p, power=found.power)
    if found.lacking:
        lost = f"{found.lacking} of {count} numbers have" if count > 1 else "it has"
        reason = f"{lost} no prediction interval: our {n} runs there are not of one normal kind"
        return Verdict(Word.NOT_DECIDABLE, reason, RANKED)
    return Verdict(Word.CONSISTENT, why, p=found.p, power=found.power)


@dataclass(frozen=True)
class Tested:
    """The p of K numbers, the power, how many of them could not be tested, and what to say."""

    p: float
    power: float
    lacking: int
    said: str


def _by_ranks(printed: Floats, runs: Floats) -> Tested:
    """The p of the printed run among ours; the power is that of ours, moved to the worse side."""
    spread = _spread(runs)
    shift = np.where(spread > 0, SHIFT * spread, 1.0)
    p = float(rank_p(printed[None], runs)[0])
    moved = (rank_p(runs + side * shift, runs) for side in (1, -1))
    power = min(float((each <= LEVEL_OF_TESTS).mean()) for each in moved)
    return Tested(p, power, 0, f"rank p = {p:.3g}")


def rank_p(tested: Floats, runs: Floats) -> Floats:
    """Per tested run (T, K) its p among our runs (n, K): how few of them lie as far out.

    Of one number 2·min(r, n+2-r)/(n+1), with its rank r among all n+1; ties count for both sides.
    Of several the share of runs whose most extreme number is at least as extreme, where equally
    extreme ranks are told apart by their distance in standard deviations: one more run of the same
    recipe has p <= 0.05 with at most 5 %, however its numbers hang together.
    """
    tails = _tails(tested, runs, itself=1)
    if runs.shape[1] == 1:
        return tails
    own, far, own_far = _tails(runs, runs, itself=0), _farthest(tested, runs), _farthest(runs, runs)
    ties = (own == tails[:, None]) & (own_far >= far[:, None])
    further: Floats = ((own < tails[:, None]) | ties).sum(axis=1)
    return (further + 1) / (len(runs) + 1)


def _tails(values: Floats, runs: Floats, *, itself: int) -> Floats:
    """Per row the smallest two-sided rank p of its columns; `itself` where it is none of ours."""
    ranks = []
    for column, ours in zip(values.T, np.sort(runs, axis=0).T, strict=True):
        at_most = np.searchsorted(ours, column, side="right")
        at_least = len(ours) - np.searchsorted(ours, column, side="left")
        ranks.append(np.minimum(at_most, at_least) + itself)
    tails: Floats = np.minimum(1.0, 2 * np.min(ranks, axis=0) / (len(runs) + 1))
    return tails


def _farthest(values: Floats, runs: Floats) -> Floats:
    """Per row the largest distance from our mean, in standard deviations."""
    finite = np.where(np.isfinite(runs), runs, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.abs(values - np.nanmean(finite, axis=0)) / _spread(runs)
    largest: Floats = np.nan_to_num(far, nan=0.0, posinf=np.inf).max(axis=1)
    return largest


def _spread(runs: Floats) -> Floats:
    spread: Floats = np.nanstd(np.where(np.isfinite(runs), runs, np.nan), axis=0, ddof=1)
    return spread


def _by_normal(printed: Floats, runs: Floats, *, shares: Floats) -> Tested:
    """By the prediction intervals of the columns that have one, corrected by Bonferroni."""
    n, count = runs.shape
    level = LEVEL_OF_TESTS / count
    columns = zip(printed, runs.T, shares, strict=True)
    bands = [_band(value, x, level=level, is_share=share) for value, x, share in columns]
    known = [band for band in bands if band is not None]
    if not known:
        return Tested(nan, nan, count, "")
    p = min(1.0, count * min(band.p for band in known))
    said = f"p = {p:.3g}"
    if count == 1:
        said += f"; 95 % prediction interval {known[0].low:.4g} to {known[0].high:.4g}"
    return Tested(p, prediction_power(n, level=level), count - len(known), said)


def prediction_power(n: int, *, level: float = LEVEL_OF_TESTS, shift: float = SHIFT) -> float:
    """How often n normal runs notice one run that is `shift` standard deviations away.

    Its distance in units of s·√(1+1/n) has Student's t distribution with n-1 degrees of freedom,
    not central by shift/√(1+1/n).
    """
    critical, away = scipy_stats.t.ppf(1 - level / 2, n - 1), shift / sqrt(1 + 1 / n)
    above, below = (scipy_stats.nct.sf(critical, n - 1, side * away) for side in (1, -1))
    return float(above + below)


@dataclass(frozen=True)
class Band:
    """The 95 % prediction interval of one more run, and the two-sided p of a printed number."""

    low: float
    high: float
    p: float


def _band(printed: float, ours: Floats, *, level: float, is_share: bool) -> Band | None:
    """The band of runs that look normal, as they are or as logarithms; None of all others.

    Nor is there one where runs are of two kinds, are all equal, or every share would lie within.
    """
    half = printed_unit(printed) / 2
    one_kind = np.isfinite(ours).all() and np.ptp(ours) > 0
    if not one_kind or (is_share and two_kinds(ours, SHARE) is not None):
        return None
    logarithmic = not _looks_normal(ours, level) and ours.min() > 0 and printed > half
    scale = np.log if logarithmic else np.positive
    x: Floats = scale(ours)
    low, high = scale(printed - half), scale(printed + half)
    band, reach = prediction_interval(x), prediction_interval(x, level=1 - level)
    vacuous = is_share and not logarithmic and reach.low <= 0 and reach.high >= 1
    if vacuous or not _looks_normal(x, level):
        return None
    away = abs(float(np.clip(band.estimate, low, high)) - band.estimate)
    t = away / (float(x.std(ddof=1)) * sqrt(1 + 1 / len(x)))
    ends = np.array([band.low, band.high])
    below, above = map(float, np.exp(ends) if logarithmic else ends)
    return Band(below, above, 2 * float(scipy_stats.t.sf(t, len(x) - 1)))


def _looks_normal(values: Floats, level: float) -> bool:
    """Whether Shapiro and Wilk's test lets the values pass as normal, at a fifth of the level."""
    return bool(scipy_stats.shapiro(values).pvalue > level / 5)


def _power_text(power: float, *, exact: bool) -> str:
    """What the test can see, in words."""
    least = "" if exact else "at least "
    return f"would notice a run {SHIFT:g} standard deviations away in {least}{100 * power:.0f} %"


def _nearness(printed: float, ours: Floats) -> str:
    """How few of our runs come near a number, where few do; empty otherwise."""
    spread = float(_spread(ours[:, None])[0])
    near = int((np.abs(ours - printed) <= max(NEAR * spread, printed_unit(printed) / 2)).sum())
    if near > FEW_NEAR * len(ours):
        return ""
    return f"; {near:,} of our {len(ours):,} runs come within {NEAR:g} standard deviations of it"


def metric_named(name: str) -> Metric | None:
    """The registered metric; that of the validation set is what the test set's is."""
    known = name.replace("val_", "test_", 1) if name.startswith("val_") else name
    return METRICS.get(known).metric if known in METRICS.names() else None


def printed_unit(printed: float) -> float:
    """One unit of the last printed digit: 0.9769 -> 0.0001, 12 -> 1."""
    if not isfinite(printed):
        return 0.0
    exponent = Decimal(str(printed)).normalize().as_tuple().exponent
    return 10.0 ** min(int(exponent), 0)


def _slack(tolerance: Tolerance, printed: Floats) -> Floats:
    """The largest distance allowed for each reference value: absolute + relative·|printed|."""
    finite = np.where(np.isfinite(printed), np.abs(printed), 0.0)
    absolute = np.broadcast_to(np.array(tolerance.absolute), printed.shape)
    return absolute + tolerance.relative * finite


def _listed(values: Floats) -> str:
    if len(values) == 1:
        return f"{values[0]:.8g}"
    more = ", …" if len(values) > SHOWN else ""
    return f"[{', '.join(f'{value:.6g}' for value in values[:SHOWN])}{more}]"
