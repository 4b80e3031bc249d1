"""Tables as data: what stands where, before any format.

In: a Study. Out: `Table` objects whose entries know their text, their sort value, their notes and
the cell they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from ablation_lab.report.effects import credits_table, effects_table, shares_table
from ablation_lab.report.formatting import (
    DASH,
    bounds_text,
    caption,
    decimals,
    estimate_text,
    label_of,
    measured_text,
    metric_label,
    not_converged_text,
    number,
    printed_text,
    share_text,
    sortable,
    value_text,
)
from ablation_lab.report.language import msgid, tr, tr_known, trs
from ablation_lab.report.layout import header, level_columns, levels_of, narrow
from ablation_lab.report.reference_tables import checks_table, values_table
from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import (
    answers_table,
    attribution_table,
    comparisons_table,
)
from ablation_lab.report.table_items import cell_errors, items_sentence, items_table
from ablation_lab.report.table_survival import survival_table
from ablation_lab.report.table_tasks import tasks_sentence, tasks_table
from ablation_lab.report.table_training import (
    differs,
    gradients_table,
    has_steps,
    parameters_table,
    steps_table,
)
from ablation_lab.report.tabular import Entry, Notes, Table, numeric
from ablation_lab.statistics.outcomes import further_estimates
from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.metric import Metric

SAME = msgid("same cell")  # in further columns of a cell to which their factor does not apply


def tables_for(study: Study) -> list[Table]:
    """The tables of a study: the pivot, every cell with all its numbers, and what else applies.

    Checks compute numbers of different things, which have one table of their own.
    """
    computes = study.declaration.computes
    made = [checks_table(study)] if computes else [pivot_table(study), cell_table(study)]
    made += [table(study) for applies, table in FURTHER if applies(study)]
    return made


def pivot_table(study: Study) -> Table:
    """The study in its layout; what was not run stays as a dash with its reason."""
    declaration, notes, made = study.declaration, Notes(), narrow(study.declaration)
    digits = decimals(study.cells, declaration)
    summaries = {str(row["cell"]): row for row in _records(study)}

    def entry(down: tuple[str, ...], across: tuple[str, ...]) -> Entry:
        place = made.places.get((down, across))
        if place is None:
            return Entry("")
        if place.cell in summaries:
            return cell_entry(summaries[place.cell], declaration, digits=digits, notes=notes)
        return Entry(DASH, notes=notes.number(tr("excluded: {excluded}", excluded=place.excluded)))

    said = (caption(declaration), items_sentence(study), tasks_sentence(study))
    return Table.of(
        "main",
        declaration.title,
        caption=" ".join(filter(None, said)),
        header=header(declaration, made, metric_label(declaration)),
        rows=[
            (*down, *_said_once([entry(down, across) for across in made.across]))
            for down in made.down
        ],
        notes=notes,
    )


def _said_once(entries: list[Entry]) -> list[Entry]:
    """A cell that stands in several columns, since their factor does not apply, in full once."""
    return [
        replace(entry, text=tr(SAME), reference="", notes=(), bold=False)
        if entry.cell and entry.cell in {before.cell for before in entries[:place]}
        else entry
        for place, entry in enumerate(entries)
    ]


def cell_entry(
    row: Mapping[str, object], declaration: Declaration, *, digits: int, notes: Notes
) -> Entry:
    """The estimate of a cell with interval, not converged, reference value and notes."""
    mark, cell = _marks(row, notes), str(row["cell"])
    reference = _reference(cell, declaration)
    estimate = number(row["estimate"])
    if not isfinite(estimate):
        # A loss of runs that all diverged has no value, and their number is what there is to say.
        text = f"{DASH}, {not_converged_text(row)}" if row["not_converged"] else DASH
        return Entry(text, notes=mark, cell=cell, reference=reference)
    text = estimate_text(row, declaration, digits=digits)
    return Entry(text, estimate, bold=bool(row["best"]), notes=mark, cell=cell, reference=reference)


def cell_table(study: Study) -> Table:
    """Every declared cell with its counts and interval."""
    declaration, notes = study.declaration, Notes()
    digits = decimals(study.cells, declaration)
    columns = (
        metric_label(declaration),
        *trs("95 % interval", "method", "n", "not converged", "not finite", "mean of converged"),
    )  # fmt: skip
    further = further_entries(study, digits=digits)
    more = [label_of(metric) for metric in declaration.metrics[1:]] if further else []
    return Table.of(
        "cells",
        tr("Every cell"),
        caption=f"{caption(declaration, columns=True)} {items_sentence(study)}".strip(),
        header=((*level_columns(declaration), *columns, *more),),
        rows=[
            (
                *_levels(declaration, cell),
                *_numbers(row, declaration, digits=digits, notes=notes),
                *further.get(cell.cell, ()),
            )
            for cell, row in zip(declaration.cells, _records(study), strict=True)
        ],
        notes=notes,
    )


def _levels(declaration: Declaration, cell: Cell) -> tuple[str, ...]:
    *others, last = levels_of(declaration, cell)
    return (*others, tr("{last}, its members", last=last) if cell.trains_members else last)


def further_entries(study: Study, *, digits: int) -> dict[str, list[Entry]]:
    """Per cell its means of the further metrics, each with its interval; empty without any."""
    estimates = further_estimates(study.frame, study.declaration)
    if estimates.empty:
        return {}
    known = {(row["cell"], row["metric"]): row for row in estimates.to_dict("records")}
    return {
        cell.cell: [
            _further(known.get((cell.cell, metric.name), {}), metric, digits=digits)
            for metric in study.declaration.metrics[1:]
        ]
        for cell in study.declaration.cells
    }


def _further(row: Mapping[Any, Any], metric: Metric, *, digits: int) -> Entry:
    middle, low, high = (
        measured_text(row.get(name), metric, digits=digits) for name in ("estimate", "low", "high")
    )
    bounds = "" if low == DASH else f" [{low}, {high}]"
    return Entry(f"{middle}{bounds} ({row.get('n', 0)})", sortable(row.get("estimate")))


def _marks(row: Mapping[str, object], notes: Notes) -> tuple[int, ...]:
    """Why a cell lacks runs, and of which kinds those are that it has."""
    return tuple(
        mark for name in ("reason", "kinds") for mark in notes.number(tr_known(str(row[name])))
    )


def _records(study: Study) -> list[dict[str, object]]:
    return [{str(k): v for k, v in row.items()} for row in study.cells.to_dict("records")]


def _reference(cell: str, declaration: Declaration) -> str:
    values = [
        printed_text(reference.printed, declaration)
        for reference in declaration.references.get(cell, ())
        if reference.printed is not None and reference.metric in ("", declaration.metric)
    ]
    return tr("reference {listed}", listed=", ".join(values)) if values else ""


def _numbers(
    row: Mapping[str, object], declaration: Declaration, *, digits: int, notes: Notes
) -> list[Entry]:
    def value(name: str) -> str:
        return value_text(row[name], declaration, digits=digits)

    main = Entry(
        value("estimate"),
        sortable(row["estimate"]),
        bold=bool(row["best"]),
        notes=_marks(row, notes),
        cell=str(row["cell"]),
    )
    bounds = bounds_text(row["low"], row["high"], declaration, digits=digits)
    return [
        main,
        Entry(bounds, sortable(row["low"])),
        Entry(tr_known(str(row["interval"]))),
        numeric(row["n"]),
        Entry(f"{row['not_converged']:,}/{row['finished']:,}", sortable(row["not_converged"])),
        Entry(share_text(row["nan_rate"]), sortable(row["nan_rate"])),
        Entry(value("converged_mean"), sortable(row["converged_mean"])),
    ]


FURTHER: tuple[tuple[Callable[[Study], bool], Callable[[Study], Table]], ...] = (
    (lambda study: bool(study.replies), answers_table),
    (lambda study: bool(study.comparisons), comparisons_table),
    # What changes are worth alone stands in the table of credits, where there is one.
    (lambda study: bool(study.attributions and not study.credits), attribution_table),
    (lambda study: bool(study.credits), credits_table),
    (lambda study: study.factorial is not None, effects_table),
    (lambda study: bool(study.shares), shares_table),
    (lambda study: not study.layers.norms.empty, gradients_table),
    (has_steps, steps_table),
    (differs, parameters_table),
    (lambda study: any(study.declaration.references.values()), values_table),
    (lambda study: study.tasks is not None, tasks_table),
    (lambda study: bool(cell_errors(study)), items_table),
    (lambda study: bool(study.survivals), survival_table),
)
