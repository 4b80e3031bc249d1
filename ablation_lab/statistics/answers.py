"""What a study asks, answered by tests: differences between levels, on average and by place.

In: the outcomes of cells, and the asks of a declaration. Out: one `Reply` per ask. All their
contrasts, averages and places alike, are one family of tests of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ablation_lab.statistics.comparisons import Comparison, Pair, compare
from ablation_lab.statistics.intervals import Floats
from ablation_lab.statistics.outcomes import Outcomes
from ablation_lab.study.asks import Contrast, Contrasts, contrasts_of
from ablation_lab.study.declaration import Declaration

DIFFER = np.array([1.0, -1.0, -1.0, 1.0])  # of steps in a difference of differences


@dataclass(frozen=True)
class Place:
    """The difference at one combination of the levels that tell it from the others."""

    where: Mapping[str, str]
    comparison: Comparison


@dataclass(frozen=True)
class Reply:
    """What answers an ask: the difference on average, what it is of, and where it holds.

    ``at`` are the outcomes at each step. Of two steps the difference is the last minus the first;
    of more it is the slope of a line through them, by step; where it is asked whether a difference
    differs, that of the second two minus that of the first two. ``places`` is empty where there is
    one combination, which is then the whole.
    """

    asked: Contrasts
    whole: Comparison
    at: tuple[Outcomes, ...]
    places: tuple[Place, ...]

    @property
    def is_slope(self) -> bool:
        """Whether the difference is the change from each step to the next."""
        return len(self.asked.steps) > 2 and not self.asked.ask.differs_by


def replies(found: Mapping[str, Outcomes], declaration: Declaration) -> list[Reply]:
    """Answer every ask that this profile has cells for, in declared order."""
    cells = {
        cell.cell: declaration.levels_of(cell)
        for cell in declaration.cells
        if not cell.trains_members
    }
    asked = [made for ask in declaration.asks if (made := contrasts_of(ask, cells))]
    each = [_contrasts(one) for one in asked]
    pairs = [
        _pair(contrast, found, weights=_weights(one))
        for one, made in zip(asked, each, strict=True)
        for contrast in made
    ]
    tested = iter(compare(pairs, declaration))
    return [
        _reply(one, list(islice(tested, len(made))), found)
        for one, made in zip(asked, each, strict=True)
    ]


def _contrasts(asked: Contrasts) -> list[Contrast]:
    """The average, then every place where there are several."""
    return [asked.whole, *(asked.places if len(asked.places) > 1 else ())]


def _reply(asked: Contrasts, made: Sequence[Comparison], found: Mapping[str, Outcomes]) -> Reply:
    whole, *rest = made
    places = zip(asked.places, rest, strict=False)
    return Reply(
        asked=asked,
        whole=whole,
        at=tuple(_mean(cells, found) for cells in asked.whole.steps),
        places=tuple(Place(contrast.where, comparison) for contrast, comparison in places),
    )


def _weights(asked: Contrasts) -> Floats:
    """The weight of each step in what is tested."""
    return DIFFER if asked.ask.differs_by else slope_weights(len(asked.steps))


def _pair(contrast: Contrast, found: Mapping[str, Outcomes], *, weights: Floats) -> Pair:
    """Two outcomes whose difference is the contrast: the steps that count up, and those down."""
    means = [_mean(cells, found) for cells in contrast.steps]
    if len(means) == 2:
        return means[1], means[0]
    return _weighed(means, np.maximum(weights, 0)), _weighed(means, np.maximum(-weights, 0))


def slope_weights(steps: int) -> Floats:
    """The weights (S,) of values at steps in the slope of the least-squares line through them."""
    x = np.arange(steps) - (steps - 1) / 2
    weights: Floats = x / (x**2).sum()
    return weights


def _mean(cells: Sequence[str], found: Mapping[str, Outcomes]) -> Outcomes:
    """The mean of cells in every replicate that all of them finished."""
    first, *others = [found[cell] for cell in cells]
    if not any(each is not first for each in others):
        return first
    return _weighed([first, *others], np.full(len(cells), 1 / len(cells)))


def _weighed(each: Sequence[Outcomes], weights: Floats) -> Outcomes:
    """The weighted sum of outcomes, as if it were that of one cell; weights of 0 count nothing."""
    used = [(one, w) for one, w in zip(each, weights.tolist(), strict=True) if w]
    parts = [one for one, _ in used]
    common = [r for r in parts[0].values if all(r in one.values for one in parts)]
    return replace(
        parts[0],
        cell=" and ".join(dict.fromkeys(one.cell for one in parts)),
        values={r: sum(w * one.values[r] for one, w in used) for r in common},
        unconverged=tuple(r for r in common if any(r in one.unconverged for one in parts)),
        ended=frozenset.intersection(*(one.ended for one in parts)),
        finished=len(common),
    )
