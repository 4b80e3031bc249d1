"""The table of a study that computes: every number of every check.

In: a Study whose runs are checks. Out: a `Table` with one row for each check; numbers of different
things are neither averaged nor ranked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isinf, isnan
from typing import Any

from ablation_lab.report.layout import ABSENT, telling
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Notes, Table
from ablation_lab.report.wording import DASH, plain_text
from ablation_lab.study.record import Status

VALUE = re.compile(r"value_(\d+)")
SAYS = (
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
        "checks", "Every number of every check", SAYS, (header,), tuple(rows), tuple(notes.texts)
    )


def _numbers(run: Mapping[Any, Any]) -> list[str]:
    """The numbers of a check in their order; a run that gave none has none."""
    known = {
        int(found[1]): float(value)
        for name, value in run.items()
        if (found := VALUE.fullmatch(str(name))) and not isnan(value)
    }
    return [_text(known.get(i)) for i in range(max(known, default=-1) + 1)]


def _text(value: float | None) -> str:
    return str(value) if value is not None and isinf(value) else plain_text(value)


def _joined(texts: Iterable[str]) -> str:
    """Different texts, each once."""
    return "; ".join(dict.fromkeys(filter(None, texts))) or DASH
