"""The primary contrasts of studies as rows: comparisons.csv of one study, and of all of them.

In: studies as read, or what is kept of them. Out: tables of one row per contrast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from scipy.stats import false_discovery_control

from ablation_lab.report.study import Study
from ablation_lab.report.told import Told


def contrast_rows(study: Study | Told) -> tuple[Mapping[str, Any], ...]:
    """The rows of every primary contrast of a study."""
    if isinstance(study, Told):
        return study.contrasts
    return tuple(
        {
            "study": study.name,
            "contrast": f"{each.first.cell} - {each.second.cell}",
            "metric": study.declaration.metric,
            "n": each.difference.n,
            "difference": each.difference.estimate,
            "low": each.difference.low,
            "high": each.difference.high,
            "p": each.p,
            "p_equivalence": each.p_equivalence,
            "test": each.test,
            "verdict": each.verdict,
            "needs": each.needs,
            "decided_after": each.looked if each.decided else None,
        }
        for each in study.contrasts
    )


def contrasts(study: Study | Told) -> pd.DataFrame:
    """Every primary contrast of a study, one row each."""
    rows = contrast_rows(study)
    return (
        pd.DataFrame(rows).astype(dict.fromkeys(("needs", "decided_after"), "Int64"))
        if rows
        else pd.DataFrame()
    )


def every_contrast(studies: Iterable[Study | Told]) -> pd.DataFrame:
    """The primary contrasts of all studies, with `q`: the false discovery rate at which each stays.

    Source: Benjamini and Hochberg, 1995, over all contrasts that have a p.
    """
    tables = [table for study in studies if len(table := contrasts(study))]
    if not tables:
        return pd.DataFrame()
    made = pd.concat(tables, ignore_index=True)
    tested = made["p"].notna()
    made.loc[tested, "q"] = false_discovery_control(made.loc[tested, "p"])
    return made
