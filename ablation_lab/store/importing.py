"""Results that exist become a study like any other: a declaration, and a tidy frame of runs.

In: a ``Table`` of somebody else's, and which of its columns are what. Out: an ``ImportedStudy``.
Every row is a run: failed where it has no value, not converged where its value is not finite.
Replicates are paired where every cell has the same ones; else the tests are unpaired, which the
report says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.store.frame import ACCURACY_MARGIN, typed
from ablation_lab.store.inferred import (
    PROFILE,
    Asked,
    Read,
    declared,
    factor_name,
    metric_name,
    metric_of,
)
from ablation_lab.store.tables import Table, is_nothing, labels, numbers
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.names import RUN_COLUMNS
from ablation_lab.study.record import NoConvergence, Status

MOST_CELLS = 5_000
ENDED = {
    **dict.fromkeys(("finished", "complete", "completed", "done", "success"), Status.FINISHED),
    **dict.fromkeys(("failed", "fail", "crashed", "error", "pruned", "preempted"), Status.FAILED),
    **dict.fromkeys(("missing", "running", "killed", "scheduled", "waiting"), Status.MISSING),
    "skipped": Status.SKIPPED,
}


@dataclass(frozen=True)
class ImportedStudy:
    """A declared study and the runs that it was made of; ``curves`` as the store's are."""

    declaration: Declaration
    frame: pd.DataFrame
    curves: pd.DataFrame


def imported(table: Table, asked: Asked) -> ImportedStudy:
    """Read a table as a study. Errors: ConfigurationError with column and row."""
    _validate_names(table, asked)
    read = _read(table, asked)
    declaration = declared(table, asked, read)
    frame = typed(_runs(table, asked, read, declaration), declaration)
    return ImportedStudy(declaration, frame, _curves(table, frame))


def _validate_names(table: Table, asked: Asked) -> None:
    if not asked.factors or not asked.metrics:
        lacking = "metric" if asked.factors else "factor"
        raise ConfigurationError(
            f"{table.name}: expected at least one {lacking}, found none; columns: "
            f"{', '.join(table.names)}"
        )
    if asked.task and asked.task not in asked.factors:
        raise ConfigurationError(
            f"{table.name}: task {asked.task!r} is no factor; {nearest(asked.task, asked.factors)}"
        )
    wanted = [*asked.factors, *asked.metrics, *filter(None, [asked.replicate])]
    for name in wanted:
        table.column(name)
        if wanted.count(name) > 1:
            raise ConfigurationError(f"{table.name}: column {name!r} is asked for twice")


def _read(table: Table, asked: Asked) -> Read:
    found = {name: labels(table, name) for name in asked.factors}
    levels = pd.DataFrame({factor_name(name): of for name, of in found.items()})
    measured = {name: numbers(table, name) for name in asked.metrics}
    values = pd.DataFrame({metric_name(name): of for name, (of, _) in measured.items()})
    metrics = tuple(
        metric_of(table, name, asked.metrics[name], values[metric_name(name)], percent)
        for name, (_, percent) in measured.items()
    )
    cells = _cells(table, levels)
    replicates, paired = _replicates(table, asked, cells)
    return Read(levels, cells, replicates, metrics, values, paired)


def _cells(table: Table, levels: pd.DataFrame) -> pd.Series[str]:
    """Return the name of each row's cell: of its levels, or that of the lab's own runs.csv."""
    if set(RUN_COLUMNS) <= set(table.names):
        return table.column("cell")
    groups = levels.groupby(list(levels), sort=False)
    kinds = levels.loc[groups.head(1).index]
    if len(kinds) > MOST_CELLS:
        raise ConfigurationError(
            f"{table.name}: {len(kinds):,} combinations of {', '.join(map(str, levels))}; expected "
            f"at most {MOST_CELLS:,}; name only factors that were varied on purpose"
        )
    names = [
        ",".join(f"{name}={level}" for name, level in row.items() if level) or "all"
        for row in kinds.to_dict("records")
    ]
    return groups.ngroup().map(dict(enumerate(names)))


def _replicates(table: Table, asked: Asked, cells: pd.Series[str]) -> tuple[pd.Series[int], bool]:
    """Return each row's replicate, and whether every cell has the same ones.

    Errors: ConfigurationError for two rows of one cell and replicate.
    """
    counted = cells.groupby(cells, sort=False).cumcount()
    if not asked.replicate:
        return counted, False
    given = labels(table, asked.replicate)
    if (given == "").any():
        return counted, False
    twice = pd.DataFrame({"cell": cells, "given": given}).duplicated(keep=False)
    if twice.any():
        raise _doubled(table, asked, cells[twice], given[twice])
    per_cell = cells.value_counts()
    paired = per_cell.nunique() == 1 and given.nunique() == per_cell.iloc[0]
    return _whole(given), bool(paired)


def _doubled(
    table: Table, asked: Asked, cells: pd.Series[str], given: pd.Series[str]
) -> ConfigurationError:
    same = (cells == cells.iloc[0]) & (given == given.iloc[0])
    first, second, *_ = table.rows[same[same].index]
    others = len(cells) - int(same.sum())
    more = f", and {others} more rows are doubled" if others else ""
    return ConfigurationError(
        f"{table.name}: {first} and {second} are both {cells.iloc[0]}, "
        f"{asked.replicate}={given.iloc[0]}{more}; keep one of each, or name the column that tells "
        "them apart among the factors"
    )


def _whole(given: pd.Series[str]) -> pd.Series[int]:
    """Return replicates as whole numbers: those given, or the order in which names appear."""
    found = pd.to_numeric(given, errors="coerce")
    if found.notna().all() and (found % 1 == 0).all() and (found.abs() < 2**53).all():
        return found.astype("int64")
    return pd.Series(pd.factorize(given)[0], index=given.index)


def _runs(table: Table, asked: Asked, read: Read, declaration: Declaration) -> pd.DataFrame:
    """Return a row for each run in the order of the declared cells, with what became of it."""
    own = set(RUN_COLUMNS) <= set(table.names)
    primary = read.values[read.metrics[0].name]
    runs = pd.DataFrame(
        {
            "study": asked.study,
            "cell": read.cells,
            "replicate": read.replicates,
            "run_id": table.rows,
            **{name: of.where(of != "", None) for name, of in read.levels.items()},
            **dict(read.values.items()),
            "trainer": PROFILE,
        }
    )
    status, reason = _ended(table, asked, primary)
    rule = _rule(primary, declaration).where(status == Status.FINISHED, "")
    runs = runs.assign(status=status, reason=reason, not_converged=rule)
    runs["not_converged_recorded"] = rule
    if own:
        for name in ("not_converged", "not_converged_recorded", "reason"):
            runs[name] = table.column(name)
        for name in ("steps", "seconds", "parameters"):
            if name not in read.values:
                runs[name] = numbers(table, name)[0]
    place = {cell.cell: i for i, cell in enumerate(declaration.cells)}
    order = pd.DataFrame({"cell": runs["cell"].map(place), "replicate": runs["replicate"]})
    return runs.loc[order.sort_values(["cell", "replicate"], kind="stable").index]


def _ended(
    table: Table, asked: Asked, values: pd.Series[float]
) -> tuple[pd.Series[Any], pd.Series[str]]:
    """Return the status of each row, by a column of that name or by whether it has a value."""
    column = next(iter(asked.metrics))
    nothing = is_nothing(table.column(column))
    status = pd.Series(Status.FINISHED.value, index=values.index, dtype=object)
    reason = pd.Series("", index=values.index, dtype=object)
    status[nothing], reason[nothing] = Status.FAILED.value, f"no value of {column}"
    for name in _states(table, asked):
        said = table.column(name).astype(str).str.strip().str.lower()
        ended = said.map({word: each.value for word, each in ENDED.items()})
        lost = ended.isin([Status.FAILED, Status.MISSING, Status.SKIPPED])
        status, reason = status.mask(lost, ended), reason.mask(lost, said)
    return status, reason


def _states(table: Table, asked: Asked) -> Iterator[str]:
    """Yield the column that says how runs ended, as trackers write it."""
    for name in table.names:
        if name.lower() in ("state", "status") and name not in (*asked.factors, asked.replicate):
            words = set(table.column(name).astype(str).str.strip().str.lower().unique())
            if words <= set(ENDED):
                yield name


def _rule(values: pd.Series[float], declaration: Declaration) -> pd.Series[str]:
    """Return by which rule a run did not converge: not finite, or an accuracy of guessing."""
    rule = pd.Series("", index=values.index, dtype=object)
    chance = declaration.chance
    if chance is not None and declaration.is_share and not declaration.is_success:
        rule[values <= chance + ACCURACY_MARGIN] = NoConvergence.ACCURACY_AT_CHANCE.value
    rule[~np.isfinite(values)] = NoConvergence.NON_FINITE.value
    return rule


def _curves(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the points of curves by cell and replicate; columns as the store's."""
    runs = frame[["cell", "replicate", "run_id"]]
    joined = runs.merge(table.curves.rename(columns={"row": "run_id"}), on="run_id")
    columns = ["cell", "replicate", "run_id", "step", "value", "metric"]
    return joined.sort_values(["cell", "replicate", "step"], kind="stable", ignore_index=True)[
        columns
    ]
