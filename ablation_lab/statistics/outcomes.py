"""The values of each cell, ready for statistics.

In: the tidy frame and its declaration. Out: per declared cell the values of all finished runs, as
they ended, and the counts of what did not converge, fail or run. Nothing is dropped for its result:
a choice that makes runs fail must not look good by the runs that it leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import pandas as pd

from ablation_lab.statistics.intervals import UNBOUNDED, Bounds, Interval, mean_interval, wilson
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.metric import Metric, MetricKind
from ablation_lab.study.record import NOT_RUN, NoConvergence, Status, untrained_because
from ablation_lab.study.selection import selection


@dataclass(frozen=True)
class Outcomes:
    """What the declared runs of one cell gave.

    `values` maps replicate to value, of all finished runs as they ended (`as_ended`); `unconverged`
    names the replicates among them that did not converge, `ended` all that finished or failed.
    """

    cell: str
    values: Mapping[int, float]
    unconverged: tuple[int, ...]
    ended: frozenset[int]
    declared: int
    finished: int
    failed: int
    missing: int
    skipped: int
    non_finite: int
    reason: str

    def first(self, replicates: int) -> Outcomes:
        """What the first so many runs gave."""
        return replace(
            self,
            values={r: value for r, value in self.values.items() if r < replicates},
            unconverged=tuple(r for r in self.unconverged if r < replicates),
            finished=sum(r < replicates for r in self.values),
        )

    def have_ended(self, replicates: int) -> bool:
        """Whether each of the first so many runs has finished or failed."""
        return self.ended >= set(range(replicates))

    @property
    def not_converged(self) -> int:
        """How many finished runs did not converge."""
        return len(self.unconverged)

    @property
    def converged(self) -> dict[int, float]:
        """The values of the runs that converged; nothing tests them."""
        lost = set(self.unconverged)
        return {r: value for r, value in self.values.items() if r not in lost}

    @property
    def are_counted(self) -> bool:
        """Whether each value is one run's success or failure, and no mean over cells."""
        return all(value in (0, 1) for value in self.values.values())

    @property
    def successes(self) -> int:
        """How many runs have it, where the metric is a success."""
        return sum(value >= 0.5 for value in self.values.values())


def outcomes(frame: pd.DataFrame, declaration: Declaration) -> dict[str, Outcomes]:
    """The outcomes of every declared cell, in declared order."""
    values = selection(declaration.selection).values(frame, declaration.metric)
    values = as_ended(values, frame, counts_at(declaration.primary, declaration))
    groups = frame.assign(_value=values).groupby("cell", sort=False)
    parts = {str(name): part for name, part in groups}
    empty = frame.iloc[:0].assign(_value=values.iloc[:0])
    untrained = (
        f"not in {declaration.imported.file}"
        if declaration.imported
        else untrained_because(declaration.needs, declaration.study, declaration.profile)
    )
    return {
        c.cell: _outcomes(c.cell, parts.get(c.cell, empty), untrained) for c in declaration.cells
    }


def counts_at(metric: Metric, declaration: Declaration) -> float:
    """What a run that is not finite counts as: no success, an accuracy of guessing, else the worst.

    The worst of a metric is its own declaration's: 0 or 1 of a share, infinite of what has no end.
    """
    if metric.is_share and not metric.is_success and metric.higher_is_better:
        return metric.worst if declaration.chance is None else declaration.chance
    return metric.worst


def as_ended(values: pd.Series[float], runs: pd.DataFrame, instead: float) -> pd.Series[float]:
    """The values with that of guessing, or the worst, in runs that ended with something not finite.

    A run that converged and stored no value stays without one.
    """
    lost = runs["not_converged_recorded"] == NoConvergence.NON_FINITE
    nothing = values.isna() & (runs["not_converged"] != "")
    return values.mask(lost | nothing | np.isinf(values), instead)


def bounds_of(metric: Metric) -> Bounds:
    """Between which values a metric lies."""
    if metric.is_share:
        return (0.0, 1.0)
    return (0.0, inf) if metric.kind in (MetricKind.LOSS, MetricKind.COUNT) else UNBOUNDED


def estimate(found: Outcomes, declaration: Declaration) -> Interval:
    """The estimate of a cell over all its finished runs, with its interval."""
    if declaration.is_success:
        return wilson(found.successes, len(found.values))
    return mean_interval(list(found.values.values()), bounds=bounds_of(declaration.primary))


def further_estimates(frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """Per further metric and cell the mean of its finished runs with its interval; untested."""
    finished = frame[frame["status"] == Status.FINISHED]
    rows = []
    for metric in declaration.metrics[1:]:
        if metric.name not in finished:
            continue
        values = selection(declaration.selection).values(finished, metric.name)
        values = as_ended(values, finished, counts_at(metric, declaration))
        for cell in declaration.cells:
            mine = values[finished["cell"] == cell.cell]
            found = mean_interval(mine.dropna(), bounds=bounds_of(metric))
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


def _outcomes(cell: str, part: pd.DataFrame, untrained: str) -> Outcomes:
    part = part.sort_values("replicate", kind="stable")
    status = part["status"]
    finished = part[status == Status.FINISHED]
    valued = finished.dropna(subset=["_value"])
    lost = finished["not_converged"] != ""
    return Outcomes(
        cell=cell,
        values=dict(zip(valued["replicate"].tolist(), valued["_value"].tolist(), strict=True)),
        unconverged=tuple(finished.loc[lost, "replicate"].tolist()),
        ended=frozenset(
            part.loc[status.isin([Status.FINISHED, Status.FAILED]), "replicate"].tolist()
        ),
        declared=int((~status.isin([Status.SKIPPED, Status.NOT_NEEDED])).sum()),
        finished=len(finished),
        failed=int((status == Status.FAILED).sum()),
        missing=int((status == Status.MISSING).sum()),
        skipped=int((status == Status.SKIPPED).sum()),
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
