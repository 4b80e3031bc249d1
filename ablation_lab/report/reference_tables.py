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
from ablation_lab.report.layout import ABSENT, telling
from ablation_lab.report.reference_values import Answer, answers
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Notes, Table
from ablation_lab.study.printed import PrintedClaim
from ablation_lab.study.record import Status

CLAIMS_HEADER = ("study", "claim", "kind", "printed", "ours", "n", "verdict", "why")
CLAIMS_CAPTION = (
    "A printed value is one run: it is compared with the spread of single runs. Ours stands in the "
    "unit of the source. A long printed text is cut here and stands whole in claims.csv."
)
COUNTED_BY_VERDICT = "Claims of the ledger by verdict; every one stands in the appendix."
NOT_ATTEMPTED = "not attempted"
MOST_NAMED = 12  # printed values that a study spells out
APART = ("differs", "outside", "erratum not confirmed", "too few")
LONGEST = 60  # letters of a printed text


def all_claims(claimed: pd.DataFrame) -> Table | None:
    """Every row of the claims, grouped by the study that answers it.

    None without a claim, and where no study of the report answers any: a report on a study of one's
    own is not about the decks. All of them still stand in claims.csv.
    """
    if claimed.empty or (claimed["verdict"] == NOT_ATTEMPTED).all():
        return None
    ordered = claimed.sort_values(["study", "claim_id"], kind="stable")
    rows = tuple(
        (
            Entry(str(row["study"])),
            Entry(str(row["claim_id"])),
            Entry(str(row["kind"])),
            Entry(_cut(str(row["printed"]))),
            Entry(plain_text(row["estimate"]), sortable(row["estimate"])),
            Entry(str(row["n"]), sortable(row["n"])),
            Entry(str(row["verdict"])),
            Entry(str(row["note"])),
        )
        for row in ordered.to_dict("records")
    )
    return Table("claims", "Printed values", CLAIMS_CAPTION, (CLAIMS_HEADER,), rows)


def bound_sentence(found: Sequence[Answer]) -> str:
    """Which printed values a study answers: each with what is printed and the verdict.

    Of many, only those that do not agree are spelled out.
    """
    if not found:
        return "No printed value is bound to this study."
    words = Counter(answer.verdict.word for answer in found)
    if len(found) <= MOST_NAMED:
        return f"{'; '.join(map(_named, found))}."
    told = ", ".join(f"{n} {word}" for word, n in words.most_common())
    apart = [_named(answer) for answer in found if answer.verdict.word in APART]
    listed = f" {'; '.join(apart)}." if apart else ""
    return f"{len(found)} printed values: {told}.{listed}"


def _named(answer: Answer) -> str:
    printed = _cut(answer.claim.shown)
    return f"{answer.claim.claim_id}{f' ({printed})' if printed else ''} {answer.verdict.word}"


def verdict_counts(claims: Table) -> Table:
    """Per verdict the number of claims, the most frequent first."""
    place = CLAIMS_HEADER.index("verdict")
    found = Counter(row[place].text for row in claims.rows)
    rows = [
        (Entry(word), Entry(str(n), float(n)))
        for word, n in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    return Table("verdicts", "Verdicts", COUNTED_BY_VERDICT, (("verdict", "claims"),), tuple(rows))


def _cut(text: str) -> str:
    """A text of bearable length, cut between two of its values."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST].rpartition(' ')[0].rstrip(',;')} …"


ACCURACIES_HEADER = (
    "claim",
    "what",
    "printed (%)",
    "ours (%)",
    "95 % interval",
    "n",
    "verdict",
    "study",
)
ACCURACIES_CAPTION = (
    "Accuracies in percent, in the order of the sources. Ours: the mean over n runs as they ended, "
    "with its 95 % interval over replicates; n/c: those of them that did not converge. A printed "
    "value is one run: the verdict compares it with the spread of single runs, not with that "
    "interval."
)
NUMBER = re.compile(r"\d+\.\d+")
NOTHING = ("", "–", "-")


def accuracies(found: Sequence[Answer], ledger: Sequence[PrintedClaim]) -> Table | None:
    """One row per printed accuracy; one without runs has its reason as a note.

    None where no study of the report answers any of them.
    """
    place = {claim.claim_id: number for number, claim in enumerate(ledger)}
    shown = [answer for answer in found if is_accuracy(answer.claim)]
    shown.sort(key=lambda answer: place.get(answer.claim.claim_id, len(place)))
    if all(not answer.interval.n for answer in shown):
        return None
    notes = Notes()
    rows = tuple(_row(answer, notes) for answer in shown)
    title = "Every printed accuracy"
    return Table(
        "accuracies", title, ACCURACIES_CAPTION, (ACCURACIES_HEADER,), rows, tuple(notes.texts)
    )


def is_accuracy(claim: PrintedClaim) -> bool:
    """Whether the ledger calls it an accuracy, and the source prints one: no curve, no gap."""
    named = "accuracy" in claim.about
    return named and not claim.updates and claim.shown not in NOTHING


def percent(text: str) -> str:
    """A printed text with its shares in percent, in the source's digits: 0.9750 is 97.50."""
    return NUMBER.sub(lambda match: f"{Decimal(match.group()).scaleb(2):f}", text)


def _row(answer: Answer, notes: Notes) -> tuple[Entry, ...]:
    claim, ours = answer.claim, answer.interval
    why = "" if ours.n else answer.verdict.why
    return (
        Entry(claim.claim_id),
        Entry(claim.about),
        Entry(percent(claim.shown), sortable(claim.printed)),
        Entry(_share(ours.estimate), sortable(ours.estimate)),
        Entry(_bounds(ours.low, ours.high), sortable(ours.low)),
        Entry(f"{ours.n}, n/c {answer.nc}" if answer.nc else str(ours.n), float(ours.n)),
        Entry(answer.verdict.word, notes=notes.number(why)),
        Entry(answer.study or DASH),
    )


def _share(value: float) -> str:
    return f"{100 * value:.2f}" if isfinite(value) else DASH


def _bounds(low: float, high: float) -> str:
    return f"[{_share(low)}, {_share(high)}]" if isfinite(low) else DASH


WITHOUT_PRINTED = "nothing printed"


@styled()
def verdicts(study: Study, *, ax: Axes | None = None) -> Axes:
    """One bar for each verdict on the printed values, and one for checks without such a value."""
    counts = Counter(answer.verdict.word for answer in answers([study]))
    claims = study.declaration.claims
    counts[WITHOUT_PRINTED] = sum(not claims.get(cell.cell) for cell in study.declaration.cells)
    ordered = [(word, count) for word, count in counts.most_common() if count]
    ax = new_axes(ax, height=0.7 + 0.22 * len(ordered))
    bars = ax.barh([word for word, _ in ordered], [count for _, count in ordered], color=COLOURS[0])
    ax.bar_label(bars, padding=2, fontsize=6.5)
    ax.invert_yaxis()
    ax.margins(x=0.1)
    ax.set_xlabel("printed values, or checks without one")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(visible=False, axis="y")
    return ax


NUMBERED = re.compile(r"value_(\d+)")
CHECKS_SAY = (
    "Every number that each check gave, in its order: counts in full, others with four significant "
    "digits. Beside them what is printed, as the source writes it; the verdicts stand in the table "
    "of claims."
)


def checks_table(study: Study) -> Table:
    """One row for each check: what it is of, all of its numbers, and what is printed."""
    notes, declaration = Notes(), study.declaration
    factors = telling(declaration)
    finished = study.frame[study.frame["status"] == Status.FINISHED]
    runs = {str(row["cell"]): row for row in finished[::-1].to_dict("records")}
    reasons = dict(zip(study.cells["cell"], study.cells["reason"], strict=True))
    rows = []
    for cell in declaration.cells:
        numbers = _numbers(runs.get(cell.cell, {}))
        claims = declaration.claims.get(cell.cell, ())
        levels = [cell.factors.get(factor.name, ABSENT) for factor in factors] or [cell.cell]
        rows.append(
            (
                *(Entry(level) for level in levels),
                Entry(_joined(claim.about for claim in claims)),
                Entry(
                    ", ".join(numbers) or DASH,
                    notes=notes.number(str(reasons[cell.cell])),
                    cell=cell.cell,
                ),
                Entry(_joined(claim.shown for claim in claims)),
            )
        )
    names = [factor.label for factor in factors] or ["cell"]
    header = (*names, "what", "numbers", "printed")
    return Table(
        "checks",
        "Every number of every check",
        CHECKS_SAY,
        (header,),
        tuple(rows),
        tuple(notes.texts),
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
