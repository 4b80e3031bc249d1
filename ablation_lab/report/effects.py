"""A factorial study: its main effects, interactions and shares of variance, printed and drawn.

In: a Study with a factorial. Out: `Table` objects and Axes, every estimate with its interval.
"""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes

from ablation_lab.report.canvas import PALE, new_axes, styled
from ablation_lab.report.formatting import (
    DASH,
    bounds_text,
    decimals,
    difference_text,
    in_percent,
    metric_label,
    p_text,
    rule_caption,
    sortable,
    value_text,
)
from ablation_lab.report.marks import Point, draw_point, legend, scale
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Notes, Table
from ablation_lab.statistics.effects import Contrast, contrasts, level_iqms, level_means
from ablation_lab.statistics.factorial import Factorial, Term
from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.planning import replicates_needed
from ablation_lab.study.declaration import Declaration


def effects_table(study: Study) -> Table:
    """Level means and main effects, then two-way interactions, as contrasts to reference levels."""
    data, declaration = _data(study), study.declaration
    digits, notes = decimals(study.cells, declaration), Notes()
    made = {(each.term, each.levels): each for each in contrasts(data)}
    # The middle half of ones and zeros says nothing that their mean does not say.
    iqms = {} if declaration.is_success else level_iqms(data)
    rows = [
        (
            Entry(declaration.factor(name).label),
            Entry(level),
            _interval_entry(mean, declaration, digits=digits),
            _interval_entry(iqms.get((name, level)), declaration, digits=digits),
            *_contrast_entries(
                made.get(((name,), (level,))), declaration, digits=digits, notes=notes
            ),
        )
        for (name, level), mean in level_means(data).items()
    ]
    rows += [
        (
            Entry(_term_text(each.term, declaration)),
            Entry(" × ".join(each.levels)),
            Entry(""),
            Entry(""),
            *_contrast_entries(each, declaration, digits=digits, notes=notes),
        )
        for each in made.values()
        if len(each.term) > 1
    ]
    return Table(
        name="effects",
        title="Main effects and interactions",
        caption=_effects_caption(data, declaration),
        header=(("factor", "level", f"mean, {metric_label(declaration)}", "IQM", "effect",
                 "95 % interval", "n", "p"),),
        rows=tuple(rows),
        notes=tuple(notes.texts),
    )  # fmt: skip


def shares_table(study: Study) -> Table:
    """The analysis of variance: one row per source."""
    data, declaration, weighed = _data(study), study.declaration, study.importances
    rows = [
        (
            Entry(_term_text(each.term, declaration)),
            Entry(str(each.df), float(each.df)),
            Entry(_share(each.share.estimate), sortable(each.share.estimate)),
            Entry(_share_bounds(each.share), sortable(each.share.low)),
            Entry(str(len(data.replicates)), float(len(data.replicates))),
            Entry(f"{each.f:.3g}" if each.f == each.f else DASH, sortable(each.f)),
            *_importance(weighed.get(each.term[0]) if len(each.term) == 1 else None),
        )
        for each in study.shares
    ]
    return Table(
        name="shares",
        title="Shares of the variance",
        caption=_shares_caption(data, declaration),
        header=(("source", "df", "share (%)", "95 % interval", "n", "F",
                 "importance (%)", "95 % interval of importance"),),
        rows=tuple(rows),
    )  # fmt: skip


def _data(study: Study) -> Factorial:
    if study.factorial is None:
        raise ValueError(
            f"study {study.name}: expected a factorial, found {study.declaration.design}"
        )
    return study.factorial


def _interval_entry(interval: Interval | None, declaration: Declaration, *, digits: int) -> Entry:
    if interval is None:
        return Entry(DASH)
    middle = value_text(interval.estimate, declaration, digits=digits)
    bounds = bounds_text(interval.low, interval.high, declaration, digits=digits)
    text = middle if bounds == DASH else f"{middle} {bounds}"
    return Entry(f"{text} ({interval.n})", sortable(interval.estimate))


def _contrast_entries(
    made: Contrast | None, declaration: Declaration, *, digits: int, notes: Notes
) -> list[Entry]:
    if made is None:
        return [Entry("reference"), Entry(""), Entry(""), Entry("")]
    interval = made.interval
    return [
        Entry(
            difference_text(interval.estimate, declaration, digits=digits),
            sortable(interval.estimate),
        ),
        Entry(
            bounds_text(interval.low, interval.high, declaration, digits=digits),
            sortable(interval.low),
        ),
        Entry(str(interval.n), float(interval.n)),
        Entry(p_text(made.p), sortable(made.p), notes=notes.number(_reach(interval))),
    ]


def _reach(interval: Interval) -> str:
    """What so few replicates can say, and what they rest on."""
    if interval.n >= replicates_needed():
        return ""
    return f"{interval.n} replicates: {interval.method}"


def _term_text(term: Term, declaration: Declaration) -> str:
    known = {factor.name: factor.label for factor in declaration.factors}
    return " × ".join(known.get(name, name) for name in term)


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def _share_bounds(interval: Interval) -> str:
    if interval.low != interval.low:
        return DASH
    return f"[{_share(interval.low)}, {_share(interval.high)}]"


def _importance(interval: Interval | None) -> list[Entry]:
    if interval is None:
        return [Entry(""), Entry("")]
    return [
        Entry(_share(interval.estimate), sortable(interval.estimate)),
        Entry(_share_bounds(interval), sortable(interval.low)),
    ]


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
    return f"Every finished run counts, as it ended{left_out}. {rule_caption(declaration)}"


APART = 0.16


@styled()
def main_effects(study: Study, *, ax: Axes | None = None) -> Axes:
    """The mean of each level over all cells of the factorial, one group of levels per factor.

    Raises ValueError for a study that is no factorial.
    """
    declaration, data = study.declaration, study.factorial
    if data is None:
        raise ValueError(f"study {study.name}: expected a factorial, found {declaration.design}")
    means = level_means(data)
    ax = new_axes(ax, height=0.75 + 0.17 * len(means))
    names = [name for name, _ in means]
    order = list(dict.fromkeys(names))
    for y, ((name, level), mean) in enumerate(means.items()):
        draw_point(ax, _point(level, mean, scale(declaration)), y, column=order.index(name))
    ax.set_yticks(range(len(means)), [level for _, level in means])
    ax.set_ylim(len(means) - 0.5, -0.5)
    for y, (above, below) in enumerate(pairwise(names)):
        if above != below:
            ax.axhline(y + 0.5, color=PALE, lw=0.6)
    legend(ax, [declaration.factor(name).label for name in order], "")
    ax.set_xlabel(f"mean {metric_label(declaration)} over all cells with that level")
    ax.grid(visible=False, axis="y")
    return ax


@styled()
def importance(study: Study, *, ax: Axes | None = None) -> Axes:
    """Per source its share of the variance, and per factor its importance in a forest of trees."""
    weighed = study.importances
    ax = new_axes(ax, height=0.8 + 0.2 * len(study.shares))
    for y, share in enumerate(study.shares):
        draw_point(ax, _point("", share.share, 100), y - APART, column=0)
        if len(share.term) == 1 and share.term[0] in weighed:
            draw_point(ax, _point("", weighed[share.term[0]], 100), y + APART, column=1)
    texts = [" × ".join(_label(study, name) for name in share.term) for share in study.shares]
    ax.set_yticks(range(len(texts)), texts)
    ax.set_ylim(len(texts) - 0.5, -0.5)
    ax.set_xlabel("share (%)")
    ax.grid(visible=False, axis="y")
    legend(ax, ["share of variance", "importance"], "")
    return ax


def _label(study: Study, name: str) -> str:
    known = {factor.name: factor.label for factor in study.declaration.factors}
    return known.get(name, name)


def _point(cell: str, interval: Interval, unit: int) -> Point:
    middle, low, high = (unit * value for value in (interval.estimate, interval.low, interval.high))
    return Point(cell, {}, middle, low, high)
