"""Main effects and two-way interactions: what a factor changes, averaged over the others.

In: a `Factorial`. Out: level means, contrasts in the metric's own unit, each with its interval, n
and corrected p. A contrast is computed within every replicate, so it is paired as the runs are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ablation_lab.statistics.aggregate import interquartile_mean
from ablation_lab.statistics.factorial import Factorial, Term
from ablation_lab.statistics.stats import (
    Floats,
    Interval,
    holm,
    mean_interval,
    minimum_p,
    paired_sign_flip,
)


@dataclass(frozen=True)
class Contrast:
    """A level against the reference level of its factor, or a difference of two such differences.

    `p_holm` is corrected over all contrasts of the study; `least_p` is the smallest that so many
    replicates could have given.
    """

    term: Term
    levels: tuple[str, ...]
    interval: Interval
    p: float
    p_holm: float
    least_p: float


def level_means(data: Factorial) -> dict[tuple[str, str], Interval]:
    """Factor and level to its mean over the cells, other combinations of factors weighing the same.

    Where combinations are missing, the means of the additive model (least squares).
    """
    return {
        (name, level): mean_interval(data.values @ _additive(data, name, level))
        for name, levels in data.levels.items()
        for level in levels
    }


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
    """Every main effect and two-way interaction that the cells can tell, Holm-corrected together.

    Main effect: mean at a level minus mean at the reference level. Interaction: by how much the
    main effect of one factor differs between a level and the reference level of the other one,
    averaged over all further factors. Intervals as of any mean; p of the sign-flip test over
    replicates.
    """
    found = [(term, levels, data.values @ w) for term, levels, w in _weights(data)]
    raw = [paired_sign_flip(values, np.zeros(len(values))) for _, _, values in found]
    least = holm([minimum_p(len(values)) for _, _, values in found])
    return [
        Contrast(term, levels, mean_interval(values), p, corrected, reach)
        for (term, levels, values), p, corrected, reach in zip(
            found, raw, holm(raw), least, strict=True
        )
    ]


def _weights(data: Factorial) -> Iterator[tuple[Term, tuple[str, ...], Floats]]:
    """Yield each contrast with the weights (C,) of the cells that make it."""
    for (name,) in data.mains:
        reference = _additive(data, name, data.reference[name])
        for level in data.levels[name]:
            if level != data.reference[name]:
                yield (name,), (level,), _additive(data, name, level) - reference
    for pair in data.pairs:
        for levels in product(*(data.levels[name] for name in pair)):
            if all(level != data.reference[name] for name, level in zip(pair, levels, strict=True)):
                weights = _interaction(data, pair, levels)
                if weights is not None:
                    yield pair, levels, weights


def _additive(data: Factorial, name: str, level: str) -> Floats:
    """Weights of the cells in the mean of a level, least squares in the additive model."""
    profile = _profile(data, data.mains, {name: level})
    weights, _ = _estimator(data, data.mains, profile)
    return weights


def _interaction(data: Factorial, pair: Term, levels: tuple[str, ...]) -> Floats | None:
    """Weights of a difference of differences; None where the cells do not determine it."""
    terms = [*data.mains, *data.pairs]
    corners = {
        name: (level, data.reference[name]) for name, level in zip(pair, levels, strict=True)
    }
    profile = np.zeros_like(_profile(data, terms, {}))
    for signs in product((0, 1), repeat=2):
        fixed = {name: corners[name][s] for name, s in zip(pair, signs, strict=True)}
        profile += (-1) ** sum(signs) * _profile(data, terms, fixed)
    weights, determined = _estimator(data, terms, profile)
    return weights if determined else None


def _profile(data: Factorial, terms: list[Term], fixed: dict[str, str]) -> Floats:
    """The row of the model for given levels, averaged over all levels of the other factors."""
    row = [1.0]
    for term in terms:
        kinds = dict.fromkeys(tuple(c.factors[name] for name in term) for c in data.cells)
        for kind in kinds:
            shares = [
                float(level == fixed[name]) if name in fixed else 1 / len(data.levels[name])
                for name, level in zip(term, kind, strict=True)
            ]
            row.append(float(np.prod(shares)))
    return np.array(row)


def _estimator(data: Factorial, terms: list[Term], profile: Floats) -> tuple[Floats, bool]:
    """Weights that turn cell values into the least-squares estimate of a profile.

    The flag says whether the cells determine it: whether it is a combination of their rows.
    """
    blocks = [np.ones((len(data.cells), 1)), *(data.indicators(term) for term in terms)]
    matrix = np.hstack(blocks)
    weights: Floats = profile @ np.linalg.pinv(matrix)
    return weights, bool(np.allclose(weights @ matrix, profile, atol=1e-9))
