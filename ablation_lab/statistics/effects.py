"""What a factor changes in a factorial, and which share of the variance it accounts for.

In: a `Factorial`. Out: level means and contrasts in the metric's own unit, shares of the variance,
importances, each with its interval. A contrast is computed within every replicate, so it is paired
as the runs are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, nan, prod

import numpy as np

from ablation_lab.statistics.attribution import Kind, changed_level, credit_weights
from ablation_lab.statistics.factorial import Factorial, Model, Term
from ablation_lab.statistics.intervals import (
    Floats,
    Interval,
    interquartile_mean,
    jackknife,
    mean_interval,
)
from ablation_lab.statistics.joint import joint_test

ROUNDING = 1e-12  # of the largest value: sums of equal ones differ by it


@dataclass(frozen=True)
class Contrast:
    """A level against the reference level of its factor, or a difference of two such differences.

    Also what `attribution` credits a factor with, as `kind` says. `p` is corrected over all
    contrasts of the study, and the intervals hold all of them together.
    """

    term: Term
    levels: tuple[str, ...]
    interval: Interval
    p: float
    kind: Kind = Kind.EFFECT


def level_means(data: Factorial) -> dict[tuple[str, str], Interval]:
    """Factor and level to its mean over the cells, other combinations of factors weighing the same.

    Where combinations are missing, the means of the additive model (least squares).
    """
    weights = data.additive.weights
    return {
        (name, level): mean_interval(data.values @ (_profile(data, data.additive, at) @ weights))
        for name, levels in data.levels.items()
        for level in levels
        for at in [{name: level}]
    }


def effect_at(data: Factorial, name: str, level: str, other: str, at: str) -> float:
    """A level of a factor minus its reference, at one level of another factor, on average."""
    model = data.paired
    here, reference = (
        _profile(data, model, {name: chosen, other: at}) for chosen in (level, data.reference[name])
    )
    return float((data.values @ ((here - reference) @ model.weights)).mean())


def _profile(data: Factorial, model: Model, fixed: Mapping[str, str]) -> Floats:
    """The row (P,) of a model at given levels, averaged over those of the other factors."""

    def share(name: str, level: str) -> float:
        return float(fixed[name] == level) if name in fixed else 1 / len(data.levels[name])

    return np.array([prod(map(share, *place)) for place in model.places])


def level_iqms(data: Factorial) -> dict[tuple[str, str], Interval]:
    """Factor and level to the interquartile mean of all runs of the cells that have it."""
    return {
        (name, level): interquartile_mean(
            data.values[:, [cell.factors[name] == level for cell in data.cells]]
        )
        for name, levels in data.levels.items()
        for level in levels
    }


def contrasts(data: Factorial) -> list[Contrast]:
    """Every main effect and two-way interaction that the cells can tell, tested together.

    Main effect: mean at a level minus mean at the reference level. Interaction: by how much the
    main effect of one factor differs between a level and the reference level of the other one,
    averaged over all further factors. Where all factors have two levels, their leave-one-out and
    Shapley values belong to the same family.
    """
    found = list(_weights(data))
    if not found:
        return []
    values = data.values @ np.array([weights for *_, weights in found]).T
    values[np.abs(values) <= ROUNDING * np.abs(data.values).max()] = 0.0
    joint = joint_test(values)
    return [
        Contrast(
            term=term,
            levels=levels,
            interval=Interval(
                estimate=float(values[:, k].mean()),
                low=float(joint.low[k]),
                high=float(joint.high[k]),
                n=len(values),
                method=joint.procedure.value,
            ),
            p=float(joint.p[k]),
            kind=kind,
        )
        for k, (kind, term, levels, _) in enumerate(found)
    ]


def _weights(data: Factorial) -> Iterator[tuple[Kind, Term, tuple[str, ...], Floats]]:
    """Yield each contrast with the weights (C,) of the cells that make it.

    The columns of the models are these contrasts: mains of the additive one, pairs of the other.
    """
    for model, size in ((data.additive, 1), (data.paired, 2)):
        for (term, levels), weights in model.estimates.items():
            if len(term) == size:
                yield Kind.EFFECT, term, levels, weights
    for (kind, name), weights in credit_weights(data).items():
        yield kind, (name,), (changed_level(data, name),), weights


HIGHER = ("interactions of three or more",)
SEED = ("replicate (seed)",)
RESIDUAL = ("residual",)


@dataclass(frozen=True)
class Share:
    """One source of variance; `f` is its mean square over that of the residual, NaN of itself."""

    term: tuple[str, ...]
    df: int
    share: Interval
    f: float


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
    degrees = {term: whole.rank - rest.rank for term, (whole, rest) in data.terms.items()}
    degrees[HIGHER] = cells - data.paired.rank
    degrees |= {SEED: replicates - 1, RESIDUAL: (cells - 1) * (replicates - 1)}
    squares = _squares(data, data.values)
    intervals = _jackknifed(data, squares)
    return [
        Share(term, df, intervals[term], _f(squares, degrees, term))
        for term, df in degrees.items()
        if df > 0
    ]


def _squares(data: Factorial, values: Floats) -> dict[tuple[str, ...], float]:
    """Sums of squares of every source; the residual is what cells and replicates leave."""
    replicates, cells = values.shape
    centred = values - values.mean()
    means, by_replicate = centred.mean(axis=0), centred.mean(axis=1)
    between = float((means**2).sum())
    made = {
        term: whole.explained(means) - rest.explained(means)
        for term, (whole, rest) in data.terms.items()
    }
    made[HIGHER] = between - data.paired.explained(means)
    squares = {term: replicates * max(square, 0.0) for term, square in made.items()}
    seed = cells * float((by_replicate**2).sum())
    left = float((centred**2).sum()) - replicates * between - seed
    return {**squares, SEED: seed, RESIDUAL: max(left, 0.0)}


def _total(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())


def _f(
    squares: dict[tuple[str, ...], float],
    degrees: dict[tuple[str, ...], int],
    term: tuple[str, ...],
) -> float:
    if term == RESIDUAL or not degrees[term] or not degrees[RESIDUAL]:
        return nan
    mean, noise = squares[term] / degrees[term], squares[RESIDUAL] / degrees[RESIDUAL]
    if noise == 0:
        return inf if mean > 0 else nan
    return mean / noise


def _jackknifed(
    data: Factorial, squares: dict[tuple[str, ...], float]
) -> dict[tuple[str, ...], Interval]:
    """Shares with t-intervals from leaving out one replicate at a time, cut to [0, 1]."""
    n, total = len(data.values), _total(data.values)
    without = [np.delete(data.values, r, axis=0) for r in range(n)] if n > 2 else []
    again = [(_squares(data, part), _total(part)) for part in without]
    return {
        term: jackknife(
            square / total, [part[term] / whole if whole else 0.0 for part, whole in again]
        )
        for term, square in squares.items()
    }


TREES = 64
DEEPEST = 64
GROUPS = 5  # a forest takes a tenth of a second, so replicates are left out in groups


def importances(data: Factorial) -> dict[str, Interval]:
    """Share of each factor in the decrease of impurity; the shares add up to one.

    Intervals by a jackknife over at most 5 groups of replicates. All zero where all cells are
    equal.
    """
    estimates = forest(data, data.values.mean(axis=0))
    groups = np.array_split(np.arange(len(data.values)), min(GROUPS, len(data.values)))
    without = [
        forest(data, np.delete(data.values, group, axis=0).mean(axis=0))
        for group in groups
        if len(groups) > 2
    ]
    return {
        name: jackknife(estimate, [part[name] for part in without])
        for name, estimate in estimates.items()
    }


def forest(data: Factorial, means: Floats) -> dict[str, float]:
    """Mean decrease in impurity of each factor over a seeded forest fitted to cell means (C,)."""
    from sklearn.ensemble import RandomForestRegressor

    if np.ptp(means) == 0:
        return dict.fromkeys(data.levels, 0.0)
    names = sorted(data.levels)
    blocks = [data.indicators(name) for name in names]
    model = RandomForestRegressor(n_estimators=TREES, max_depth=DEEPEST, random_state=0)
    weights = model.fit(np.hstack(blocks), means).feature_importances_
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    parts = dict(zip(names, np.split(weights, ends), strict=True))
    return {name: float(parts[name].sum()) for name in data.levels}
