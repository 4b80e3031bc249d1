"""What our runs say to a reference value, as far as it can be compared.

In: a study, a reference value and the cell that answers it. Out: our values of every number that
the source prints, a row per finished run, as it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from ablation_lab.report.study import Study
from ablation_lab.statistics.intervals import Interval, mean_interval
from ablation_lab.statistics.outcomes import as_ended, bounds_of, counts_at, estimate
from ablation_lab.statistics.reference_values import metric_named
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.record import NoConvergence, Status
from ablation_lab.study.references import NOT_CONVERGED, VALUE, ReferenceValue
from ablation_lab.study.selection import selection


@dataclass(frozen=True)
class Ours:
    """What our runs say to a reference value, as far as it can be compared, and our values.

    `runs` has one row per run, named by its replicate, and one column per number that is compared.
    """

    reference: ReferenceValue
    runs: pd.DataFrame
    interval: Interval
    said: str = ""
    not_converged: int = 0

    @property
    def name(self) -> str:
        """The id of the reference value."""
        return self.reference.claim_id

    @property
    def printed_run(self) -> tuple[str, ...]:
        """Values of one cell that are equal in this were printed of one run."""
        return self.reference.source, self.reference.run, self.reference.among


def ours_to(study: Study, reference: ReferenceValue, cell: str) -> Ours:
    """What the finished runs of a cell say to a reference value."""
    declaration = study.declaration
    own = reference.metric or declaration.metric
    reference = reference.model_copy(update={"metric": own})
    part = study.frame[study.frame["cell"] == cell].set_index("replicate", drop=False).sort_index()
    part = part[part["status"] == Status.FINISHED]
    said = ""
    if reference.among == "solved":
        solved = part["success"] == 1.0
        said = f"among the {int(solved.sum())} of {len(part)} runs that solved it"
        part = part[solved]
    if reference.updates:
        return _on_curve(study, reference, part, said)
    if own == VALUE:
        return _of_check(reference, part)
    values = ended(part, own, declaration).dropna()
    if len(values) < len(part):
        said = joined(said, f"{len(part) - len(values)} runs have no {own}")
    if reference.target is not None:
        values, reference, near = _distances(values, reference, reference.target)
        said = joined(near, said)
    counted = own == declaration.metric and not reference.among
    interval = _mean(values, own)
    if counted and declaration.is_success:
        interval = estimate(study.outcomes[cell], declaration)
    lost = int((part["not_converged"] != "").sum()) if counted else 0
    return Ours(reference, values.to_frame(), interval, said, lost)


def _mean(values: pd.Series[float], name: str) -> Interval:
    metric = metric_named(name)
    return mean_interval(values, bounds=bounds_of(metric)) if metric else mean_interval(values)


def _distances(
    values: pd.Series[float], reference: ReferenceValue, target: float
) -> tuple[pd.Series[float], ReferenceValue, str]:
    """How far ours end from the right answer, and how far the printed number is from it."""
    (printed,) = reference.values
    away, ours = abs(printed - target), (values - target).abs()
    near = f"{int((ours <= away).sum()):,} of {len(ours):,} runs come as near to {target:g} as it"
    return ours, reference.model_copy(update={"values": (away,)}), near


def ended(part: pd.DataFrame, name: str, declaration: Declaration) -> pd.Series[float]:
    """A metric of finished runs as they ended: one that is not finite guesses, or is the worst."""
    if name == NOT_CONVERGED:
        return (part[name] != "").astype(float)
    if name not in part:
        return pd.Series(np.nan, index=part.index)
    own = name == declaration.metric
    values = selection(declaration.selection).values(part, name) if own else part[name]
    metric = declaration.primary if own else metric_named(name)
    return as_ended(values, part, nan if metric is None else counts_at(metric, declaration))


def _of_check(reference: ReferenceValue, part: pd.DataFrame) -> Ours:
    """The numbers of a check, one for each reference value."""
    names = [f"value_{index}" for index in range(max(1, len(reference.values)))]
    if missing := [name for name in names if name not in part or part[name].isna().any()]:
        return Ours(reference, part[[]][:0], mean_interval([]), f"the check gives no {missing[0]}")
    return Ours(reference, part[names], _estimate(part[names]))


def _on_curve(study: Study, reference: ReferenceValue, part: pd.DataFrame, said: str) -> Ours:
    """Our curves at those of the printed points at which they were recorded."""
    curves = study.reference_curves
    mine = curves[curves["run_id"].isin(part["run_id"]) & (curves["metric"] == reference.metric)]
    table = mine.pivot_table(index="replicate", columns="step", values="value", dropna=False)
    kept = [index for index, update in enumerate(reference.updates) if update in table.columns]
    compared = reference.model_copy(
        update={
            "values": tuple(reference.values[index] for index in kept),
            "updates": tuple(reference.updates[index] for index in kept),
        }
    )
    lost = part["not_converged_recorded"] == NoConvergence.NON_FINITE
    points = table[list(compared.updates)].reindex(part.index)
    points = points.mask(points.isna() & lost.to_numpy()[:, None], np.inf).dropna()
    if len(kept) < len(reference.updates):
        said = joined(said, f"{len(kept)} of {len(reference.updates)} printed points are recorded")
    if kept and len(points) < len(part):
        said = joined(said, f"{len(part) - len(points)} runs without costs there")
    return Ours(compared, points if kept else points[:0], _estimate(points), said)


def _estimate(runs: pd.DataFrame) -> Interval:
    """The mean of a single value with its interval; of several only their number of runs."""
    count, values = runs.shape
    if values == 1:
        return mean_interval(runs.to_numpy())
    return Interval(nan, nan, nan, count, "none (several values)")


def joined(*texts: str) -> str:
    """The texts that are there, one behind the other."""
    return "; ".join(filter(None, texts))
