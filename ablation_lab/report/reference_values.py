"""What answers each reference value: our runs with their verdict, or the reason why nothing does.

In: studies as read from the store, all reference values, and every declared study. Out: one
`Answer` per value. None is dropped: what was not attempted is an answer that says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ablation_lab.report.study import Study
from ablation_lab.statistics.intervals import Floats, Interval, mean_interval
from ablation_lab.statistics.outcomes import Outcomes, estimate
from ablation_lab.statistics.reference_values import Verdict, is_share_named, judge
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.metric import SUCCESS
from ablation_lab.study.record import NoConvergence, Status, command, not_run
from ablation_lab.study.references import ReferenceValue
from ablation_lab.study.selection import selection

if TYPE_CHECKING:
    from ablation_lab.study.project import Listed

VALUE = "value"  # all numbers of a check: value_0, value_1, ...
LOST = "cell lost"


@dataclass(frozen=True)
class Answer:
    """A reference value, the study that answers it (empty for none), the verdict, and ours.

    `not_converged` counts the runs among the n of the interval that did not converge.
    """

    reference: ReferenceValue
    study: str
    verdict: Verdict
    interval: Interval
    not_converged: int = 0


def answers(
    studies: Iterable[Study],
    references: Sequence[ReferenceValue] = (),
    listed: Iterable[Listed] = (),
) -> tuple[Answer, ...]:
    """One answer per reference value, sorted by it.

    Without any, those that the studies carry; `listed` are all declared studies, which
    say of one that is not among the studies what it needs and what trains it.
    """
    made = list(studies)
    found = [answer for study in made for answer in _answers(study)]
    answered = {answer.reference.claim_id for answer in found}
    declarations = {study.name: study.declaration for study in made}
    known = {entry.study: entry for entry in listed}
    for reference in references:
        if reference.claim_id not in answered:
            verdict = unanswered(
                reference, declarations.get(reference.study), known.get(reference.study)
            )
            found.append(Answer(reference, reference.study, verdict, mean_interval([])))
    return tuple(sorted(found, key=lambda answer: (answer.reference.claim_id, answer.study)))


def unanswered(
    reference: ReferenceValue, declaration: Declaration | None, listed: Listed | None = None
) -> Verdict:
    """Why a reference value has no value of ours."""
    if reference.not_attempted:
        return Verdict("not attempted", reference.not_attempted)
    if declaration is None:
        return Verdict("not attempted", _not_run(reference.study, listed))
    levels = {factor.name: factor.levels for factor in declaration.factors}
    for name, level in reference.cell.items():
        if level not in levels.get(name, ()):
            return Verdict(LOST, f"study {reference.study} has no {name}={level}; bind it anew")
    place = ", ".join(f"{name}={level}" for name, level in reference.cell.items())
    for out in declaration.excluded:
        if reference.cell.items() <= out.factors.items():
            return Verdict("not attempted", f"{place}: excluded: {out.reason}")
    for cell in declaration.cells:
        if reference.cell.items() <= cell.factors.items():
            why = f"this profile trains {place} on {cell.data}, the value is about {reference.data}"
            return Verdict("not attempted", why)
    return Verdict("not attempted", f"this profile leaves {place} out")


def _not_run(study: str, listed: Listed | None) -> str:
    """Why a study has no runs, and the command that trains it where one is known."""
    if listed is None or listed.problem:
        return f"study {study} was not run under this profile"
    lacks = not_run(listed.needs) if listed.asked else "does not have this profile"
    return f"study {study}: {lacks}; {command(study, listed.profile)} trains it"


@dataclass(frozen=True)
class Ours:
    """What our runs say to a reference value, as far as it can be compared, and our values.

    `runs` has one row per run and one column per reference value.
    """

    reference: ReferenceValue
    runs: Floats
    interval: Interval
    said: str = ""
    not_converged: int = 0


def _answers(study: Study) -> Iterator[Answer]:
    declaration = study.declaration
    if not any(declaration.references.values()):
        return
    found = study.outcomes
    for cell in declaration.cells:
        for reference in declaration.references.get(cell.cell, ()):
            ours = _ours(study, reference, found[cell.cell])
            metric = reference.metric or declaration.metric
            verdict = judge(ours.reference.model_copy(update={"metric": metric}), ours.runs)
            why = verdict.why if len(ours.runs) else found[cell.cell].reason or verdict.why
            explained = Verdict(verdict.word, joined(cell.cell, why, ours.said))
            yield Answer(reference, declaration.study, explained, ours.interval, ours.not_converged)


def _ours(study: Study, reference: ReferenceValue, found: Outcomes) -> Ours:
    declaration: Declaration = study.declaration
    part = study.frame[study.frame["cell"] == found.cell].sort_values("replicate", kind="stable")
    part = part[part["status"] == Status.FINISHED]
    said = ""
    if reference.among == "solved":
        solved = part["success"] == 1.0
        said = f"among the {int(solved.sum())} of {len(part)} runs that solved it"
        part = part[solved]
    if reference.updates:
        return _on_curve(study, reference, part, said)
    if reference.metric == VALUE:
        return _of_check(reference, part)
    return _of_metric(reference, part, found, declaration, said)


def _of_metric(
    reference: ReferenceValue,
    part: pd.DataFrame,
    found: Outcomes,
    declaration: Declaration,
    said: str,
) -> Ours:
    """All runs as they ended: a source does not say which of its runs it shows.

    A run that is not finite answers like one that guesses; of an optimum it says nothing.
    """
    name = reference.metric or declaration.metric
    if reference.kind == "converged":
        lost = part["not_converged_recorded"] == NoConvergence.NON_FINITE
        left_out = f"{int(lost.sum())} runs that are not finite left out" if any(lost) else ""
        said = joined(said, left_out)
        part = part[~lost]
    values = [value for value in ended(part, name, declaration) if isfinite(value)]
    if len(values) < len(part):
        said = joined(said, f"{len(part) - len(values)} runs have no finite {name}")
    own = name == declaration.metric and not reference.among
    if own and declaration.is_success:
        return Ours(reference, _column(values), estimate(found, declaration), said)
    not_converged = int((part["not_converged"] != "").sum()) if own else 0
    return Ours(reference, _column(values), mean_interval(values), said, not_converged)


def ended(part: pd.DataFrame, name: str, declaration: Declaration) -> list[float]:
    """A metric of finished runs; an accuracy of a run that is not finite is that of guessing."""
    if name not in part:
        return []
    own = name == declaration.metric
    values = selection(declaration.selection).values(part, name) if own else part[name]
    share = declaration.is_share if own else is_share_named(name)
    if share and name != SUCCESS and declaration.chance is not None:
        values = values.mask(
            part["not_converged_recorded"] == NoConvergence.NON_FINITE, declaration.chance
        )
    return [float(value) for value in values]


def _of_check(reference: ReferenceValue, part: pd.DataFrame) -> Ours:
    """All numbers of a check, one for each reference value."""
    names = [f"value_{index}" for index in range(max(1, len(reference.values)))]
    if missing := [name for name in names if name not in part or part[name].isna().any()]:
        runs = np.empty((0, len(names)))
        return Ours(reference, runs, mean_interval([]), f"the check gives no {missing[0]}")
    runs = part[names].to_numpy(dtype=np.float64)
    return Ours(reference, runs, _estimate(runs))


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
    values = table[list(compared.updates)].to_numpy(dtype=np.float64)
    runs = values[np.isfinite(values).all(1)] if kept else np.empty((0, 0))
    if len(kept) < len(reference.updates):
        said = joined(said, f"{len(kept)} of {len(reference.updates)} printed points are recorded")
    if kept and len(runs) < len(part):
        said = joined(said, f"{len(part) - len(runs)} runs without finite costs there")
    return Ours(compared, runs, _estimate(runs), said)


def _estimate(runs: Floats) -> Interval:
    """The mean of a single value with its interval; of several only their number of runs."""
    count, values = runs.shape
    if values == 1 and np.isfinite(runs).all():
        return mean_interval(runs[:, 0])
    return Interval(nan, nan, nan, count, "none (several values)")


def _column(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def joined(*texts: str) -> str:
    """The texts that are there, one behind the other."""
    return "; ".join(filter(None, texts))


COLUMNS = (
    "id", "kind", "printed", "n", "estimate", "low", "high", "verdict", "study", "note",
)  # fmt: skip


def value_table(found: Iterable[Answer]) -> pd.DataFrame:
    """One row per answer; low and high are those of our estimate."""
    return pd.DataFrame([_row(answer) for answer in found], columns=list(COLUMNS))


def _row(answer: Answer) -> dict[str, object]:
    reference, interval = answer.reference, answer.interval
    return {
        "id": reference.claim_id,
        "kind": reference.kind,
        "printed": reference.shown,
        "n": interval.n,
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "verdict": answer.verdict.word,
        "study": answer.study,
        "note": joined(reference.about, answer.verdict.why, reference.note),
    }
