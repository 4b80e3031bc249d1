"""Tables of a factorial study: effects, shares of variance, what each factor is credited with.

In: a Study with a factorial. Out: `Table` objects, every estimate with its interval, every test out
of the study's own families, so that equal differences say the same in each of them.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

from ablation_lab.report.formatting import (
    DASH,
    bounds_text,
    decimals,
    in_percent,
    metric_label,
    rule_caption,
    sortable,
    unsigned,
    value_text,
)
from ablation_lab.report.language import tr, tr_known, trs
from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import tested_entries
from ablation_lab.report.tabular import Entry, Notes, Table
from ablation_lab.statistics.attribution import Kind
from ablation_lab.statistics.effects import Contrast, level_iqms, level_means
from ablation_lab.statistics.factorial import Factorial, Term
from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.planning import replicates_needed
from ablation_lab.study.declaration import Declaration

CREDITS = (Kind.ALONE, Kind.SHAPLEY, Kind.LEFT_OUT)


def effects_table(study: Study) -> Table:
    """Level means and main effects, then two-way interactions, as contrasts to reference levels."""
    data, declaration = factorial_of(study), study.declaration
    digits, notes = decimals(study.cells, declaration), Notes()
    effects = [each for each in study.effects if each.kind is Kind.EFFECT]
    made = {(each.term, each.levels): each for each in effects}
    # The middle half of ones and zeros says nothing that their mean does not say.
    iqms = {} if declaration.is_success else level_iqms(data)
    rows = [
        (
            Entry(declaration.factor(name).label),
            Entry(level),
            _interval_entry(mean, declaration, digits=digits),
            _interval_entry(iqms[name, level], declaration, digits=digits) if iqms else Entry(DASH),
            *_contrast_entries(
                made.get(((name,), (level,))), declaration, digits=digits, notes=notes
            ),
        )
        for (name, level), mean in level_means(data).items()
    ]
    rows += [
        (
            *map(Entry, (term_text(each.term, declaration), " × ".join(each.levels), "", "")),
            *_contrast_entries(each, declaration, digits=digits, notes=notes),
        )
        for each in made.values()
        if len(each.term) > 1
    ]
    return Table.of(
        "effects",
        tr("Main effects and interactions"),
        caption=_effects_caption(data, declaration),
        header=((*trs("factor", "level"), tr("mean, {metric}", metric=metric_label(declaration)),
                 "IQM", *trs("effect", "95 % interval", "n", "p")),),
        rows=rows,
        notes=notes,
    )  # fmt: skip


def credits_table(study: Study) -> Table:
    """Each factor added alone, left out of all, and its part of the whole change."""
    data, declaration = factorial_of(study), study.declaration
    digits = decimals(study.cells, declaration)
    variance = {each.term[0]: each.share for each in study.shares if len(each.term) == 1}

    def credit_entry(interval: Interval, p: float) -> Entry:
        middle, bounds, _, said = tested_entries(interval, p, declaration, digits=digits)
        return replace(middle, text=f"{middle.text} {bounds.text}, p {said.text}")

    rows: list[tuple[Entry | str, ...]] = [
        (
            declaration.factor(change.factor).label,
            change.before,
            Entry(change.after, cell=change.cell),
            *(credit_entry(*credit.by(kind)) for kind in CREDITS),
            *_share_entries(credit.share, joined=True),
            *_share_entries(variance.get(change.factor), joined=True),
        )
        for credit in study.credits
        for change in [credit.alone.change]
    ]
    return Table.of(
        "credits",
        tr("What each choice accounts for"),
        caption=_credits_caption(study, data),
        header=((*trs("factor", "from", "to"), *map(tr_known, CREDITS),
                 *trs("share of the change (%)", "share of the variance (%)")),),
        rows=rows,
    )  # fmt: skip


def shares_table(study: Study) -> Table:
    """The analysis of variance: one row per source."""
    data, declaration, weighed = factorial_of(study), study.declaration, study.importances
    rows = [
        (
            Entry(term_text(each.term, declaration)),
            Entry(str(each.df), float(each.df)),
            *_share_entries(each.share),
            Entry(str(len(data.replicates)), float(len(data.replicates))),
            Entry(f"{each.f:.3g}" if each.f == each.f else DASH, sortable(each.f)),
            *_share_entries(weighed.get(each.term[0]) if len(each.term) == 1 else None),
        )
        for each in study.shares
    ]
    return Table.of(
        "shares",
        tr("Shares of the variance"),
        caption=_shares_caption(data, declaration),
        header=(trs("source", "df", "share (%)", "95 % interval", "n", "F", "importance (%)",
                    "95 % interval of importance"),),
        rows=rows,
    )  # fmt: skip


def factorial_of(study: Study) -> Factorial:
    """The runs of a factorial; ValueError for another study."""
    if study.factorial is None:
        found = study.declaration.design
        raise ValueError(f"study {study.name}: expected a factorial, found {found}")
    return study.factorial


def _interval_entry(interval: Interval, declaration: Declaration, *, digits: int) -> Entry:
    middle = value_text(interval.estimate, declaration, digits=digits)
    bounds = bounds_text(interval.low, interval.high, declaration, digits=digits)
    text = middle if bounds == DASH else f"{middle} {bounds}"
    return Entry(f"{text} ({interval.n})", sortable(interval.estimate))


def _contrast_entries(
    made: Contrast | None, declaration: Declaration, *, digits: int, notes: Notes
) -> list[Entry]:
    if made is None:
        return [Entry(text) for text in (tr("reference"), "", "", "")]
    *entries, p = tested_entries(made.interval, made.p, declaration, digits=digits)
    return [*entries, replace(p, notes=notes.number(_reach(made.interval)))]


def _reach(interval: Interval) -> str:
    """What so few replicates can say, and what they rest on."""
    few = interval.n < replicates_needed()
    return (
        tr("{n} replicates: {method}", n=interval.n, method=tr_known(interval.method))
        if few
        else ""
    )


def term_text(term: Term, declaration: Declaration) -> str:
    """The factors of an effect in one line."""
    known = {factor.name: factor.label for factor in declaration.factors}
    return " × ".join(known.get(name) or tr_known(name) for name in term)


def _share_entries(found: Interval | None, *, joined: bool = False) -> list[Entry]:
    """A share in percent and its interval, in two entries or in one."""
    if found is None:
        return [Entry("")] if joined else [Entry(""), Entry("")]
    shares = (found.estimate, found.low, found.high)
    middle, low, high = (unsigned(f"{100 * share:.1f}") for share in shares)
    bounds = f"[{low}, {high}]" if isfinite(found.low) else DASH
    if joined:
        return [Entry(f"{middle} {bounds}", sortable(found.estimate))]
    return [Entry(middle, sortable(found.estimate)), Entry(bounds, sortable(found.low))]


def _effects_caption(data: Factorial, declaration: Declaration) -> str:
    references = ", ".join(
        f"{declaration.factor(name).label} {level}" for name, level in data.reference.items()
    )
    unit = tr(" in points") if in_percent(declaration.primary) else ""
    return tr(
        "Means over all other factors with the 95 % interval over replicates (their "
        "number); IQM: mean of the middle half of all runs at that level, stratified "
        "bootstrap (number of runs). Effects{unit}: a level minus the reference "
        "level of its factor ({references}); of a pair, by how much that effect "
        "differs at the second level. n: replicates; p of the sign-flip test over "
        "replicates, joint over the table, as are the intervals. {common}",
        unit=unit,
        references=references,
        common=_common(data, declaration),
    )


def _credits_caption(study: Study, data: Factorial) -> str:
    declaration = study.declaration
    unit = tr(" in points") if in_percent(declaration.primary) else ""
    return tr(
        "From {baseline} to the cell with all {n} choices changed. Added alone: the "
        "baseline with this one change, minus the baseline. Left out: all changed, "
        "minus all but this one. Shapley value: what the change adds, averaged over "
        "all orders in which the changes can be made; only these add up to the whole "
        "change. Where the three differ, what a choice is worth depends on the "
        "others. Differences{unit} with the 95 % interval and p of the tables of "
        "comparisons (added alone) and of effects, joint over each. Share of the "
        "change: the Shapley value over its sum, negative where a choice works "
        "against the whole; intervals (Fieller) hold together, – where the whole "
        "change is not set apart from 0. Share of the variance: of the main effect, "
        "over all cells. {common}",
        baseline=declaration.baseline,
        n=len(data.levels),
        unit=unit,
        common=_common(data, declaration),
    )


def _shares_caption(data: Factorial, declaration: Declaration) -> str:
    adding = (
        ""
        if data.is_complete
        else tr("Combinations are missing, so the shares need not add up to 100 %. ")
    )
    return tr(
        "Share of each source in the sum of squares of all runs (type II), "
        "replicates as blocks; interval: jackknife over n replicates. F: mean square "
        "over that of the residual; what is tested stands in the table of effects. "
        "Importance: mean decrease in impurity of a forest of regression trees on "
        "the cell means, with an interval from leaving out groups of replicates. "
        "{adding}{common}",
        adding=adding,
        common=_common(data, declaration),
    )


def _common(data: Factorial, declaration: Declaration) -> str:
    """Which runs count, which cells are left out, and which rule selected the values."""
    left_out = "".join(f"; {tr_known(said)}" for said in data.left_out)
    return tr(
        "Every finished run counts, converged or not{left_out}. {rule_caption}",
        left_out=left_out,
        rule_caption=rule_caption(declaration),
    )
