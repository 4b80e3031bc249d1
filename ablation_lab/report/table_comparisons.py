"""Tables of tests: every cell against the baseline, and what single changes are worth.

In: a Study. Out: `Table` objects. A difference stands with its interval, its n, the corrected p,
the smallest p that was in reach, and a verdict.
"""

from __future__ import annotations

import pandas as pd

from ablation_lab.report.formatting import (
    baseline_caption,
    bounds_text,
    comparison_caption,
    decimals,
    difference_text,
    p_text,
    sortable,
)
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Notes, Table
from ablation_lab.statistics.comparisons import Comparison
from ablation_lab.statistics.outcomes import Outcomes
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.schema import Design

COLUMNS = ("difference", "95 % interval", "n", "p (Holm)", "least p", "verdict")


def comparisons_table(study: Study) -> Table:
    """Every cell minus its baseline, which every row names where there are several."""
    several = bool(study.declaration.baselines)
    notes, digits = Notes(), decimals(study.cells, study.declaration)
    tests = len(study.comparisons)
    rows = [
        (
            Entry(made.first.cell, cell=made.first.cell),
            *([Entry(made.second.cell, cell=made.second.cell)] if several else []),
            *comparison_entries(made, study.declaration, digits=digits, notes=notes, tests=tests),
        )
        for made in study.comparisons
    ]
    return Table(
        name="comparisons",
        title="Against the baseline",
        caption=_caption(study.declaration),
        header=(("cell", *(("minus",) if several else ()), *COLUMNS),),
        rows=tuple(rows),
        notes=tuple(notes.texts),
    )


def _caption(declaration: Declaration) -> str:
    if not declaration.baselines:
        return baseline_caption(declaration)
    return (
        "Each cell minus the one that has the baseline's levels and otherwise its own. "
        f"{comparison_caption(declaration)}"
    )


def contrasts(study: Study) -> pd.DataFrame:
    """Every contrast of a study, one row each: those with the baseline, else those of its steps."""
    made = study.comparisons or [each.comparison for each in study.attributions]
    rows = [
        {
            "study": study.name,
            "contrast": f"{each.first.cell} - {each.second.cell}",
            "metric": study.declaration.metric,
            "n": each.difference.interval.n,
            "difference": each.difference.interval.estimate,
            "low": each.difference.interval.low,
            "high": each.difference.interval.high,
            "p": each.p_holm,
            "least_p": each.least_p,
            "p_equivalence": each.p_equivalence,
            "verdict": each.verdict,
            "needs": each.needs,
        }
        for each in made
    ]
    return pd.DataFrame(rows).astype({"needs": "Int64"}) if rows else pd.DataFrame()


def attribution_table(study: Study) -> Table:
    """Each step of a ladder minus the one before, or each single change of the baseline."""
    declaration, notes = study.declaration, Notes()
    digits, tests = decimals(study.cells, declaration), len(study.attributions)
    rows = [
        (
            Entry(declaration.factor(made.change.factor).label),
            Entry(made.change.before, cell=made.change.reference),
            Entry(made.change.after, cell=made.change.cell),
            *comparison_entries(
                made.comparison, declaration, digits=digits, notes=notes, tests=tests
            ),
        )
        for made in study.attributions
    ]
    ladder = declaration.design is Design.LADDER
    says = (
        "Gain of each step over the step before; a step that changes several things is not the "
        "effect of its name."
        if ladder
        else f"One factor at a time changed from {declaration.baseline}, all others held there."
    )
    return Table(
        name="attribution",
        title="Gain of each step" if ladder else "One change at a time",
        caption=f"{says} {comparison_caption(declaration)}",
        header=(("factor", "from", "to", *COLUMNS),),
        rows=tuple(rows),
        notes=tuple(notes.texts),
    )


def comparison_entries(
    made: Comparison, declaration: Declaration, *, digits: int, notes: Notes, tests: int
) -> list[Entry]:
    """The entries of `COLUMNS` for one comparison of a family of so many tests."""
    interval = made.difference.interval
    text = difference_text(interval.estimate, declaration, digits=digits)
    bounds = bounds_text(interval.low, interval.high, declaration, digits=digits)
    lacking = notes.number(_lacking(made, declaration))
    unreachable = notes.number(_unreachable(made, tests) if made.out_of_reach else "")
    return [
        Entry(text, sortable(interval.estimate), notes=lacking),
        Entry(bounds, sortable(interval.low)),
        Entry(str(interval.n), float(interval.n)),
        Entry(p_text(made.p_holm), sortable(made.p_holm)),
        Entry(p_text(made.least_p), sortable(made.least_p), notes=unreachable),
        Entry(made.verdict),
    ]


def _unreachable(made: Comparison, tests: int) -> str:
    family = f" after Holm's correction over {tests} tests" if tests > 1 else ""
    return (
        f"with n = {made.difference.interval.n} no result could have reached the 5 % level{family}"
    )


def _lacking(made: Comparison, declaration: Declaration) -> str:
    """What a difference of converged runs does not show."""
    pair = (made.first, made.second)
    if not all(each.finished for each in pair):
        return "one of the two has no finished run"
    if declaration.is_success or not any(each.not_converged for each in pair):
        return ""
    counts = " against ".join(_nc(each) for each in pair)
    return f"not converged {counts}; only replicates that converged in both are compared"


def _nc(found: Outcomes) -> str:
    return f"{found.not_converged}/{found.finished}"
