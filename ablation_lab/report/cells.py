"""One row per declared cell: the estimate with its interval, and all that qualifies it.

In: the tidy frame and its declaration. Out: the table behind every printed table and figure.

The headline estimate of an accuracy is the mean over converged runs (`n` counts them); beside it
stand the runs that did not converge (`nc`) and the mean over all runs with those at chance
(`all_runs`). Where no run converged the headline is the all-runs value and has no interval. A
success share is k/n over all finished runs.
"""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import pandas as pd

from ablation_lab.statistics.comparisons import Comparison, to_baseline
from ablation_lab.statistics.outcomes import Outcomes, difference, outcomes
from ablation_lab.statistics.stats import LEVEL_OF_TESTS, Interval, holm, mean_interval, wilson
from ablation_lab.study.declaration import Declaration

COLUMNS = (
    "metric", "n", "estimate", "low", "high", "interval", "nc", "n_declared", "finished",
    "failed", "missing", "skipped", "successes", "nan_rate", "converged_mean", "all_runs",
    "baseline", "pairs", "difference", "difference_low", "difference_high", "test", "p", "p_holm",
    "minimum_p", "p_equivalence", "standing", "best", "reason",
)  # fmt: skip


def summarise(frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """Per declared cell: study, cell, the factors, and the columns of `COLUMNS`.

    Differences are to the baseline cell, p-values Holm-corrected over the table. Shares are in
    0..1.
    """
    found = outcomes(frame, declaration)
    compared = {made.first.cell: made for made in to_baseline(found, declaration)}
    best = best_cell(found, declaration)
    rows = [
        {
            "study": declaration.study,
            "cell": cell.cell,
            **cell.factors,
            **_estimates(found[cell.cell], declaration),
            **_counts(found[cell.cell]),
            "successes": found[cell.cell].successes if declaration.is_success else nan,
            **_comparison(compared.get(cell.cell)),
            "best": cell.cell == best,
        }
        for cell in declaration.cells
    ]
    names = [factor.name for factor in declaration.factors]
    table = pd.DataFrame(rows, columns=["study", "cell", *names, *COLUMNS])
    for factor in declaration.factors:
        table[factor.name] = pd.Categorical(
            table[factor.name], categories=list(factor.levels), ordered=True
        )
    return table


def headline(found: Outcomes, declaration: Declaration) -> Interval:
    """The estimate of a cell with its interval."""
    if declaration.is_success:
        return wilson(found.successes, found.counted)
    if found.converged or not found.nc:
        return mean_interval(list(found.converged.values()))
    value = _all_runs(found, declaration)
    return Interval(value, nan, nan, found.finished, "none (no run converged)")


def best_cell(found: dict[str, Outcomes], declaration: Declaration) -> str | None:
    """The best cell, if a test supports it against the runner-up; None otherwise.

    The best cell is compared with every other one and the p-values are Holm-corrected, since
    choosing the best is itself a look at all of them.
    """
    sign = -1 if declaration.higher_is_better else 1
    estimates = {name: headline(o, declaration).estimate for name, o in found.items()}
    ranked = sorted(
        (name for name, value in estimates.items() if np.isfinite(value)),
        key=lambda name: sign * estimates[name],
    )
    if len(ranked) < 2 or estimates[ranked[0]] == estimates[ranked[1]]:
        return None
    best, *others = ranked
    success = declaration.is_success
    raw = [difference(found[best], found[other], success=success).p for other in others]
    runner_up = holm(raw)[0]
    return best if runner_up <= LEVEL_OF_TESTS else None


def _estimates(found: Outcomes, declaration: Declaration) -> dict[str, Any]:
    main = headline(found, declaration)
    converged = list(found.converged.values())
    return {
        "metric": declaration.metric,
        "n": main.n,
        "estimate": main.estimate,
        "low": main.low,
        "high": main.high,
        "interval": main.method,
        "converged_mean": float(np.mean(converged)) if converged else nan,
        "all_runs": _all_runs(found, declaration),
    }


def _all_runs(found: Outcomes, declaration: Declaration) -> float:
    """Mean over all finished runs; those that did not converge count at chance if it is known."""
    if declaration.is_success:
        return found.successes / found.counted if found.counted else nan
    if declaration.chance is None:
        return float(np.mean(found.every)) if found.every else nan
    values = [*found.converged.values(), *[declaration.chance] * found.nc]
    return float(np.mean(values)) if values else nan


def _counts(found: Outcomes) -> dict[str, Any]:
    return {
        "nc": found.nc,
        "n_declared": found.declared,
        "finished": found.finished,
        "failed": found.failed,
        "missing": found.missing,
        "skipped": found.skipped,
        "nan_rate": found.non_finite / found.finished if found.finished else nan,
        "reason": found.reason,
    }


def _comparison(compared: Comparison | None) -> dict[str, Any]:
    if compared is None:
        unknown = ("difference", "difference_low", "difference_high", "p", "p_holm", "minimum_p",
                   "p_equivalence")  # fmt: skip
        return {**dict.fromkeys(unknown, nan), "baseline": "", "pairs": 0, "test": "",
                "standing": ""}  # fmt: skip
    made = compared.difference
    return {
        "baseline": compared.second.cell,
        "pairs": made.interval.n,
        "difference": made.interval.estimate,
        "difference_low": made.interval.low,
        "difference_high": made.interval.high,
        "test": made.test,
        "p": made.p,
        "p_holm": compared.p_holm,
        "minimum_p": made.minimum_p,
        "p_equivalence": compared.p_equivalence,
        "standing": compared.standing.value,
    }
