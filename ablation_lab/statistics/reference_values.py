"""The verdict on a number that a source printed, held against our runs.

In: a reference value and the values of our runs, one row per run. Out: a word and the reason. A
printed number is one run of unknown seed, rounded: it is compared with the spread of single runs,
never with the interval of the mean. From n = 2/level - 1 runs on its rank decides. Below, a value
between ours is inside, and one beyond all of them is held against the interval of one more run, if
our runs look normal, as they are or as logarithms, and if a possible value could have been outside
at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from math import ceil

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.intervals import (
    LEVEL_OF_TESTS,
    Floats,
    Interval,
    prediction_interval,
    rank_p,
)
from ablation_lab.study.metric import METRICS
from ablation_lab.study.references import ReferenceValue, Tolerance

FEWEST = 3
ERRATUM = ("erratum not confirmed", "erratum confirmed")
# What agreement and its absence are called, by kind.
WORDS = {"erratum": ERRATUM, "cited": ("arithmetic checked", "differs")}
SHOWN = 8  # entries of a vector that a reason spells out


@dataclass(frozen=True)
class Verdict:
    """A word from the sheet of verdicts and the reason for it."""

    word: str
    why: str


def judge(reference: ReferenceValue, runs: Floats) -> Verdict:
    """Return the verdict, given ours: a row per finished run, a column per number of the source.

    Where the source prints nothing comparable, the columns are whatever we report.
    """
    if reference.not_attempted or not len(runs):
        return Verdict("not attempted", reference.not_attempted or "no finished run")
    if reference.kind == "unspecified" or not reference.values:
        return Verdict("reported", "the source prints no value that could be compared")
    if reference.kind == "dist" or (reference.kind == "cited" and reference.tolerance is None):
        return in_distribution(reference, runs)
    if reference.kind == "erratum" and reference.tolerance is None:
        found = in_distribution(reference, runs)
        same = found.word == "inside"
        return found if found.word == "too few" else Verdict(ERRATUM[not same], found.why)
    same, why = agreement(reference, runs)
    right, wrong = WORDS.get(reference.kind, ("reproduced", "differs"))
    return Verdict(right if same else wrong, why)


def agreement(reference: ReferenceValue, runs: Floats) -> tuple[bool, str]:
    """Whether the mean of our runs is every number within the tolerance, and the reason."""
    printed = np.array(reference.values)
    tolerance = reference.tolerance or _last_digit(reference)
    ours = np.where(np.isinf(runs).all(0), runs[0], _mean(runs))
    with np.errstate(invalid="ignore"):  # inf - inf, where both are infinite
        apart = np.where(ours == printed, 0.0, np.abs(ours - printed))
    slack = _slack(tolerance, printed)
    same = bool((apart <= slack * (1 + 1e-9)).all())
    worst = int(np.argmax(apart - slack))
    why = f"ours {_listed(ours)}"
    if not same:
        why += f": {apart[worst]:.3g} from {printed[worst]:.10g}, allowed {slack[worst]:.3g}"
    return same, f"{why}; tolerance: {tolerance.why}"


def in_distribution(reference: ReferenceValue, runs: Floats) -> Verdict:
    """Inside or outside the spread of single runs, or too few runs to say.

    Each reference value is judged at the level 0.05 over their number (Bonferroni), see `places`. A
    curve is outside if any of its points is, and else too few runs if any is unclear.
    """
    n, count = runs.shape
    if n < FEWEST:
        return Verdict("too few", f"{n} runs; at least {FEWEST} are needed")
    level = LEVEL_OF_TESTS / count
    share = is_share_named(reference.metric)
    placed = [
        place(printed, printed_unit(printed) / 2, ours, level=level, is_share=share)
        for printed, ours in zip(reference.values, runs.T, strict=True)
    ]
    places = [each.place for each in placed]
    why = _one_value(placed[0]) if count == 1 else _several_values(placed, level)
    if Place.OUTSIDE in places:
        word = "outside"
    elif Place.UNCLEAR in places:
        word = "too few"
        why += "; beyond every one of our runs, whose spread gives no interval to hold it against"
    else:
        word = "inside"
    if (needed := runs_for_rank(level)) > n:
        why += f"; with {n} runs the rank alone cannot say outside, with {needed} it could"
    return Verdict(word, why)


def is_share_named(name: str) -> bool:
    """Whether a metric lies in [0, 1]; that of the validation set is what the test set's is."""
    known = name.replace("val_", "test_", 1) if name.startswith("val_") else name
    return known in METRICS.names() and METRICS.get(known).metric.is_share


def _one_value(placed: Placed) -> str:
    band = placed.band
    return f"rank p = {placed.rank_p:.3g}; prediction interval {band.low:.4g} to {band.high:.4g}"


def _several_values(placed: Sequence[Placed], level: float) -> str:
    inside = sum(each.place is Place.INSIDE for each in placed)
    least = min(each.rank_p for each in placed)
    said = f"{inside} of {len(placed)} points inside; least rank p = {least:.3g}"
    return f"{said}; level {level:.2g} a point"


def printed_unit(printed: float) -> float:
    """One unit of the last printed digit: 0.9769 -> 0.0001, 12 -> 1."""
    exponent = Decimal(str(printed)).normalize().as_tuple().exponent
    return 10.0 ** min(int(exponent), 0)


def _mean(runs: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        mean: Floats = runs.mean(0)
    return mean


def _slack(tolerance: Tolerance, printed: Floats) -> Floats:
    """The largest distance allowed for each reference value: absolute + relative·|printed|."""
    finite = np.where(np.isfinite(printed), np.abs(printed), 0.0)
    return (
        np.broadcast_to(np.array(tolerance.absolute), printed.shape) + tolerance.relative * finite
    )


def _last_digit(reference: ReferenceValue) -> Tolerance:
    """Half a unit of the last digit; a unit for optima, where a run may stop a little earlier."""
    share = 0.5 if reference.kind == "exact" else 1.0
    absolute = tuple(share * printed_unit(value) for value in reference.values)
    return Tolerance(absolute=absolute, relative=0.0, why="the last printed digit")


def _listed(values: Floats) -> str:
    if len(values) == 1:
        return f"{values[0]:.8g}"
    more = ", …" if len(values) > SHOWN else ""
    return f"[{', '.join(f'{value:.6g}' for value in values[:SHOWN])}{more}]"


class Place(Enum):
    """Where a reference value lies."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Placed:
    """A place, the rank p, and the 95 % interval of one more run."""

    place: Place
    rank_p: float
    band: Interval


def runs_for_rank(level: float) -> int:
    """The fewest runs whose rank can say outside: 2/(n+1) <= level."""
    return ceil(2 / level - 1 - 1e-9)


def place(printed: float, half: float, ours: Floats, *, level: float, is_share: bool) -> Placed:
    """Place a reference value, rounded by ± `half`, among n >= 2 finite values of single runs.

    `is_share` says that values lie in 0..1.
    """
    logarithmic = not _looks_normal(ours, level) and ours.min() > 0 and printed - half > 0
    scaled = np.log(ours) if logarithmic else ours
    p, band = rank_p(printed, ours), _back(prediction_interval(scaled), logarithmic)
    if len(ours) >= runs_for_rank(level):
        return Placed(Place.INSIDE if p > level else Place.OUTSIDE, p, band)
    if ours.min() <= printed + half and printed - half <= ours.max():
        return Placed(Place.INSIDE, p, band)
    decisive = _back(prediction_interval(scaled, level=1 - level), logarithmic)
    above = bool(printed > ours.max())
    vacuous = is_share and (decisive.high >= 1 if above else decisive.low <= 0)
    if vacuous or not _looks_normal(scaled, level):
        return Placed(Place.UNCLEAR, p, band)
    inside = decisive.low <= printed + half and printed - half <= decisive.high
    return Placed(Place.INSIDE if inside else Place.OUTSIDE, p, band)


def _looks_normal(values: Floats, level: float) -> bool:
    """Whether Shapiro and Wilk's test lets the values pass as normal; equal ones do."""
    return bool(np.ptp(values) == 0 or scipy_stats.shapiro(values).pvalue > level)


def _back(band: Interval, logarithmic: bool) -> Interval:
    """The interval in the values' own unit."""
    if not logarithmic:
        return band
    low, high = float(np.exp(band.low)), float(np.exp(band.high))
    return Interval(float(np.exp(band.estimate)), low, high, band.n, "log-normal prediction")
