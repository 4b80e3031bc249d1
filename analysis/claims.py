"""Printed numbers against our distribution.

In: a study's outcomes and the claims attached to its cells. Out: one row per claim with a
verdict. A printed value is one run of unknown seed, rounded: it is compared with the spread of
single runs, never with the interval of the mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, nan

import pandas as pd

from analysis.cells import headline
from analysis.declaration import Declaration, PrintedClaim
from analysis.outcomes import Outcomes, outcomes
from analysis.stats import LEVEL_OF_TESTS, Interval, mean_interval, prediction_interval, rank_p
from analysis.study import Study

COLUMNS = (
    "claim_id", "kind", "printed", "n", "estimate", "low", "high", "verdict", "study", "note",
)  # fmt: skip
FEWEST = 3


@dataclass(frozen=True)
class Verdict:
    """A word from the sheet of verdicts and the reason for it."""

    word: str
    why: str


def claim_table(studies: Iterable[Study]) -> pd.DataFrame:
    """One row per claim of all studies, sorted by claim; low and high are those of our estimate."""
    rows = [row for study in studies for row in _rows(study)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["claim_id", "study"], kind="stable", ignore_index=True)


def judge(kind: str, printed: float | None, values: list[float]) -> Verdict:
    """The verdict on a printed value, given the values of our finished runs."""
    if not values:
        return Verdict("not attempted", "no finished run")
    if kind == "unspecified" or printed is None:
        return Verdict("reported", "the source prints no value that could be compared")
    if kind == "cited":
        return Verdict("not attempted", "quoted by the source from elsewhere")
    if kind == "dist":
        return in_distribution(printed, values)
    mean, unit = sum(values) / len(values), printed_unit(printed)
    # A run to the optimum may stop a little before or after the printed one: one unit, not half.
    slack = unit / 2 if kind == "exact" else unit
    same = abs(mean - printed) <= slack * (1 + 1e-9)
    why = f"ours is {mean:.6g}, printed {printed:g}, slack {slack:g}"
    if kind == "erratum":
        return Verdict("erratum not confirmed" if same else "erratum confirmed", why)
    return Verdict("reproduced" if same else "differs", why)


def in_distribution(printed: float, values: list[float]) -> Verdict:
    """Inside or outside the spread of single runs, or too few runs to say.

    The rank p = 2·min(r, n+2-r)/(n+1) decides where it can reach 0.05 (n >= 39); below, the 95 %
    prediction interval of one more run decides, and the reason says so.
    """
    n = len(values)
    if n < FEWEST:
        return Verdict("too few", f"{n} runs; at least {FEWEST} are needed")
    p, band, half = rank_p(printed, values), prediction_interval(values), printed_unit(printed) / 2
    within = band.low <= printed + half and printed - half <= band.high
    why = f"rank p = {p:.3g}; prediction interval {band.low:.4g} to {band.high:.4g}"
    if 2 / (n + 1) <= LEVEL_OF_TESTS:
        return Verdict("outside" if p <= LEVEL_OF_TESTS else "inside", why)
    why += f"; with {n} runs the rank alone cannot say outside"
    return Verdict("inside" if within else "outside", why)


def printed_unit(printed: float) -> float:
    """One unit of the last printed digit: 0.9769 -> 0.0001, 12 -> 1."""
    exponent = Decimal(str(printed)).normalize().as_tuple().exponent
    return 10.0 ** min(int(exponent), 0)


def _rows(study: Study) -> Iterator[dict[str, object]]:
    declaration = study.declaration
    if not any(declaration.claims.values()):
        return
    found = outcomes(study.frame, declaration)
    for cell in declaration.cells:
        for claim in declaration.claims.get(cell.cell, ()):
            values, interval = _ours(study, claim, found[cell.cell])
            verdict = judge(claim.kind, claim.printed, values)
            why = verdict.why if values else found[cell.cell].reason or verdict.why
            yield {
                "claim_id": claim.claim_id,
                "kind": claim.kind,
                "printed": nan if claim.printed is None else claim.printed,
                "n": interval.n,
                "estimate": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "verdict": verdict.word,
                "study": declaration.study,
                "note": "; ".join(filter(None, (cell.cell, why, claim.note))),
            }


def _ours(study: Study, claim: PrintedClaim, found: Outcomes) -> tuple[list[float], Interval]:
    """Our values: of converged runs if there are any, of all finished runs otherwise."""
    declaration: Declaration = study.declaration
    if not claim.metric or claim.metric == declaration.metric:
        values = list(found.converged.values()) or list(found.every)
        return values, headline(found, declaration)
    if claim.metric not in study.frame:
        return [], mean_interval([])
    part = study.frame[study.frame["cell"] == found.cell].sort_values("replicate", kind="stable")
    values = [float(v) for v in part[claim.metric] if isfinite(v)]
    return values, mean_interval(values)
