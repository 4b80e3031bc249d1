"""The values of each cell, ready for statistics.

In: the tidy frame and its declaration. Out: per declared cell the converged values by replicate,
the counts of what did not converge, fail or run, and the tests between two cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ablation_lab.statistics.intervals import (
    Floats,
    Interval,
    fisher,
    mean_interval,
    minimum_p,
    paired_sign_flip,
    share_difference,
    wilson,
)
from ablation_lab.study.commands import untrained_because
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.record import NOT_RUN, NoConvergence, Status
from ablation_lab.study.selection import selection


@dataclass(frozen=True)
class Outcomes:
    """What the declared runs of one cell gave.

    `converged` maps replicate to value, `unconverged` names the replicates that did not; `every`
    holds the stored finite values of all finished runs. `counted` is the number of runs that a
    success share is taken over.
    """

    cell: str
    converged: Mapping[int, float]
    unconverged: tuple[int, ...]
    every: tuple[float, ...]
    counted: int
    successes: int
    declared: int
    finished: int
    failed: int
    missing: int
    skipped: int
    not_converged: int
    non_finite: int
    reason: str


@dataclass(frozen=True)
class Difference:
    """A cell minus another: points with interval, p, and the smallest p that was in reach."""

    interval: Interval
    p: float
    minimum_p: float
    test: str


def outcomes(frame: pd.DataFrame, declaration: Declaration) -> dict[str, Outcomes]:
    """The outcomes of every declared cell, in declared order."""
    values = selection(declaration.selection).values(frame, declaration.metric)
    groups = frame.assign(_value=values).groupby("cell", sort=False)
    parts = {str(name): part for name, part in groups}
    empty = frame.iloc[:0].assign(_value=values.iloc[:0])
    untrained = untrained_because(declaration.needs, declaration.study, declaration.profile)
    return {
        c.cell: _outcomes(c.cell, parts.get(c.cell, empty), untrained) for c in declaration.cells
    }


def further_estimates(frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """Per further metric and cell the mean of its finished runs with its interval; untested."""
    finished = frame[frame["status"] == Status.FINISHED]
    rows = []
    for metric in declaration.metrics[1:]:
        if metric.name not in finished:
            continue
        values = selection(declaration.selection).values(finished, metric.name)
        for cell in declaration.cells:
            mine = values[finished["cell"] == cell.cell]
            found = mean_interval(mine[np.isfinite(mine)])
            rows.append(
                {
                    "study": declaration.study,
                    "cell": cell.cell,
                    **cell.factors,
                    "metric": metric.name,
                    "n": found.n,
                    "estimate": found.estimate,
                    "low": found.low,
                    "high": found.high,
                    "interval": found.method,
                    "not_converged": int((finished.loc[mine.index, "not_converged"] != "").sum()),
                    "finished": len(mine),
                }
            )
    return pd.DataFrame(rows)


def difference(first: Outcomes, second: Outcomes, *, success: bool) -> Difference:
    """Compare two cells: Fisher's test on success shares, else the paired sign-flip test.

    Pairs are the replicates that converged in both cells.
    """
    if success:
        a, b = (wilson(o.successes, o.counted) for o in (first, second))
        p = fisher(first.successes, first.counted, second.successes, second.counted)
        least = fisher(first.counted, first.counted, 0, second.counted)
        return Difference(share_difference(a, b), p, least, "Fisher exact")
    x, y = paired_values(first, second)
    least = minimum_p(len(x)) if len(x) else float("nan")
    return Difference(mean_interval(x - y), paired_sign_flip(x, y), least, "paired sign-flip")


def paired_values(first: Outcomes, second: Outcomes) -> tuple[Floats, Floats]:
    """The values of both cells, replicate by replicate, where both converged; shapes (R,)."""
    pairs = sorted(first.converged.keys() & second.converged.keys())
    return (
        np.array([first.converged[r] for r in pairs]),
        np.array([second.converged[r] for r in pairs]),
    )


def values_at_chance(found: Outcomes, declaration: Declaration) -> dict[int, float]:
    """Replicate to value over all finished runs: what did not converge as no success, or at chance.

    Where chance is unknown, runs that did not converge have no value and are left out.
    """
    floor = 0.0 if declaration.is_success else declaration.chance
    if floor is None:
        return dict(found.converged)
    return {**found.converged, **dict.fromkeys(found.unconverged, floor)}


def _outcomes(cell: str, part: pd.DataFrame, untrained: str) -> Outcomes:
    part = part.sort_values("replicate", kind="stable")
    status = part["status"]
    finished = part[status == Status.FINISHED]
    not_converged = finished["not_converged"] != ""
    finite = np.isfinite(finished["_value"])
    converged = finished[~not_converged & finite]
    return Outcomes(
        cell=cell,
        converged=dict(
            zip(converged["replicate"].tolist(), converged["_value"].tolist(), strict=True)
        ),
        unconverged=tuple(finished.loc[not_converged, "replicate"].tolist()),
        every=tuple(finished.loc[finite, "_value"].tolist()),
        counted=int((not_converged | finite).sum()),
        successes=int((finished["_value"] >= 0.5).sum()),
        declared=int((status != Status.SKIPPED).sum()),
        finished=len(finished),
        failed=int((status == Status.FAILED).sum()),
        missing=int((status == Status.MISSING).sum()),
        skipped=int((status == Status.SKIPPED).sum()),
        not_converged=int(not_converged.sum()),
        non_finite=int((finished["not_converged"] == NoConvergence.NON_FINITE).sum()),
        reason=_reason(part, untrained),
    )


def _reason(part: pd.DataFrame, untrained: str) -> str:
    """Why runs of a cell have no result: '2 failed: OutOfMemory; 1 missing: not run ...'.

    `untrained` says of runs that never started what they need and what trains them.
    """
    said = []
    for status in (Status.SKIPPED, Status.FAILED, Status.MISSING):
        lacking = part[part["status"] == status]
        for reason in dict.fromkeys(lacking["reason"]):
            count = int((lacking["reason"] == reason).sum())
            why = untrained if reason == NOT_RUN else reason
            said.append(f"{'' if status is Status.SKIPPED else f'{count} '}{status.value}: {why}")
    return "; ".join(said)
