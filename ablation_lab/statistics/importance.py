"""Importance of factors: how much a forest of regression trees uses them to tell cells apart.

In: a `Factorial`. Out: per factor its mean decrease in impurity, with the settings of Optuna's
evaluator of that name, so that both agree on the same cells. Interactions count towards every
factor in them, which an analysis of variance does not show.
"""

from __future__ import annotations

import numpy as np

from ablation_lab.statistics.factorial import Factorial
from ablation_lab.statistics.jackknife import jackknife
from ablation_lab.statistics.stats import Floats, Interval

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
    blocks = [data.indicators((name,)) for name in names]
    model = RandomForestRegressor(n_estimators=TREES, max_depth=DEEPEST, random_state=0)
    weights = model.fit(np.hstack(blocks), means).feature_importances_
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    parts = dict(zip(names, np.split(weights, ends), strict=True))
    return {name: float(parts[name].sum()) for name in data.levels}
