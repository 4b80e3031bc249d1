"""What answers each reference value: our runs with their verdict, or the reason why nothing does.

In: studies as read from the store, all reference values, and every declared study. Out: one
`Answer` per value. None is dropped: what was not attempted is an answer that says why. The numbers
that a source prints of one run of a cell, its curve and its end points, are judged together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

import pandas as pd

from ablation_lab.report.reference_runs import Ours, joined, ours_to
from ablation_lab.report.study import Study
from ablation_lab.report.told import Answer, Told
from ablation_lab.statistics.calibration import Family
from ablation_lab.statistics.comparisons import Standing, compare
from ablation_lab.statistics.intervals import mean_interval
from ablation_lab.statistics.outcomes import estimate
from ablation_lab.statistics.reference_values import Verdict, Word, judge, judge_run, metric_named
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.record import command, not_run
from ablation_lab.study.references import ReferenceValue

if TYPE_CHECKING:
    from ablation_lab.study.project import Listed


def answers(
    studies: Iterable[Study | Told],
    references: Sequence[ReferenceValue] = (),
    listed: Iterable[Listed] = (),
) -> tuple[Answer, ...]:
    """One answer per reference value, sorted by it.

    Without any, those that the studies carry; `listed` are all declared studies, which
    say of one that is not among the studies what it needs and what trains it.
    """
    made = list(studies)
    found = [answer for study in made for answer in answers_of(study)]
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


def family(found: Iterable[Answer]) -> Family:
    """The p of every printed run among the answers, one for all values of a run."""
    judged = {(answer.study, answer.together): answer.verdict.p for answer in found}
    return Family.of(judged.values())


def counted(found: Sequence[Answer]) -> str:
    """How many values there are, and how many numbers their sources print."""
    printed = [answer.reference.numbers for answer in found if answer.reference.numbers]
    return (
        f"{len(found)} reference values, of which {len(printed)} print numbers, "
        f"{sum(printed):,} in all"
    )


def unanswered(
    reference: ReferenceValue, declaration: Declaration | None, listed: Listed | None = None
) -> Verdict:
    """Why a reference value has no value of ours."""
    if reference.not_attempted:
        return Verdict(Word.NOT_ATTEMPTED, reference.not_attempted)
    if declaration is None:
        return Verdict(Word.NOT_ATTEMPTED, _not_run(reference.study, listed))
    levels = {factor.name: factor.levels for factor in declaration.factors}
    for name, level in reference.cell.items():
        if level not in levels.get(name, ()):
            return Verdict(
                Word.LOST, f"study {reference.study} has no {name}={level}; bind it anew"
            )
    place = ", ".join(f"{name}={level}" for name, level in reference.cell.items())
    for out in declaration.excluded:
        if reference.cell.items() <= out.factors.items():
            return Verdict(Word.NOT_ATTEMPTED, f"{place}: excluded: {out.reason}")
    for cell in declaration.cells:
        if reference.cell.items() <= cell.factors.items():
            why = f"this profile trains {place} on {cell.data}, the value is about {reference.data}"
            return Verdict(Word.NOT_ATTEMPTED, why)
    return Verdict(Word.NOT_ATTEMPTED, f"this profile leaves {place} out")


def _not_run(study: str, listed: Listed | None) -> str:
    """Why a study has no runs, and the command that trains it where one is known."""
    if listed is None or listed.problem:
        return f"study {study} was not run under this profile"
    lacks = not_run(listed.needs) if listed.asked else "does not have this profile"
    return f"study {study}: {lacks}; {command(study, listed.profile)} trains it"


def answers_of(study: Study | Told) -> tuple[Answer, ...]:
    """The answers to the reference values that a study carries."""
    return study.answers if isinstance(study, Told) else tuple(_answers(study))


def _answers(study: Study) -> Iterator[Answer]:
    declaration = study.declaration
    for cell in declaration.cells:
        bound = declaration.references.get(cell.cell, ())
        found = [ours_to(study, reference, cell.cell) for reference in bound]
        runs: dict[tuple[str, ...], list[Ours]] = {}
        for ours in found:
            if ours.reference.is_drawn and ours.reference.values and len(ours.runs):
                runs.setdefault(ours.printed_run, []).append(ours)
        judged = {ours.name: group for group in runs.values() for ours in group}
        for ours in found:
            group = judged.get(ours.name, [ours])
            verdict = _verdict(study, ours, group, cell.cell)
            assumed = ours.reference.assumes
            said = f"the source does not print {assumed}" if assumed else ""
            why = joined(cell.cell, verdict.why, ours.said, said)
            together = tuple(each.name for each in group)
            explained = replace(verdict, why=why)
            yield Answer(
                ours.reference, declaration.study, explained, ours.interval, ours.not_converged,
                together,
            )  # fmt: skip


def _verdict(study: Study, ours: Ours, group: Sequence[Ours], cell: str) -> Verdict:
    if not len(ours.runs):
        return Verdict(Word.NOT_ATTEMPTED, study.outcomes[cell].reason or "no finished run")
    if ours.reference.than:
        return _against(study, ours.reference, cell)
    if not ours.reference.is_drawn:
        return judge(ours.reference, ours.runs.to_numpy())
    if len(group) == 1:
        return _of_run(group)
    alone, joint = _of_run([ours]), _of_run(group)
    others = ", ".join(each.name for each in group if each is not ours)
    numbers = sum(each.runs.shape[1] for each in group)
    own = f"alone p = {alone.p:.3g}" if isfinite(alone.p) else ""
    said = f"one printed run with {others}, {numbers} numbers: {joint.why}"
    return replace(joint, why=joined(own, said))


def _of_run(group: Sequence[Ours]) -> Verdict:
    """The verdict on all numbers of one printed run, over the runs that have all of them."""
    table = pd.concat([ours.runs for ours in group], axis=1, join="inner")
    printed = [value for ours in group for value in ours.reference.values]
    shares = [
        (metric := metric_named(ours.reference.metric)) is not None and metric.is_share
        for ours in group
        for _ in ours.reference.values
    ]
    return judge_run(printed, table.to_numpy(dtype=float), shares=shares)


def _against(study: Study, reference: ReferenceValue, cell: str) -> Verdict:
    """Whether a cell is better than another one, as the source says: tested as any comparison."""
    declaration, found = study.declaration, study.outcomes
    worse = next(c.cell for c in declaration.cells if reference.than.items() <= c.factors.items())
    (made,) = compare([(found[cell], found[worse])], declaration)
    first, second = (estimate(each, declaration).estimate for each in (made.first, made.second))
    why = f"{first:.4g} against {second:.4g} of {worse}, p = {made.p:.2g}"
    if made.standing is Standing.BETTER:
        return Verdict(Word.CONSISTENT, why)
    if made.standing in (Standing.WORSE, Standing.EQUIVALENT):
        return Verdict(Word.DIFFERS, f"ours is {made.standing}: {why}")
    return Verdict(Word.NOT_DECIDABLE, why, made.needs or made.difference.n + 1)


COLUMNS = (
    "id", "kind", "printed", "n", "estimate", "low", "high", "verdict", "p", "power", "study",
    "note",
)  # fmt: skip


def value_table(found: Iterable[Answer]) -> pd.DataFrame:
    """One row per answer; low and high are those of our estimate."""
    return pd.DataFrame([_row(answer) for answer in found], columns=list(COLUMNS))


def _row(answer: Answer) -> dict[str, object]:
    reference, interval, verdict = answer.reference, answer.interval, answer.verdict
    return {
        "id": reference.claim_id,
        "kind": reference.kind,
        "printed": reference.shown,
        "n": interval.n,
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "verdict": verdict.text,
        "p": verdict.p,
        "power": verdict.power,
        "study": answer.study,
        "note": joined(reference.about, verdict.why, reference.note),
    }
