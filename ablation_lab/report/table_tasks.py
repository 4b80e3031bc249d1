"""What holds over several tasks: a row for each method, and a sentence where it cannot be said.

In: a Study with a factor of `role: task`. Out: a Table, and the sentence of the main table.
"""

from __future__ import annotations

from math import isnan

from ablation_lab.report.formatting import DASH, p_text, sortable
from ablation_lab.report.language import tr, tr_known, trs
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Table
from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Interval
from ablation_lab.statistics.tasks import Tasks, lacking


def tasks_sentence(study: Study) -> str:
    """Why nothing is said over all tasks; empty where it is, or where there are none."""
    why = lacking(study.outcomes, study.declaration)
    return tr("Nothing is said over all tasks: {why}.", why=tr_known(why)) if why else ""


def tasks_table(study: Study) -> Table:
    """Every method over all tasks, best mean rank first."""
    made = _found(study)
    order = sorted(range(len(made.methods)), key=lambda m: made.ranks.mean[m])
    baseline = [] if made.baseline is None else [*trs("beats the baseline, %", "95 % interval")]
    return Table.of(
        "tasks",
        tr("Over all tasks"),
        caption=_caption(made, study),
        header=(
            (tr("method"), "IQM", tr("95 % interval"), tr("mean rank"), *baseline, tr("runs")),
        ),
        rows=[
            (
                made.methods[m],
                *_entries(made.iqm[m], 1 if made.scaled else 100),
                Entry(f"{made.ranks.mean[m]:.2f}", made.ranks.mean[m]),
                *(_improvement(made.improvement[m]) if baseline else ()),
                made.iqm[m].n,
            )
            for m in order
        ],
    )


def _found(study: Study) -> Tasks:
    if study.tasks is None:
        raise ValueError(f"study {study.name!r} has no tasks to be summed up")
    return study.tasks


def _entries(found: Interval, unit: float) -> list[Entry]:
    digits = 1 if unit > 1 else 3
    middle, low, high = (
        f"{unit * each:.{digits}f}" for each in (found.estimate, found.low, found.high)
    )
    bounds = DASH if isnan(found.low) else f"[{low}, {high}]"
    return [Entry(middle, sortable(found.estimate)), Entry(bounds, sortable(found.low))]


def _improvement(found: Interval | None) -> list[Entry]:
    return [Entry(tr("baseline")), Entry("")] if found is None else _entries(found, 100)


def _caption(made: Tasks, study: Study) -> str:
    label = study.declaration.primary.label or study.declaration.metric
    score = (
        tr("Scores: of each task the worst run counts 0 and the best one 1. ")
        if made.scaled
        else tr("Scores: {label} in percent. ", label=label)
    )
    beats = (
        ""
        if made.baseline is None
        else tr(
            "Beats the baseline ({baseline}): the chance that a run is better than one of "
            "the baseline's on the same task, mean over tasks; 50 is no difference. ",
            baseline=made.methods[made.baseline],
        )
    )
    return tr(
        "{methods} methods on {tasks} tasks, {runs:,} runs. {score}IQM: mean of the middle "
        "half of all scores. Intervals: runs drawn again within each task "
        "(bootstrap), so they hold for these tasks. {beats}{ranks_sentence}",
        methods=len(made.methods),
        tasks=len(made.tasks),
        runs=made.runs,
        score=score,
        beats=beats,
        ranks_sentence=ranks_sentence(made),
    )


def ranks_sentence(made: Tasks) -> str:
    """Whether ranks differ at all, and by how much two must."""
    ranks, test = made.ranks, "Friedman" if len(made.methods) > 2 else tr("sign test")
    if isnan(ranks.p):
        return tr("All methods tie on every task.")
    text = p_text(ranks.p)
    p = f"p {text}" if text.startswith("<") else f"p = {text}"
    if ranks.p >= LEVEL_OF_TESTS:
        return tr("Mean ranks do not differ over tasks ({test}, {p}).", test=test, p=p)
    return tr(
        "Mean ranks differ over tasks ({test}, {p}); those of two methods do where "
        "they lie {critical:.2f} or more apart (Nemenyi, 5 %, all pairs together).",
        test=test,
        p=p,
        critical=ranks.critical,
    )
