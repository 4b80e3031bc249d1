"""What a study found and what went wrong, in sentences.

In: a Study. Out: plain sentences whose every number stands in its frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Table
from ablation_lab.report.wording import decimals, estimate_text, metric_label
from ablation_lab.statistics.comparisons import Standing

NAMED_CELLS = 3


def abstract(
    studies: Sequence[Study], totals: Sequence[int], verdicts: Table | None, *, untrained: str = ""
) -> tuple[str, ...]:
    """The run counts, what was not trained, the verdicts on printed values."""
    declared, finished, nc, failed, missing, skipped, extra = totals
    many = "1 study declares" if len(studies) == 1 else f"{len(studies)} studies declare"
    rest = (
        (failed, "failed"),
        (missing, "are missing"),
        (skipped, "were skipped with a reason"),
        (extra, "more are stored that nobody declares"),
    )
    lost = "".join(f", {count:,} {what}" for count, what in rest if count)
    said = [
        f"{many} {declared:,} runs: {finished:,} finished ({nc:,} of them did not converge){lost}."
    ]
    said += [untrained] if untrained else []
    if verdicts is not None and verdicts.rows:
        words = ", ".join(f"{row[1].text} {row[0].text}" for row in verdicts.rows)
        said.append(f"Printed values against the spread of our single runs: {words}.")
    return tuple(said)


def findings(studies: Sequence[Study]) -> tuple[str, ...]:
    """What each study found, after its title."""
    found = ((study.declaration.title, finding(study)) for study in studies)
    return tuple(f"{title}: {text}" for title, text in found if text)


def finding(study: Study) -> str:
    """The best cell in one sentence, and whether a test sets it apart; empty without results."""
    declaration = study.declaration
    cells = study.cells.dropna(subset=["estimate"])
    if cells.empty or declaration.computes:
        return ""
    if (cells["nc"] == cells["finished"]).all():
        return "No finished run converged."
    ordered = cells.sort_values(
        "estimate", ascending=not declaration.higher_is_better, kind="stable"
    )
    row = {str(name): value for name, value in ordered.iloc[0].items()}
    text = estimate_text(row, declaration, digits=decimals(study.cells, declaration))
    metric, named = metric_label(declaration), _named(study, str(row["cell"]))
    if len(cells) == 1:
        return f"{metric[:1].upper()}{metric[1:]} of {named}: {text}."
    word = "Highest" if declaration.higher_is_better else "Lowest"
    equal = int((cells["estimate"] == row["estimate"]).sum())
    if equal > 1:
        best = f"{word} {metric}: {text} in {equal} of {len(cells)} cells alike, such as {named}."
    elif row["n"] == 1:
        best = f"{word} {metric}: {text} for {named}, of one run and so without a test."
    else:
        apart = "better than the runner-up" if row["best"] else "not set apart from the runner-up"
        best = f"{word} {metric}: {text} for {named}, {apart} by the corrected test."
    return " ".join(filter(None, (best, against_baseline(study))))


def against_baseline(study: Study) -> str:
    """How the other cells compare with the baseline, counted by verdict; empty without one."""
    counts = Counter(made.standing for made in study.comparisons)
    said = ", ".join(f"{counts[word]} {word.value}" for word in Standing if counts[word])
    return f"Against the baseline: {said}." if said else ""


def problems(study: Study) -> tuple[str, ...]:
    """Everything that a reader must know before believing the tables, in plain sentences."""
    said = list(study.problems)
    if not study.experiment_id:
        said.append(f"The store has no experiment {study.name}.replicates: no run was started.")
    said += [f"{e.cell}: excluded: {e.reason}" for e in study.declaration.excluded]
    if len(study.extra):
        cells = ", ".join(sorted(set(study.extra["cell"])))
        said.append(
            f"{len(study.extra)} stored runs have a key that is not declared (the study or its "
            f"code changed since); not used: {cells}"
        )
    return tuple(said)


def without_result(study: Study) -> tuple[str, ...]:
    """Which cells lack runs, and why, one sentence for each reason."""
    by_reason: dict[str, list[str]] = {}
    for row in study.cells.to_dict("records"):
        if row["reason"]:
            by_reason.setdefault(str(row["reason"]), []).append(str(row["cell"]))
    return tuple(f"{_several(cells)}: {reason}" for reason, cells in by_reason.items())


def _several(cells: Sequence[str]) -> str:
    if len(cells) <= NAMED_CELLS:
        return "; ".join(cells)
    return f"{'; '.join(cells[:NAMED_CELLS])} and {len(cells) - NAMED_CELLS} more cells"


def _named(study: Study, cell: str) -> str:
    """The cell by the labels of its factors."""
    factors = {c.cell: c.factors for c in study.declaration.cells}[cell]
    labels = {f.name: f.label for f in study.declaration.factors}
    return ", ".join(f"{labels[name]} {level}" for name, level in factors.items()) or cell
