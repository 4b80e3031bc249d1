"""One row per claim: what is printed, ours, and the verdict.

In: the answers to all claims. Out: the table behind `claims.csv`.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ablation_lab.report.claims.answers import Answer, joined

COLUMNS = (
    "claim_id", "kind", "printed", "n", "estimate", "low", "high", "verdict", "study", "note",
)  # fmt: skip


def claim_table(found: Iterable[Answer]) -> pd.DataFrame:
    """One row per answer; low and high are those of our estimate."""
    return pd.DataFrame([_row(answer) for answer in found], columns=list(COLUMNS))


def _row(answer: Answer) -> dict[str, object]:
    claim, interval = answer.claim, answer.interval
    return {
        "claim_id": claim.claim_id,
        "kind": claim.kind,
        "printed": claim.shown,
        "n": interval.n,
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "verdict": answer.verdict.word,
        "study": answer.study,
        "note": joined(claim.about, answer.verdict.why, claim.note),
    }
