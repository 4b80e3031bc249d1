"""Every printed accuracy beside ours, across all studies.

In: the answers to all claims, and the ledger in the order of its sources. Out: a `Table`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from math import isfinite

from ablation_lab.report.claims.answers import Answer
from ablation_lab.report.tabular import Entry, Notes, Table
from ablation_lab.report.wording import DASH, sortable
from ablation_lab.study.printed import PrintedClaim

HEADER = ("claim", "what", "printed (%)", "ours (%)", "95 % interval", "n", "verdict", "study")
CAPTION = (
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
    return Table("accuracies", title, CAPTION, (HEADER,), rows, tuple(notes.texts))


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
