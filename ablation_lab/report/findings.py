"""What a study found: up to three sentences, the strongest first, each of which a test supports.

In: a Study. Out: plain English. Where the study asks, the sentences are the answers; else they are
chosen by its design: effects that survive, the largest interaction, the best against the baseline.
What no test decides is said to be undecided, with the runs that it would take.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ablation_lab.report.design_findings import of_design, of_layers, of_one_cell
from ablation_lab.report.reference_values import answers
from ablation_lab.report.sentences import (
    MOST_NAMED,
    Sides,
    Statement,
    Wording,
    joined,
    levels_text,
    listed,
    sentence,
    tested,
    within_text,
    wording_of,
)
from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import verdicts_sentence
from ablation_lab.report.tabular import Table
from ablation_lab.statistics.answers import Place, Reply
from ablation_lab.statistics.comparisons import Comparison
from ablation_lab.statistics.reference_values import Word
from ablation_lab.study.record import Status

MOST = 3


def abstract(
    studies: Sequence[Study], totals: Sequence[int], verdicts: Table | None, *, untrained: str = "",
    family: str = "",
) -> tuple[str, ...]:  # fmt: skip
    """The run counts, what was not trained, the verdicts on reference values and on all of them."""
    declared, finished, not_converged, failed, missing, skipped, extra = totals
    many = "1 study declares" if len(studies) == 1 else f"{len(studies)} studies declare"
    rest = (
        (failed, "failed"),
        (missing, "are missing"),
        (skipped, "were skipped with a reason"),
        (extra, "more are stored that nobody declares"),
    )
    lost = "".join(f", {count:,} {what}" for count, what in rest if count)
    said = [
        f"{many} {declared:,} runs: {finished:,} finished ({not_converged:,} of them "
        f"did not converge){lost}."
    ]
    said += [sentence for sentence in (untrained, verdicts_sentence(studies)) if sentence]
    if verdicts is not None and verdicts.rows:
        words = ", ".join(f"{row[1].text} {row[0].text}" for row in verdicts.rows)
        said.append(f"Reference values: {words}. {family}".strip())
    return tuple(said)


def finding(study: Study) -> str:
    """What a study found, in at most three sentences; empty without results."""
    return " ".join(statement.text for statement in statements(study))


def statements(study: Study) -> list[Statement]:
    """The sentences of the finding, the strongest first."""
    cells = study.cells.dropna(subset=["estimate"])
    if study.declaration.computes:
        return _of_references(study)
    if cells.empty:
        return []
    if (cells["not_converged"] == cells["finished"]).all():
        return [Statement("No finished run converged.")]
    if len(cells) == 1:
        return [*_of_references(study), of_one_cell(study)][:MOST]
    found = [_answer(study, reply) for reply in study.replies]
    if not found:
        found = [*_of_references(study), *of_design(study)]
    return sorted([*of_layers(study), *found], key=lambda statement: statement.rank)[:MOST]


def _answer(study: Study, reply: Reply) -> Statement:
    """The sentence that answers an ask."""
    words = wording_of(study, sum(1 + len(each.places) for each in study.replies))
    factors = {factor.name: factor for factor in study.declaration.factors}
    ask, steps, made = reply.asked.ask, reply.asked.steps, tested(reply.whole)
    apart = list(reply.places[0].where) if reply.places else []
    averaged = [factors[name].label for name in apart]
    upper, lower = (dict(zip(ask.compare, steps[end], strict=True)) for end in (-1, 0))
    sides = Sides(
        joined([*upper.values()]) if reply.is_slope else levels_text(upper, factors),
        joined([*lower.values()]),
        within_text(levels_text(reply.asked.kept, factors), averaged),
        (words.value(reply.ends[1]), words.value(reply.ends[0])),
    )
    places = _places(words, reply.places, reply.whole)
    if not reply.is_slope:
        return Statement(words.difference(made, sides, places), made)
    names = " and ".join(factors[name].label for name in ask.compare)
    along = f"{names} {', '.join(' and '.join(step) for step in steps)}"
    return Statement(words.slope(made, sides, along, places), made, len(steps) - 1)


def _places(words: Wording, places: Sequence[Place], whole: Comparison) -> str:
    """Where the answer holds and where not; empty where there is one place."""
    if not places:
        return ""
    label = " and ".join(words.declaration.factor(name).label for name in places[0].where)
    by: dict[str, list[str]] = {}
    for place in places:
        levels = " with ".join(place.where.values())
        by.setdefault(words.outcome(tested(place.comparison)), []).append(levels)
    if list(by) == [words.outcome(tested(whole))]:
        return _same_way(words, places, label, *by.items())
    said = (f"{word} for {listed(names)}" for word, names in by.items())
    return f"; by {label}: {', '.join(said)}"


def _same_way(
    words: Wording, places: Sequence[Place], label: str, found: tuple[str, list[str]]
) -> str:
    """How much the answer is at each place, where it goes the same way at all of them."""
    (way, names), made = found, [tested(place.comparison) for place in places]
    few = len(names) <= MOST_NAMED
    where = f"{label} {listed(names)}" if few else f"each of the {len(names)} levels of {label}"
    if not all(each.decided and isfinite(each.size) for each in made):
        return f"; also {way} for {where}"
    if few:
        sizes = (f"by {words.amount(x.size)} for {n}" for x, n in zip(made, names, strict=True))
        return f"; by {label}: {way} {listed([*sizes])}"
    least, most = min(made, key=lambda x: x.size), max(made, key=lambda x: x.size)
    return f"; {way} by {words.amount_alone(least.size)} to {words.amount(most.size)} for {where}"


UNHELD = (Word.REPORTED, Word.NOT_ATTEMPTED, Word.LOST)
AGREE = (Word.EQUAL, Word.CONSISTENT)


def _of_references(study: Study) -> list[Statement]:
    """How many of the values that sources print come out; of checks, whether all were computed."""
    said = [_computed(study)] if study.declaration.computes else []
    words = [(each.reference.claim_id, each.verdict.word) for each in answers([study])]
    if held := [(name, word) for name, word in words if word not in UNHELD]:
        said.append(_held(held))
    return [Statement(sentence("; ".join(said)), first=True)] if said else []


def _held(verdicts: Sequence[tuple[str, Word]]) -> str:
    """How reference values end: 'of 8 reference values 6 agree with our runs, 2 differ (a, b)'."""
    apart = [name for name, word in verdicts if word is Word.DIFFERS]
    agree = sum(word in AGREE for _, word in verdicts)
    parts = (
        (agree, "agrees with our runs", "agree with our runs"),
        (len(apart), f"differs ({listed(apart)})", f"differ ({listed(apart)})"),
        (len(verdicts) - agree - len(apart), *["cannot be decided"] * 2),
    )
    told = [(count, one if count == 1 else many) for count, one, many in parts if count]
    if len(told) == 1:
        count = {1: "the one reference value", 2: "both reference values"}
        return f"{count.get(len(verdicts), f'all {len(verdicts)} reference values')} {told[0][1]}"
    return f"of {len(verdicts)} reference values {', '.join(f'{n} {what}' for n, what in told)}"


def _computed(study: Study) -> str:
    done, every = int((study.frame["status"] == Status.FINISHED).sum()), len(study.frame)
    return f"all {every} checks were computed" if done == every else f"{done} of {every} checks ran"
