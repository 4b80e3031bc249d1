"""A factorial study: effects, shares of variance, and what each factor is credited with.

In: a Study with a factorial. Out: `Table` objects and Axes, every estimate with its interval, every
test out of the study's own families, so that equal differences say the same in each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import isfinite

from matplotlib.axes import Axes

from ablation_lab.report.canvas import PALE, new_axes, styled
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
from ablation_lab.report.marks import Point, draw_point, legend, scale
from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import tested_entries
from ablation_lab.report.tabular import Entry, Notes, Table
from ablation_lab.statistics.attribution import Kind
from ablation_lab.statistics.effects import Contrast, level_iqms, level_means
from ablation_lab.statistics.factorial import Factorial, Term
from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.planning import replicates_needed
from ablation_lab.study.declaration import Declaration


def effects_table(study: Study) -> Table:
    """Level means and main effects, then two-way interactions, as contrasts to reference levels."""
    data, declaration = _data(study), study.declaration
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
            *map(Entry, (_term_text(each.term, declaration), " × ".join(each.levels), "", "")),
            *_contrast_entries(each, declaration, digits=digits, notes=notes),
        )
        for each in made.values()
        if len(each.term) > 1
    ]
    return Table.of(
        "effects",
        "Main effects and interactions",
        caption=_effects_caption(data, declaration),
        header=(("factor", "level", f"mean, {metric_label(declaration)}", "IQM", "effect",
                 "95 % interval", "n", "p"),),
        rows=rows,
        notes=notes,
    )  # fmt: skip


def credits_table(study: Study) -> Table:
    """Each factor added alone, left out of all, and its part of the whole change."""
    data, declaration = _data(study), study.declaration
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
        "What each choice accounts for",
        caption=_credits_caption(study, data),
        header=(("factor", "from", "to", *CREDITS, "share of the change (%)",
                 "share of the variance (%)"),),
        rows=rows,
    )  # fmt: skip


def shares_table(study: Study) -> Table:
    """The analysis of variance: one row per source."""
    data, declaration, weighed = _data(study), study.declaration, study.importances
    rows = [
        (
            Entry(_term_text(each.term, declaration)),
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
        "Shares of the variance",
        caption=_shares_caption(data, declaration),
        header=(("source", "df", "share (%)", "95 % interval", "n", "F",
                 "importance (%)", "95 % interval of importance"),),
        rows=rows,
    )  # fmt: skip


def _data(study: Study) -> Factorial:
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
        return [Entry(text) for text in ("reference", "", "", "")]
    *entries, p = tested_entries(made.interval, made.p, declaration, digits=digits)
    return [*entries, replace(p, notes=notes.number(_reach(made.interval)))]


def _reach(interval: Interval) -> str:
    """What so few replicates can say, and what they rest on."""
    few = interval.n < replicates_needed()
    return f"{interval.n} replicates: {interval.method}" if few else ""


def _term_text(term: Term, declaration: Declaration) -> str:
    known = {factor.name: factor.label for factor in declaration.factors}
    return " × ".join(known.get(name, name) for name in term)


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
    unit = " in points" if in_percent(declaration.primary) else ""
    return (
        f"Means over all other factors with the 95 % interval over replicates (their number); "
        f"IQM: mean of the middle half of all runs at that level, stratified bootstrap (number of "
        f"runs). Effects{unit}: a level minus the reference level of its factor ({references}); of "
        f"a pair, by how much that effect differs at the second level. n: replicates; p of the "
        f"sign-flip test over replicates, joint over the table, as are the intervals. "
        f"{_common(data, declaration)}"
    )


def _credits_caption(study: Study, data: Factorial) -> str:
    declaration = study.declaration
    unit = " in points" if in_percent(declaration.primary) else ""
    return (
        f"From {declaration.baseline} to the cell with all {len(data.levels)} choices changed. "
        f"Added alone: the baseline with this one change, minus the baseline. Left out: all "
        f"changed, minus all but this one. Shapley value: what the change adds, averaged over all "
        f"orders in which the changes can be made; only these add up to the whole change. Where "
        f"the three differ, what a choice is worth depends on the others. Differences{unit} with "
        f"the 95 % interval and p of the tables of comparisons (added alone) and of effects, joint "
        f"over each. Share of the change: the Shapley value over its sum, negative where a choice "
        f"works against the whole; intervals (Fieller) hold together, – where the whole change is "
        f"not set apart from 0. Share of the variance: of the main effect, over all cells. "
        f"{_common(data, declaration)}"
    )


def _shares_caption(data: Factorial, declaration: Declaration) -> str:
    adding = (
        ""
        if data.is_complete
        else "Combinations are missing, so the shares need not add up to 100 %. "
    )
    return (
        f"Share of each source in the sum of squares of all runs (type II), replicates as blocks; "
        f"interval: jackknife over n replicates. F: mean square over that of the residual; what is "
        f"tested stands in the table of effects. Importance: mean decrease in impurity of a forest "
        f"of regression trees on the cell means, with an interval from leaving out groups of "
        f"replicates. {adding}"
        f"{_common(data, declaration)}"
    )


def _common(data: Factorial, declaration: Declaration) -> str:
    """Which runs count, which cells are left out, and which rule selected the values."""
    left_out = "".join(f"; {said}" for said in data.left_out)
    return f"Every finished run counts, converged or not{left_out}. {rule_caption(declaration)}"


APART = 0.16
CREDITS = (Kind.ALONE, Kind.SHAPLEY, Kind.LEFT_OUT)


@styled()
def main_effects(study: Study, *, ax: Axes | None = None) -> Axes:
    """The mean of each level over all cells of the factorial, one group of levels per factor.

    Raises ValueError for a study that is no factorial.
    """
    declaration, means = study.declaration, level_means(_data(study))
    ax = new_axes(ax, height=0.75 + 0.17 * len(means))
    names = [name for name, _ in means]
    order = list(dict.fromkeys(names))
    for y, ((name, _), mean) in enumerate(means.items()):
        draw_point(ax, _point(mean, scale(declaration)), y, column=order.index(name))
    for y, (above, below) in enumerate(pairwise(names)):
        if above != below:
            ax.axhline(y + 0.5, color=PALE, lw=0.6)
    label = f"mean {metric_label(declaration)} over all cells with that level"
    labels = [declaration.factor(name).label for name in order]
    return _rows(ax, [level for _, level in means], label, labels)


@styled()
def credit(study: Study, *, ax: Axes | None = None) -> Axes:
    """What each change is worth alone, on average over all orders, and with all others made."""
    declaration = study.declaration
    ax = new_axes(ax, height=0.9 + 0.3 * len(study.credits))
    ax.axvline(0, color=PALE, lw=0.6)
    for y, made in enumerate(study.credits):
        for column, kind in enumerate(CREDITS):
            point = _point(made.by(kind)[0], scale(declaration))
            draw_point(ax, point, y + 1.5 * APART * (column - 1), column=column)
    changes = [made.alone.change for made in study.credits]
    texts = [f"{declaration.factor(c.factor).label}: {c.before} → {c.after}" for c in changes]
    unit = " (points)" if in_percent(declaration.primary) else ""
    return _rows(ax, texts, f"difference of {declaration.primary.words}{unit}", CREDITS)


@styled()
def importance(study: Study, *, ax: Axes | None = None) -> Axes:
    """Per source its share of the variance, and per factor its importance in a forest of trees."""
    weighed = study.importances
    ax = new_axes(ax, height=0.8 + 0.2 * len(study.shares))
    for y, share in enumerate(study.shares):
        draw_point(ax, _point(share.share, 100), y - APART, column=0)
        if len(share.term) == 1 and share.term[0] in weighed:
            draw_point(ax, _point(weighed[share.term[0]], 100), y + APART, column=1)
    texts = [_term_text(share.term, study.declaration) for share in study.shares]
    return _rows(ax, texts, "share (%)", ["share of variance", "importance"])


def _rows(ax: Axes, texts: Sequence[str], label: str, shown: Sequence[str]) -> Axes:
    """One text a row from the top, the label of the values, and a legend of what is shown."""
    ax.set_yticks(range(len(texts)), texts)
    ax.set_ylim(len(texts) - 0.5, -0.5)
    ax.set_xlabel(label)
    ax.grid(visible=False, axis="y")
    legend(ax, shown, "")
    return ax


def _point(interval: Interval, unit: int) -> Point:
    middle, low, high = (unit * value for value in (interval.estimate, interval.low, interval.high))
    return Point("", {}, middle, low, high)
