"""Where a printed value lies among our runs.

In: one printed value and the values of n runs. Out: inside or outside their spread, or unclear,
with what that rests on. From n = 2/level - 1 runs on the rank decides. Below, a value between ours
is inside, and one beyond all of them is held against the interval of one more run, if our runs look
normal, as they are or as logarithms, and if a possible value could have been outside at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from ablation_lab.statistics.stats import Interval, prediction_interval, rank_p

Floats = NDArray[np.float64]


class Place(Enum):
    """Where a printed value lies."""

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
    """Place a printed value, rounded by ± `half`, among n >= 2 finite values of single runs.

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
