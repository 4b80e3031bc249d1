"""What the live page shows of a study: intervals, contrasts, throughput, cost.

Comes in: a `StudyState` and the declaration that was submitted. Goes out: a `View`, by the same
statistics as the report's, on the runs that are there so far.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import yaml

from ablation_lab.service.state import CellState, RunState, StudyState
from ablation_lab.statistics.comparisons import Comparison, compared
from ablation_lab.statistics.costs import cost_of
from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.outcomes import Outcomes, counts_at, estimate
from ablation_lab.store.frame import ACCURACY_MARGIN, load_frame
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.record import NoConvergence
from ablation_lab.study.schema import parse_study

FINISHED, FAILED = "finished", "failed"
NOTHING = Interval(math.nan, math.nan, math.nan, 0, "none")
PAGE = 100  # cells of a table
MOST = 500  # cells whose comparisons are tested again whenever runs come


@dataclass(frozen=True)
class Row:
    """A cell with its estimate so far, and where that lies between the table's ends, in percent."""

    cell: CellState
    found: Interval
    finished: int
    failed: int
    not_converged: int
    low: float = 0.0
    at: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class View:
    """The cells of a page of the table, the comparisons, and how many of them are decided."""

    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    decided: int
    cells: int


def view_of(state: StudyState, text: str, *, first: int = 0) -> View:
    """Return what is shown of a study by now, its table from a cell on."""
    whole = len(state.cells) <= MOST
    declaration = declared_by(state.study, state.profile, text, whole=whole)
    shown = state.cells[first : first + PAGE]
    tested = state.cells if whole else ()
    found = {cell.cell: outcomes_of(cell, declaration) for cell in (*tested, *shown)}
    known = tested and found.keys() >= {cell.cell for cell in declaration.cells}
    made = compared(found, declaration).every if known else ()
    return View(
        rows=placed([_row(cell, found, declaration) for cell in shown]),
        comparisons=made,
        decided=sum(each.decided for each in made),
        cells=len(state.cells),
    )


def cost_so_far(store: str, state: StudyState, text: str, made: Sequence[Comparison]) -> str:
    """Return what the runs cost that the store has, and about what the open comparisons would."""
    if len(state.cells) > MOST:
        return ""
    declaration = declared_by(state.study, state.profile, text, whole=True)
    return cost_of(load_frame(store, declaration), made, {})


@lru_cache(maxsize=32)
def declared_by(name: str, profile: str, text: str, *, whole: bool) -> Declaration:
    """Return what a submitted text declares; without its cells where they are too many to test."""
    study = parse_study(name, yaml.safe_load(text)[name])
    if whole:
        return declaration_of(declare(study, profile), {})
    return Declaration(
        study=name,
        profile=profile,
        title=study.title,
        metrics=(study.metric, *study.further),
        replicates=study.budget(profile).replicates.at_most,
        factors=study.factors,
        cells=(),
        baselines={},
        references={},
        provenance={},
    )


def outcomes_of(cell: CellState, declaration: Declaration) -> Outcomes:
    """Return what the runs of a cell gave so far, as the report counts them."""
    ended = {r: run for r, run in enumerate(cell.runs) if run.status in (FINISHED, FAILED)}
    finished = {r: run for r, run in ended.items() if run.status == FINISHED}
    return Outcomes(
        cell=cell.cell,
        values={r: _value(run, declaration) for r, run in finished.items()},
        unconverged=tuple(r for r, run in finished.items() if _lost(run, declaration)),
        ended=frozenset(ended),
        declared=len(cell.runs),
        finished=len(finished),
        failed=len(ended) - len(finished),
        missing=len(cell.runs) - len(ended),
        skipped=0,
        non_finite=sum(run.rule == NoConvergence.NON_FINITE for run in finished.values()),
        reason="",
    )


def _value(run: RunState, declaration: Declaration) -> float:
    lost = run.value is None or not math.isfinite(run.value)
    if lost or run.rule == NoConvergence.NON_FINITE:
        return counts_at(declaration.primary, declaration)
    return float(run.value or 0.0)


def _lost(run: RunState, declaration: Declaration) -> bool:
    """Whether a run counts as not converged: an accuracy decides that by itself."""
    if run.rule != NoConvergence.LOSS_AT_CHANCE or declaration.chance is None or run.value is None:
        return bool(run.rule)
    measured = declaration.is_share and not declaration.is_success
    return not (measured and run.value > declaration.chance + ACCURACY_MARGIN)


def _row(cell: CellState, found: Mapping[str, Outcomes], declaration: Declaration) -> Row:
    mine = found[cell.cell]
    shown = estimate(mine, declaration) if mine.values else NOTHING
    return Row(cell, shown, mine.finished, mine.failed, mine.not_converged)


def placed(rows: list[Row]) -> tuple[Row, ...]:
    """Return the rows with the places of their intervals between the ends of all."""
    known = [
        end
        for row in rows
        for end in (row.found.low, row.found.estimate, row.found.high)
        if math.isfinite(end)
    ]
    low, high = min(known, default=0.0), max(known, default=1.0)
    wide = (high - low) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - low) / wide, 2) if math.isfinite(value) else -1.0

    return tuple(
        Row(
            row.cell, row.found, row.finished, row.failed, row.not_converged,
            place(row.found.low), place(row.found.estimate), place(row.found.high),
        )
        for row in rows
    )  # fmt: skip
