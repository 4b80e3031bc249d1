"""What a reader should know before believing a study's tables, in sentences.

In: a Study. Out: plain sentences whose every number stands in its frame, its configurations or its
data; nothing is typed in by hand for one study.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from ablation_lab.report.language import msgid, tr, tr_known, trn
from ablation_lab.report.study import Study
from ablation_lab.statistics.factorial import too_few_in_common
from ablation_lab.statistics.planning import Procedure
from ablation_lab.store.frame import overruled
from ablation_lab.study.declaration import Cell, Declaration, Imported
from ablation_lab.study.files import flat
from ablation_lab.study.record import NoConvergence, Status
from ablation_lab.study.run import TrainerName

NAMED_CELLS = 3
MOST_SETTINGS = 6
GENERAL = (
    msgid(
        "Intervals show the spread over seeds on one fixed test set; the captions say "
        "how much another test set would add."
    ),
    msgid(
        "Settings that a study does not vary are those of its source; they were not "
        "tuned for each cell, so a cell may lose by a setting that suits it badly."
    ),
)
PRINTED = msgid(
    "A reference value is one run of unknown seed: it can contradict a recipe, not confirm it."
)
RULES: dict[str, str] = {
    NoConvergence.NON_FINITE: msgid("a loss or parameter was not finite"),
    NoConvergence.LOSS_AT_CHANCE: msgid("the final training loss was that of guessing or above it"),
    NoConvergence.ACCURACY_AT_CHANCE: msgid("the accuracy was at most five points above chance"),
}


def problems(study: Study) -> tuple[str, ...]:
    """Everything that a reader must know before believing the tables, in plain sentences."""
    said = [*map(tr_known, study.problems)]
    foreign = study.frame["trainer"] == TrainerName.IMPORTED
    if study.declaration.imported:
        said += imported_sentences(study.declaration.imported)
    elif foreign.any():
        said.append(partly_imported(study.frame.loc[foreign, "reason"], len(study.frame)))
    elif not study.experiment_id:
        said.append(
            tr(
                "The store has no experiment {name}.replicates: no run was started.",
                name=study.name,
            )
        )
    said += [
        tr("{cell}: excluded: {reason}", cell=e.cell, reason=e.reason)
        for e in study.declaration.excluded
    ]
    if len(study.extra):
        cells = ", ".join(sorted(set(study.extra["cell"])))
        said.append(
            tr(
                "{n} stored runs are of the study as it was before it or its code "
                "changed, and are not used: {cells}",
                n=len(study.extra),
                cells=cells,
            )
        )
    return tuple(said)


def imported_sentences(imported: Imported) -> Iterator[str]:
    """What a reader should know of runs that nobody here trained."""
    yield (
        tr(
            "Runs were imported from {imported}: how they were trained, and what was "
            "chosen by these values, is not known here.",
            imported=imported,
        )
    )
    if not imported.paired:
        yield (
            tr(
                "Not every cell has the same replicates, so differences are not paired: "
                "cells are compared by unpaired tests, and no effects of factors are "
                "given."
            )
        )


def partly_imported(reasons: pd.Series[str], runs: int) -> str:
    """What a reader should know of a study whose first runs somebody else trained."""
    files = dict.fromkeys(reason.rpartition(": ")[0] for reason in reasons)
    return tr(
        "{n} of {runs} runs were {files}, and count as made by what trains the others, which "
        "nobody has checked. Their seeds are not those of this study, and they may have been known "
        "when it was declared.",
        n=len(reasons), runs=runs, files=", ".join(map(tr_known, files)),
    )  # fmt: skip


def without_result(study: Study) -> tuple[str, ...]:
    """Which cells lack runs, and why, one sentence for each reason."""
    by_reason: dict[str, list[str]] = {}
    for row in study.cells.to_dict("records"):
        if row["reason"]:
            by_reason.setdefault(str(row["reason"]), []).append(str(row["cell"]))
    return tuple(f"{_several(cells)}: {tr_known(reason)}" for reason, cells in by_reason.items())


def _several(cells: Sequence[str]) -> str:
    if len(cells) <= NAMED_CELLS:
        return "; ".join(cells)
    return tr(
        "{cells} and {n} more cells",
        cells="; ".join(cells[:NAMED_CELLS]),
        n=len(cells) - NAMED_CELLS,
    )


def threats(study: Study) -> tuple[str, ...]:
    """What a reader should hold against the study's numbers."""
    said = (_unfinished, _one_run, _too_few, _tested_on_training, _rules, _effects, _confounded)
    return tuple(sentence for look in said for sentence in look(study))


def confounded(declaration: Declaration) -> dict[str, tuple[str, ...]]:
    """Per step between neighbouring levels, 'factor: a → b', the settings that change: if several.

    Neighbours are cells that differ in one factor only, by one level.
    """
    found: dict[str, tuple[str, ...]] = {}
    for factor in declaration.compared:
        for first, second in pairwise(factor.levels):
            step = f"{factor.label}: {first} → {second}"
            for one, other in _neighbours(declaration, factor.name, first, second):
                changed = changed_settings(one.config, other.config)
                if len(changed) > 1:
                    found.setdefault(step, changed)
    return found


def changed_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, ...]:
    """The dotted names of the settings in which two configurations differ."""
    one, other = dict(flat(first)), dict(flat(second))
    return tuple(sorted(k for k in {*one, *other} if one.get(k) != other.get(k)))


def common_settings(declaration: Declaration) -> dict[str, Any]:
    """The settings that all cells of a study share."""
    each = [dict(sorted(flat(cell.config))) for cell in declaration.cells if cell.config]
    if not each:
        return {}
    return {
        name: value
        for name, value in each[0].items()
        if value is not None and all(name in c and c[name] == value for c in each)
    }


def _neighbours(
    declaration: Declaration, factor: str, first: str, second: str
) -> Iterator[tuple[Cell, Cell]]:
    cells = {
        tuple(sorted(cell.factors.items())): cell
        for cell in declaration.cells
        if not cell.trains_members
    }
    for levels, cell in cells.items():
        if (factor, first) in levels:
            wanted = tuple(sorted({**dict(levels), factor: second}.items()))
            if wanted in cells:
                yield cell, cells[wanted]


def _unfinished(study: Study) -> Iterator[str]:
    status = study.frame["status"]
    lost = int(status.isin([Status.MISSING, Status.FAILED]).sum())
    needed = int((status != Status.NOT_NEEDED).sum())
    if needed < len(status):
        yield (
            tr(
                "{spared} of {n} declared runs are not needed so far: their cells are "
                "decided, or not yet looked at with so many.",
                spared=len(status) - needed,
                n=len(status),
            )
        )
    if lost:
        yield (
            tr(
                "{lost} of {needed} declared runs are missing or failed; cells with few "
                "runs have wide intervals or none.",
                lost=lost,
                needed=needed,
            )
        )


def _one_run(study: Study) -> Iterator[str]:
    cells = study.cells
    one = int((cells["n"] == 1).sum())
    if one and not study.declaration.is_success:
        yield trn(
            "{n} cell has a single run: no interval, no test.",
            "{n} cells have a single run: no interval, no test.",
            one,
        )


def _too_few(study: Study) -> Iterator[str]:
    pairs = study.compared.every
    if few := [each.needs for each in pairs if each.needs]:
        yield (
            tr(
                "{few} of {n} comparisons have fewer than the {needs} replicates without "
                "which no verdict is possible.",
                few=len(few),
                n=len(pairs),
                needs=max(few),
            )
        )
    if any(each.test == Procedure.NORMAL for each in pairs):
        yield (
            tr(
                "With fewer than six replicates differences are tested by t tests, which "
                "assume normal spread."
            )
        )


def _tested_on_training(study: Study) -> Iterator[str]:
    names = [data.name for data in study.declaration.data if data.test_is_train]
    if names:
        yield (
            tr(
                "On {listed} the training set is the test set: what is called accuracy "
                "is training accuracy and says nothing about new data.",
                listed=", ".join(names),
            )
        )


def _rules(study: Study) -> Iterator[str]:
    finished = study.frame[study.frame["status"] == Status.FINISHED]
    fired = finished.loc[finished["not_converged"] != "", "not_converged"].value_counts(sort=False)
    if len(fired):
        parts = [
            tr("{n} because {why}", n=n, why=tr(RULES.get(str(rule), str(rule))))
            for rule, n in sorted(fired.items())
        ]
        text = "; ".join(parts)
        yield tr(
            "{lost} of {n} finished runs did not converge: {text}.",
            lost=fired.sum(),
            n=len(finished),
            text=text,
        )
    if count := overruled(finished):
        yield (
            tr(
                "{count} of {n} finished runs ended with a training loss above that of "
                "guessing and an accuracy well above it: they count as converged.",
                count=count,
                n=len(finished),
            )
        )


def _effects(study: Study) -> Iterator[str]:
    if said := too_few_in_common(study.outcomes, study.declaration):
        yield tr_known(said)


def _confounded(study: Study) -> Iterator[str]:
    if study.declaration.computes:
        return  # checks are no steps
    for step, names in confounded(study.declaration).items():
        more = len(names) - MOST_SETTINGS
        listed = ", ".join(names[:MOST_SETTINGS]) + (
            tr(" and {n} more", n=more) if more > 0 else ""
        )
        yield tr(
            "Confounded step, {step} changes {n} settings at once: {listed}.",
            step=step,
            n=len(names),
            listed=listed,
        )
