"""Tables of tests: every cell against the baseline, and what single changes are worth.

In: a Study. Out: `Table` objects. A difference stands with its interval, its n, the corrected p and
a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ablation_lab.report.contrast_rows import every_contrast
from ablation_lab.report.formatting import (
    baseline_caption,
    bounds_text,
    comparison_caption,
    decimals,
    difference_text,
    p_text,
    sortable,
)
from ablation_lab.report.language import msgid, msgids, tr, tr_known, trs
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Notes, Table, numeric
from ablation_lab.report.told import Told
from ablation_lab.statistics.answers import Reply
from ablation_lab.statistics.comparisons import Comparison, Standing
from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Interval
from ablation_lab.statistics.planning import Procedure
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.schema import Design

COLUMNS = msgids("difference", "95 % interval", "n", "p", "verdict")
NORMAL = msgid(
    "a paired t test with Holm's correction, which assumes normal spread: with fewer "
    "than six replicates nothing else could decide"
)
WITHIN = msgid("the difference lies within the margin of equivalence")


def comparisons_table(study: Study) -> Table:
    """Every cell minus its baseline, which every row names where there are several."""
    several = bool(study.declaration.baselines)
    notes, digits = Notes(), decimals(study.cells, study.declaration)
    rows = [
        (
            Entry(made.first.cell, cell=made.first.cell),
            *([Entry(made.second.cell, cell=made.second.cell)] if several else []),
            *comparison_entries(made, study.declaration, digits=digits, notes=notes),
        )
        for made in study.comparisons
    ]
    return Table(
        name="comparisons",
        title=tr("Against the baseline"),
        caption=_caption(study.declaration),
        header=((tr("cell"), *((tr("minus"),) if several else ()), *map(tr, COLUMNS)),),
        rows=tuple(rows),
        notes=tuple(notes.texts),
    )


def _caption(declaration: Declaration) -> str:
    if not declaration.baselines:
        return baseline_caption(declaration)
    says = tr("Each cell minus the one that has the baseline's levels and otherwise its own.")
    return f"{says} {comparison_caption(declaration)}"


def answers_table(study: Study) -> Table:
    """What the study asks, each question answered on average and at every place."""
    declaration, notes = study.declaration, Notes()
    digits = decimals(study.cells, declaration)
    rows: list[tuple[Entry, ...]] = []
    for reply in study.replies:
        ask = reply.asked.ask
        count = len(ask.compare)
        along = dict.fromkeys(tr(" and ").join(step[:count]) for step in reply.asked.steps)
        steps = " → ".join(along)
        for name, two in ask.differs_by.items():
            levels, factor = " → ".join(two), declaration.factor(name).label
            steps = tr(
                "{steps}, by {levels} of {factor}", steps=steps, levels=levels, factor=factor
            )
        every = [({}, reply.whole), *((place.where, place.comparison) for place in reply.places)]
        kept = reply.asked.kept
        rows += [
            (
                Entry(ask.question),
                Entry(tr("a step along {steps}", steps=steps) if reply.is_slope else steps),
                Entry(
                    " · ".join([*kept.values(), *(where or _averaged(reply, declaration)).values()])
                ),
                *comparison_entries(made, declaration, digits=digits, notes=notes),
            )
            for where, made in every
        ]
    return Table.of(
        "answers",
        tr("What the study asks"),
        caption=(
            tr(
                "Each question as a difference between levels, the last minus the first, on "
                "average over the other levels that it leaves (all) and at each of them; of "
                "several steps the change from each to the next; by levels of another factor, "
                "how much that differs between them. {comparison_caption}",
                comparison_caption=comparison_caption(declaration),
            )
        ),
        header=((*trs("question", "from → to", "at"), *map(tr, COLUMNS)),),
        rows=rows,
        notes=notes,
    )


def _averaged(reply: Reply, declaration: Declaration) -> dict[str, str]:
    """The factors over which an answer is on average."""
    names = reply.places[0].where if reply.places else ()
    return {name: tr("all of {label}", label=declaration.factor(name).label) for name in names}


def verdicts_sentence(studies: Sequence[Study | Told]) -> str:
    """How the contrasts of a report end, and how many of its verdicts may be false."""
    made = every_contrast(studies)
    if made.empty:
        return ""
    counts = ", ".join(
        tr("{n:,} {word}", n=n, word=tr_known(str(word)))
        for word, n in made["verdict"].value_counts().items()
    )
    decided = made["verdict"].isin([Standing.BETTER, Standing.WORSE])
    said = tr(
        "Of {n:,} comparisons with a baseline or the step before: {counts}.",
        n=len(made),
        counts=counts,
    )
    if not decided.any():
        return said
    families = made.loc[made["p"].notna(), "study"].nunique()
    chance = tr("The chance that any better or worse is false is at most 5 %")
    if families > 1:
        chance += tr(
            " in each study: of these {families}, {false:.2g} are expected to have a false one",
            families=families,
            false=LEVEL_OF_TESTS * families,
        )
    kept = int((made.loc[decided, "q"] <= LEVEL_OF_TESTS).sum())
    return tr(
        "{said} {chance}. If at most 5 % of all that this report calls better or "
        "worse may be false (column q of comparisons.csv), {kept:,} of {decided:,} "
        "remain.",
        said=said,
        chance=chance,
        kept=kept,
        decided=int(decided.sum()),
    )


def attribution_table(study: Study) -> Table:
    """Each step of a ladder minus the one before, or each single change of the baseline."""
    declaration, notes = study.declaration, Notes()
    digits = decimals(study.cells, declaration)
    rows = [
        (
            Entry(declaration.factor(made.change.factor).label),
            Entry(made.change.before, cell=made.change.reference),
            Entry(made.change.after, cell=made.change.cell),
            *comparison_entries(made.comparison, declaration, digits=digits, notes=notes),
        )
        for made in study.attributions
    ]
    ladder = declaration.design is Design.LADDER
    says = (
        tr(
            "Gain of each step over the step before; a step that changes several things "
            "is not the effect of its name."
        )
        if ladder
        else tr(
            "One factor at a time changed from {baseline}, all others held there.",
            baseline=declaration.baseline,
        )
    )
    return Table(
        name="attribution",
        title=tr("Gain of each step") if ladder else tr("One change at a time"),
        caption=f"{says} {comparison_caption(declaration)}",
        header=((*trs("factor", "from", "to"), *map(tr, COLUMNS)),),
        rows=tuple(rows),
        notes=tuple(notes.texts),
    )


def comparison_entries(
    made: Comparison, declaration: Declaration, *, digits: int, notes: Notes
) -> list[Entry]:
    """The entries of `COLUMNS` for one comparison."""
    within = tr(WITHIN) if made.within and made.standing is not Standing.EQUIVALENT else ""
    lacking, assumes = (
        notes.number(_lacking(made, paired=declaration.paired)),
        notes.number(_assumes(made)),
    )
    tested = tested_entries(made.difference, made.p, declaration, digits=digits)
    marked = zip(tested, (lacking, (), (), assumes), strict=True)
    entries = [replace(entry, notes=marks) for entry, marks in marked]
    return [*entries, Entry(_verdict(made), notes=notes.number(within))]


def tested_entries(
    found: Interval, p: float, declaration: Declaration, *, digits: int
) -> list[Entry]:
    """A difference, its interval, how many replicates it rests on, and its p."""
    bounds = bounds_text(found.low, found.high, declaration, digits=digits)
    return [
        Entry(
            difference_text(found.estimate, declaration, digits=digits), sortable(found.estimate)
        ),
        Entry(bounds, sortable(found.low)),
        numeric(found.n),
        Entry(p_text(p), sortable(p)),
    ]


def _verdict(made: Comparison) -> str:
    """The verdict, and the look that it is from where there are several."""
    verdict = tr_known(made.verdict)
    if not made.looked:
        return verdict
    if made.is_open:
        return tr("{verdict} so far after {looked}", verdict=verdict, looked=made.looked)
    return tr("{verdict} after {looked}", verdict=verdict, looked=made.looked)


def _assumes(made: Comparison) -> str:
    """What the test of so few replicates rests on."""
    return (
        tr(NORMAL) if made.test == Procedure.NORMAL and made.standing is not Standing.NEEDS else ""
    )


def _lacking(made: Comparison, *, paired: bool) -> str:
    """What a reader should know of the runs behind a difference."""
    pair = (made.first, made.second)
    if not all(each.finished for each in pair):
        return tr("one of the two has no finished run")
    said = []
    if any(each.not_converged for each in pair):
        one, other = (f"{each.not_converged}/{each.finished}" for each in pair)
        said.append(
            tr(
                "not converged {one} against {other}; they count as they ended",
                one=one,
                other=other,
            )
        )
    if paired and made.difference.n < max(len(each.values) for each in pair):
        said.append(tr("only replicates that both finished are compared"))
    return "; ".join(said)
