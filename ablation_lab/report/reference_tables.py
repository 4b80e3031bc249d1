"""Reference values beside ours: as tables, and their verdicts as a figure.

In: what answers each reference value. Out: `Table` objects and Axes. No value is left out: what was
not attempted is a row that says why.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import isfinite, isinf, isnan
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ablation_lab.report.canvas import COLOURS, new_axes, styled
from ablation_lab.report.formatting import DASH, plain_text, sortable
from ablation_lab.report.language import msgid, msgids, tr, tr_known, trs
from ablation_lab.report.layout import level_columns, levels_of
from ablation_lab.report.reference_values import answers, counted, family, value_table
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Notes, Table, numeric
from ablation_lab.report.told import Answer
from ablation_lab.statistics.calibration import Family
from ablation_lab.statistics.intervals import LEVEL_OF_TESTS
from ablation_lab.statistics.reference_values import Word
from ablation_lab.study.record import Status
from ablation_lab.study.references import ReferenceValue

TITLE = msgid("Reference values")
HEADER = msgids("study", "reference value", "kind", "printed", "ours", "n", "verdict", "why")
CAPTION = msgid(
    "A reference value is one run: it is compared with the spread of single runs, "
    "and the numbers of one printed run are judged together. Equal: no chance is in "
    "it. Ours stands in the unit of the source. A long text is cut here and stands "
    "whole in values.csv."
)
MOST_NAMED = 12  # values that a study spells out
APART = (Word.DIFFERS, Word.NOT_DECIDABLE)
LONGEST = 60  # letters of a source's text
ACCURACIES_HEADER = msgids(
    "reference value", "what", "printed (%)", "ours (%)", "95 % interval", "n", "verdict", "study",
)  # fmt: skip
ACCURACIES_CAPTION = msgid(
    "Accuracies in percent, in the order of the sources. Ours: the mean over n runs, "
    "converged or not, with its 95 % interval over replicates, and how many of them "
    "did not converge. A reference value is one run: the verdict compares it with "
    "the spread of single runs, not with that interval."
)
FRACTION = re.compile(r"\d+\.\d+")
NOTHING = ("", "–", "-")
WITHOUT_VALUE = msgid("no reference value")
NUMBERED = re.compile(r"value_(\d+)")
CHECKS_CAPTION = msgid(
    "Every number that each check gave, in its order: counts in full, others with "
    "four significant digits."
)
CHECKS_PRINTED = msgid(
    " Beside them what is printed, as the source writes it; the verdicts stand in "
    "the table of reference values."
)


def all_values(table: pd.DataFrame) -> Table | None:
    """Every row of values.csv, grouped by the study that answers it; None without a row."""
    if table.empty:
        return None
    ordered = table.sort_values(["study", "id"], kind="stable")
    rows = [(row["study"], *_value_row(row)) for row in ordered.to_dict("records")]
    return Table.of(
        "values", tr(TITLE), caption=tr(CAPTION), header=(tuple(map(tr, HEADER)),), rows=rows
    )


def values_table(study: Study) -> Table:
    """The reference values of a study; in the source's unit, whatever the study's."""
    rows = [_value_row(row) for row in value_table(answers([study])).to_dict("records")]
    return Table.of(
        "values", tr(TITLE), caption=tr(CAPTION), header=(tuple(map(tr, HEADER[1:])),), rows=rows
    )


def _value_row(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    ours, printed = numeric(row["estimate"]), _cut(str(row["printed"]))
    return (
        row["id"],
        row["kind"],
        printed,
        ours,
        row["n"],
        tr_known(row["verdict"]),
        tr_known(row["note"]),
    )


def bound_sentence(found: Sequence[Answer]) -> str:
    """Which reference values a study answers, each with its verdict; empty where there is none.

    Of many, only those that do not agree are spelled out.
    """
    words = Counter(tr_known(answer.verdict.text) for answer in found)
    if len(found) <= MOST_NAMED:
        return f"{'; '.join(map(_named, found))}." if found else ""
    told = ", ".join(tr("{n} {word}", n=n, word=word) for word, n in words.most_common())
    apart = [_named(answer) for answer in found if answer.verdict.word in APART]
    listed = f" {'; '.join(apart)}." if apart else ""
    return tr("{n} values: {told}.{listed}", n=len(found), told=told, listed=listed)


def _named(answer: Answer) -> str:
    printed = _cut(answer.reference.shown)
    named = f"{answer.reference.claim_id}{f' ({printed})' if printed else ''}"
    return f"{named} {tr_known(answer.verdict.text)}"


def verdict_counts(found: Sequence[Answer]) -> Table | None:
    """Per verdict the number of reference values, the most frequent first; None without any."""
    if not found:
        return None
    counts = Counter(tr_known(answer.verdict.text) for answer in found)
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Table.of(
        "verdicts",
        tr("Verdicts"),
        caption=f"{tr_known(counted(found))}. {tr_known(family(found).sentence)}",
        header=(trs("verdict", "reference values"),),
        rows=rows,
    )


@styled()
def calibration(judged: Family, *, ax: Axes | None = None) -> Axes:
    """The p of every printed run, in order, over where it lies if p is uniform; 95 % of each."""
    ax = new_axes(ax, height=2.4)
    expected, low, high = judged.places
    ax.fill_between(expected, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    ax.plot([0, 1], [0, 1], color=COLOURS[6], linewidth=0.8)
    ax.plot(expected, judged.p, "o", markersize=3, color=COLOURS[0])
    ax.axhline(LEVEL_OF_TESTS, color=COLOURS[3], linewidth=0.8, linestyle="--")
    ax.set_xlabel(tr("p if every printed run came from our recipes"))
    ax.set_ylabel(tr("p found"))
    return ax


def _cut(text: str) -> str:
    """A text of bearable length, cut between two of its values."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST].rpartition(' ')[0].rstrip(',;')} …"


def accuracies(found: Sequence[Answer], references: Sequence[ReferenceValue]) -> Table | None:
    """One row per accuracy among the reference values; one without runs has its reason as a note.

    None where no study of the report answers any of them.
    """
    place = {reference.claim_id: number for number, reference in enumerate(references)}
    shown = [answer for answer in found if is_accuracy(answer.reference)]
    shown.sort(key=lambda answer: place.get(answer.reference.claim_id, len(place)))
    if all(not answer.interval.n for answer in shown):
        return None
    notes = Notes()
    rows = [_accuracy(answer, notes) for answer in shown]
    return Table.of(
        "accuracies",
        tr("Every accuracy among the reference values"),
        caption=tr(ACCURACIES_CAPTION),
        header=(tuple(map(tr, ACCURACIES_HEADER)),),
        rows=rows,
        notes=notes,
    )


def is_accuracy(reference: ReferenceValue) -> bool:
    """Whether the references calls it an accuracy, and the source prints one: no curve, no gap."""
    named = "accuracy" in reference.about
    return named and not reference.updates and reference.shown not in NOTHING


def percent(text: str) -> str:
    """A source's text with its shares in percent, in its own digits: 0.9750 is 97.50."""
    return FRACTION.sub(lambda match: f"{Decimal(match.group()).scaleb(2):f}", text)


def _accuracy(answer: Answer, notes: Notes) -> tuple[Any, ...]:
    reference, ours = answer.reference, answer.interval
    counted = (
        tr(
            "{n}, {not_converged} not converged",
            n=ours.n,
            not_converged=answer.not_converged,
        )
        if answer.not_converged
        else str(ours.n)
    )
    bounds = f"[{_share(ours.low)}, {_share(ours.high)}]" if isfinite(ours.low) else DASH
    return (
        reference.claim_id,
        reference.about,
        Entry(percent(reference.shown), sortable(reference.printed)),
        Entry(_share(ours.estimate), sortable(ours.estimate)),
        Entry(bounds, sortable(ours.low)),
        Entry(counted, float(ours.n)),
        Entry(
            tr_known(answer.verdict.text),
            notes=notes.number("" if ours.n else tr_known(answer.verdict.why)),
        ),
        answer.study or DASH,
    )


def _share(value: float) -> str:
    return f"{100 * value:.2f}" if isfinite(value) else DASH


@styled()
def verdicts(study: Study, *, ax: Axes | None = None) -> Axes:
    """One bar for each verdict on the reference values, and one for checks without such a value."""
    counts = Counter(tr_known(answer.verdict.text) for answer in answers([study]))
    bound = study.declaration.references
    counts[tr(WITHOUT_VALUE)] = sum(not bound.get(cell.cell) for cell in study.declaration.cells)
    ordered = [(word, count) for word, count in counts.most_common() if count]
    ax = new_axes(ax, height=0.7 + 0.22 * len(ordered))
    bars = ax.barh([word for word, _ in ordered], [count for _, count in ordered], color=COLOURS[0])
    ax.bar_label(bars, padding=2, fontsize=7)
    ax.invert_yaxis()
    ax.margins(x=0.1)
    ax.set_xlabel(
        tr("reference values, or checks without one") if any(bound.values()) else tr("checks")
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(visible=False, axis="y")
    return ax


def checks_table(study: Study) -> Table:
    """One row for each check: all of its numbers, and what is printed where anything is."""
    notes, declaration = Notes(), study.declaration
    finished = study.frame[study.frame["status"] == Status.FINISHED]
    runs = {str(row["cell"]): row for row in finished[::-1].to_dict("records")}
    reasons = dict(zip(study.cells["cell"], study.cells["reason"], strict=True))
    bound = any(declaration.references.values())
    rows = []
    for cell in declaration.cells:
        numbers = ", ".join(_numbers(runs.get(cell.cell, {}))) or DASH
        ours = Entry(numbers, notes=notes.number(tr_known(str(reasons[cell.cell]))), cell=cell.cell)
        values = declaration.references.get(cell.cell, ())
        said = [ours]
        if bound:
            about = _joined(value.about for value in values)
            said = [Entry(about), ours, Entry(_joined(value.shown for value in values))]
        rows.append((*levels_of(declaration, cell), *said))
    words = trs("what", "numbers", "printed") if bound else trs("numbers")
    return Table.of(
        "checks",
        tr("Every number of every check"),
        caption=tr(CHECKS_CAPTION) + (tr(CHECKS_PRINTED) if bound else ""),
        header=((*level_columns(declaration), *words),),
        rows=rows,
        notes=notes,
    )


def _numbers(run: Mapping[Any, Any]) -> list[str]:
    """The numbers of a check in their order; a run that gave none has none."""
    known = {
        int(found[1]): float(value)
        for name, value in run.items()
        if (found := NUMBERED.fullmatch(str(name))) and not isnan(value)
    }
    return [_text(known.get(i)) for i in range(max(known, default=-1) + 1)]


def _text(value: float | None) -> str:
    return str(value) if value is not None and isinf(value) else plain_text(value)


def _joined(texts: Iterable[str]) -> str:
    """Different texts, each once."""
    return "; ".join(dict.fromkeys(filter(None, texts))) or DASH
