"""What every declared cell came to, one row each: estimate, interval, counts, comparison.

In: the outcomes of cells, and their comparisons with the baseline. Out: the table that is written
as cells.csv, and that every other table of a report starts from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from ablation_lab.statistics.comparisons import Comparison, Standing, against_best
from ablation_lab.statistics.intervals import median_interval, two_kinds
from ablation_lab.statistics.outcomes import Outcomes, bounds_of, estimate
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.names import CELL_COLUMNS


def cell_rows(
    found: Mapping[str, Outcomes], comparisons: Sequence[Comparison], declaration: Declaration
) -> pd.DataFrame:
    """Per declared cell: study, cell, the factors, and the columns of `CELL_COLUMNS`.

    Differences are to the baseline cell, p-values corrected over the study. Shares are in 0..1.
    """
    against = {made.first.cell: made for made in comparisons}
    best = _best(found, declaration)
    rows = [
        {
            "study": declaration.study,
            "cell": cell.cell,
            **cell.factors,
            **_estimates(found[cell.cell], declaration),
            **_counts(found[cell.cell]),
            "successes": found[cell.cell].successes if declaration.is_success else nan,
            **_comparison(against.get(cell.cell)),
            "best": cell.cell == best,
        }
        for cell in declaration.cells
    ]
    names = [factor.name for factor in declaration.factors]
    table = pd.DataFrame(rows, columns=["study", "cell", *names, *CELL_COLUMNS])
    levels = {
        f.name: pd.CategoricalDtype(list(f.levels), ordered=True) for f in declaration.factors
    }
    return table.astype(levels)


def _best(found: Mapping[str, Outcomes], declaration: Declaration) -> str | None:
    """The best cell, if a test supports it against the runner-up."""
    made = against_best(found, declaration)[:1]
    return next((each.first.cell for each in made if each.standing is Standing.BETTER), None)


def _estimates(found: Outcomes, declaration: Declaration) -> dict[str, Any]:
    main, converged = estimate(found, declaration), list(found.converged.values())
    return {
        "metric": declaration.metric,
        "n": main.n,
        "estimate": main.estimate,
        "low": main.low,
        "high": main.high,
        "interval": main.method,
        "converged_mean": float(np.mean(converged)) if converged else nan,
        "kinds": "" if declaration.is_success else _kinds(found, declaration),
    }


def _kinds(found: Outcomes, declaration: Declaration) -> str:
    """What a mean hides where a cell's runs are of two kinds; empty where they are of one."""
    values = list(found.values.values())
    kinds = two_kinds(values, bounds_of(declaration.primary))
    if kinds is None:
        return ""
    lower, upper = kinds
    middle = median_interval(values)
    bounds = "" if isnan(middle.low) else f" [{100 * middle.low:.1f}, {100 * middle.high:.1f}]"
    return (
        f"runs of two kinds: {len(upper)} of {len(values)} around {100 * upper.mean():.1f} %, "
        f"{len(lower)} around {100 * lower.mean():.1f} %; median {100 * middle.estimate:.1f} %"
        f"{bounds}"
    )


def _counts(found: Outcomes) -> dict[str, Any]:
    return {
        "not_converged": found.not_converged,
        "n_declared": found.declared,
        "finished": found.finished,
        "failed": found.failed,
        "missing": found.missing,
        "skipped": found.skipped,
        "nan_rate": found.non_finite / found.finished if found.finished else nan,
        "reason": found.reason,
    }


def _comparison(made: Comparison | None) -> dict[str, Any]:
    if made is None:
        unknown = ("difference", "difference_low", "difference_high", "p", "p_equivalence")
        return {**dict.fromkeys(unknown, nan), "baseline": "", "pairs": 0, "test": "",
                "standing": ""}  # fmt: skip
    return {
        "baseline": made.second.cell,
        "pairs": made.difference.n,
        "difference": made.difference.estimate,
        "difference_low": made.difference.low,
        "difference_high": made.difference.high,
        "test": made.test,
        "p": made.p,
        "p_equivalence": made.p_equivalence,
        "standing": made.verdict,
    }
