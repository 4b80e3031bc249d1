"""What a study found: up to three sentences, the strongest first, each of which a test supports.

In: a Study. Out: plain English. Where the study asks, the sentences are the answers; else they are
chosen by its design: effects that survive, the largest interaction, the best against the baseline.
What no test decides is said to be undecided, with the runs that it would take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from ablation_lab.report.design_findings import of_design, of_layers, of_one_cell
from ablation_lab.report.language import msgid, tr, tr_known, trn
from ablation_lab.report.phrases import (
    MOST_NAMED,
    capital,
    joined,
    levels_text,
    listed,
    said_text,
    within_text,
)
from ablation_lab.report.reference_values import answers
from ablation_lab.report.sentences import (
    Said,
    Sides,
    Statement,
    Tested,
    Wording,
    tested,
    wording_of,
)
from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import verdicts_sentence
from ablation_lab.report.tabular import Table
from ablation_lab.report.told import Told
from ablation_lab.statistics.answers import Place, Reply
from ablation_lab.statistics.comparisons import Standing
from ablation_lab.statistics.reference_values import Word
from ablation_lab.study.asks import Ask, Yes
from ablation_lab.study.factor import Factor
from ablation_lab.study.record import Status

MOST = 3
ALIKE = 2.0  # times the smallest size that the largest one reaches among places that are alike


def abstract(
    studies: Sequence[Study | Told], totals: Sequence[int], verdicts: Table | None, *,
    untrained: str = "", family: str = "",
) -> tuple[str, ...]:  # fmt: skip
    """The run counts, what was not trained, the verdicts on reference values and on all of them."""
    declared, finished, not_converged, failed, missing, skipped, extra = totals
    rest = (
        (failed, msgid(", {n:,} failed")),
        (missing, msgid(", {n:,} are missing")),
        (skipped, msgid(", {n:,} were skipped with a reason")),
        (extra, msgid(", {n:,} more are stored that nobody declares")),
    )
    said = [
        trn(
            "{n} study declares {declared:,} runs: {finished:,} finished ({lost:,} of them did not "
            "converge){rest}.",
            "{n} studies declare {declared:,} runs: {finished:,} finished ({lost:,} of them did "
            "not converge){rest}.",
            len(studies), declared=declared, finished=finished, lost=not_converged,
            rest="".join(tr(what, n=count) for count, what in rest if count),
        )
    ]  # fmt: skip
    said += [sentence for sentence in (untrained, verdicts_sentence(studies)) if sentence]
    if verdicts is not None and verdicts.rows:
        words = ", ".join(
            tr("{n} {word}", n=row[1].text, word=row[0].text) for row in verdicts.rows
        )
        told = tr("Reference values: {values}", values=words)
        said.append(f"{told}. {family}".strip())
    return tuple(said)


def finding(study: Study) -> str:
    """What a study found, in at most three sentences; empty without results."""
    return " ".join(statement.said.text for statement in statements(study))


def basis(study: Study) -> tuple[str, ...]:
    """The data that a finding is of, and how many tests were judged together."""
    said = [
        tr("Data: {name}, {about}.", name=data.name, about=tr_known(data.about))
        for data in study.declaration.data
    ]
    families = (
        (
            sum(1 + len(each.places) for each in study.replies),
            msgid("{n:,} answers to what is asked"),
        ),
        (len(study.compared.every), msgid("{n:,} comparisons of cells")),
        (len(study.effects), msgid("{n:,} effects of factors")),
    )
    if told := [tr(what, n=count) for count, what in families if count > 1]:
        rule = tr(
            "Judged together, in groups with a chance of at most 5 % of any false verdict each"
        )
        said.append(f"{rule}: {'; '.join(told)}.")
    return tuple(said)


def statements(study: Study) -> list[Statement]:
    """The sentences of the finding, the strongest first."""
    cells = study.cells.dropna(subset=["estimate"])
    if study.declaration.computes:
        return _of_references(study)
    if cells.empty:
        return []
    if (cells["not_converged"] == cells["finished"]).all():
        return [Statement(Said(tr("No finished run converged")))]
    if len(cells) == 1:
        return [*_of_references(study), of_one_cell(study)][:MOST]
    found = [_answer(study, reply) for reply in study.replies]
    if not found:
        found = [*_of_references(study), *of_design(study)]
    return sorted([*of_layers(study), *found], key=lambda statement: statement.rank)[:MOST]


def _answer(study: Study, reply: Reply) -> Statement:
    """The sentence that answers an ask: the plain answer, then the numbers that it rests on."""
    words = wording_of(study, sum(1 + len(each.places) for each in study.replies))
    factors = {factor.name: factor for factor in study.declaration.factors}
    whole, at = tested(reply.whole), [tested(place.comparison) for place in reply.places]
    varied, alike = _places(
        words, reply.places, at, whole, differs=bool(reply.asked.ask.differs_by)
    )
    averaged = [factors[name].label for name in (reply.places[0].where if at else ())]
    word = answer_word(reply.asked.ask, whole, at, averaged=averaged)
    within = within_text(levels_text(reply.asked.kept, factors), [] if word else averaged)
    plain = capital(f"{word}{_answers_with(words, reply, factors, within)}{varied}")
    of = tr("difference of both") if reply.asked.ask.differs_by else ""
    numbers = f"{words.evidence(whole, of=of)}{alike}"
    return Statement(Said(plain, numbers, reply.asked.ask.question), whole)


def answer_word(
    ask: Ask, whole: Tested, places: Sequence[Tested], *, averaged: Sequence[str]
) -> str:
    """'Yes: ' and the like, as far as the ask says what yes means and tests decide; or ''."""
    over = tr(" on average over {factors}", factors=joined(averaged)) if averaged else ""
    if {Standing.BETTER, Standing.WORSE} <= {each.standing for each in places}:
        said = tr("It depends on {factors};{over} ", factors=joined(averaged), over=over)
        return said if averaged else ""
    wanted = ask.yes_if or (Yes.DIFFERENT if ask.differs_by else None)
    if wanted is None:
        return ""
    opposite = {Yes.BETTER: Standing.WORSE, Yes.WORSE: Standing.BETTER}.get(wanted)
    if whole.standing in (Standing.UNDECIDED, Standing.NEEDS):
        word = tr("Undecided")
    elif whole.standing.value == wanted or (wanted is Yes.DIFFERENT and whole.decided):
        word = tr("Yes")
    else:
        word = tr("No, the opposite") if whole.standing is opposite else tr("No")
    return f"{word}{over}: "


def _answers_with(words: Wording, reply: Reply, factors: Mapping[str, Factor], within: str) -> str:
    """The plain sentence on what is compared, within what."""
    ask, steps, whole = reply.asked.ask, reply.asked.steps, tested(reply.whole)
    upper, lower = (dict(zip(ask.named, steps[end], strict=True)) for end in (-1, 0))
    if ask.differs_by:
        return _differs(words, reply, factors, within)
    sides = Sides(
        levels_text(upper, factors),
        levels_text(lower, factors) if reply.is_slope else said_text(lower, factors),
        within,
        (words.value(reply.at[-1]), words.value(reply.at[0])),
    )
    if not reply.is_slope:
        return words.difference(whole, sides)
    names = tr(" and ").join(factors[name].label for name in ask.compare)
    each = (said_text(dict(zip(ask.named, step, strict=True)), factors) for step in steps)
    return words.slope(whole, sides, f"{names} {', '.join(each)}")


def _differs(words: Wording, reply: Reply, factors: Mapping[str, Factor], within: str) -> str:
    """What a change does at the one and at the other level of a further factor."""
    ask, (first, last) = reply.asked.ask, (reply.asked.steps[0], reply.asked.steps[-1])
    lower, upper = (dict(zip(ask.named, step, strict=True)) for step in (first, last))
    (name,) = ask.differs_by
    means = [words.mean(each) for each in reply.at]
    here, there = (f"{words.signed(b - a)}{words.unit}" for a, b in (means[2:], means[:2]))
    own, other = ({k: v for k, v in each.items() if k != name} for each in (upper, lower))
    said = tr(
        "{level} instead of {other} changes {subject} by {here} with {at}, and by {there} with "
        "{place}",
        level=levels_text(own, factors), other=said_text(other, factors), subject=words.subject,
        here=here, at=levels_text({name: upper[name]}, factors), there=there,
        place=factors[name].said(lower[name]),
    )  # fmt: skip
    return f"{within}{said}"


def _places(
    words: Wording, places: Sequence[Place], made: Sequence[Tested], whole: Tested, *, differs: bool
) -> tuple[str, str]:
    """Where the answer holds and where not: as part of the answer, else behind its numbers."""
    if not places:
        return "", ""
    factors = {factor.name: factor for factor in words.declaration.factors}
    label = tr(" and ").join(factors[name].label for name in places[0].where)
    names = [tr(" with ").join(factors[n].said(v) for n, v in p.where.items()) for p in places]
    if len({each.standing for each in made}) > 1 or made[0].standing is not whole.standing:
        by: dict[str, list[str]] = {}
        for name, each in zip(names, made, strict=True):
            by.setdefault(words.outcome(each, differs=differs), []).append(name)
        said = (tr("{way} for {places}", way=way, places=listed(each)) for way, each in by.items())
        return tr("; by {label}: {said}", label=label, said=", ".join(said)), ""
    return _same_way(words, made, label, names, way=words.outcome(whole, differs=differs))


def _same_way(
    words: Wording, made: Sequence[Tested], label: str, names: Sequence[str], *, way: str
) -> tuple[str, str]:
    """How much the answer is at each place, where it goes the same way at all of them.

    Where that differs much, a reader of the answer alone must not miss it.
    """
    few = len(names) <= MOST_NAMED
    each = tr("each of the {n} levels of {label}", n=len(names), label=label)
    where = f"{label} {listed(names)}" if few else each
    if not all(each.decided and isfinite(each.size) for each in made):
        return "", tr("; also {way} for {where}", way=way, where=where)
    least, most = min(made, key=lambda x: x.size), max(made, key=lambda x: x.size)
    if few:
        sizes = (
            tr("by {amount} for {place}", amount=words.amount(x.size), place=name)
            for x, name in zip(made, names, strict=True)
        )
        said = tr("; by {label}: {way} {sizes}", label=label, way=way, sizes=listed([*sizes]))
    else:
        said = tr(
            "; {way} by {least} to {most} for {where}", way=way, where=where,
            least=words.amount_alone(least.size), most=words.amount(most.size),
        )  # fmt: skip
    return (said, "") if most.size > ALIKE * least.size else ("", said)


UNHELD = (Word.REPORTED, Word.NOT_ATTEMPTED, Word.LOST)
AGREE = (Word.EQUAL, Word.CONSISTENT)


def _of_references(study: Study) -> list[Statement]:
    """How many of the values that sources print come out; of checks, whether all were computed."""
    said = [_computed(study)] if study.declaration.computes else []
    words = [(each.reference.claim_id, each.verdict.word) for each in answers([study])]
    if held := [(name, word) for name, word in words if word not in UNHELD]:
        said.append(_held(held))
    return [Statement(Said(capital("; ".join(said))), first=True)] if said else []


def _held(verdicts: Sequence[tuple[str, Word]]) -> str:
    """How reference values end: 'of 8 reference values 6 agree with our runs, 2 differ (a, b)'."""
    apart = [name for name, word in verdicts if word is Word.DIFFERS]
    agree = sum(word in AGREE for _, word in verdicts)
    parts = (
        (agree, trn("agrees with our runs", "agree with our runs", agree)),
        (len(apart), trn("differs ({ids})", "differ ({ids})", len(apart), ids=listed(apart))),
        (len(verdicts) - agree - len(apart), tr("cannot be decided")),
    )
    told = [(count, what) for count, what in parts if count]
    if len(told) == 1:
        count = {1: tr("the one reference value"), 2: tr("both reference values")}
        every = tr("all {n} reference values", n=len(verdicts))
        return tr("{which} {what}", which=count.get(len(verdicts), every), what=told[0][1])
    said = ", ".join(tr("{n} {what}", n=n, what=what) for n, what in told)
    return tr("of {n} reference values {said}", n=len(verdicts), said=said)


def _computed(study: Study) -> str:
    done, every = int((study.frame["status"] == Status.FINISHED).sum()), len(study.frame)
    if done == every:
        return tr("all {n} checks were computed", n=every)
    return tr("{done} of {n} checks ran", done=done, n=every)
