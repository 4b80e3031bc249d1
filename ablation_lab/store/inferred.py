"""What a table declares: its metrics, factors, levels, cells and baseline, from columns and names.

In: columns as they were read, and what was asked. Out: a ``Declaration``, read by the schema of
studies, so that what a study's file could not say is refused here too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.store.tables import Table
from ablation_lab.study import grid
from ablation_lab.study.declaration import MEMBERS, Declaration, Imported
from ablation_lab.study.declare import Declared, declaration_of
from ablation_lab.study.factor import FactorRole, is_number
from ablation_lab.study.metric import METRICS, Direction, Metric, MetricKind
from ablation_lab.study.names import COLUMNS, KEY, OUTCOME_COLUMNS, RUN_COLUMNS
from ablation_lab.study.reading import read_model
from ablation_lab.study.references import ReferenceValue, with_references
from ablation_lab.study.schema import Design, Study
from ablation_lab.study.selection import AS_IMPORTED

PROFILE = "imported"
# Words of a metric's name that say which way is better, and that it is a share.
SHARES = {
    *("acc", "accuracy", "auc", "auroc", "correct", "dice", "em", "f1", "iou", "miou"),
    *("precision", "recall", "success", "top1", "top5"),
}  # fmt: skip
MORE_IS_BETTER = SHARES | {
    *("bleu", "elo", "hit", "hits", "map", "mrr", "ndcg", "psnr", "r2", "return", "returns"),
    *("reward", "rouge", "score", "ssim", "win", "wins"),
}  # fmt: skip
LESS_IS_BETTER = {
    *("bpc", "bpd", "cer", "cost", "distance", "err", "error", "errors", "fid", "kl", "latency"),
    *("loss", "mae", "mape", "mse", "nll", "perplexity", "ppl", "regret", "rmse", "runtime"),
    *("seconds", "time", "wer"),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """Which columns are what. ``factors`` map a column to its label, "" for its own name.

    ``metrics`` map a column to its direction, None where its name says it; the first is compared.
    ``task`` is the factor whose levels methods are compared on, such as data sets.
    ``chance`` is the accuracy of guessing, ``rows`` and ``columns`` lay the main table out, and
    ``selection`` names the state of a run that the values are of, where that is known.
    """

    study: str
    factors: Mapping[str, str]
    metrics: Mapping[str, Direction | None]
    replicate: str = ""
    task: str = ""
    baseline: Mapping[str, object] = field(default_factory=dict)
    title: str = ""
    question: str = ""
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    design: Design = Design.FACTORIAL
    chance: float | None = None
    equivalence: float | None = None
    selection: str = AS_IMPORTED
    references: Sequence[ReferenceValue] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """Columns of a table as the lab understands them, all of its rows."""

    levels: pd.DataFrame
    cells: pd.Series[str]
    replicates: pd.Series[int]
    metrics: tuple[Metric, ...]
    values: pd.DataFrame
    paired: bool

    @property
    def factors(self) -> list[str]:
        """The names of the factors."""
        return [str(name) for name in self.levels.columns]


def factor_name(column: str) -> str:
    """Return a name beside the lab's own columns."""
    return f"{column}_" if column in COLUMNS else column


def metric_name(column: str) -> str:
    """Return the name of a metric as MLflow takes it."""
    name = column if KEY.fullmatch(column) else re.sub(r"[^/\w.\- ]+", "_", column).strip("_ ")
    return f"{name}_" if name in {*RUN_COLUMNS, *OUTCOME_COLUMNS} else name


def metric_of(
    table: Table, column: str, direction: Direction | None, values: pd.Series[float], percent: bool
) -> Metric:
    """Describe a metric by what is said of it, its name and its values."""
    name = metric_name(column)
    known = METRICS.get(name).metric if name in METRICS.names() else None
    words = set(re.split(r"[^a-z0-9]+", column.lower()))
    way = direction or (known.direction if known else _direction(table, column, words))
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise ConfigurationError(f"{table.name}: column {column!r} has no number in any row")
    is_share = percent or bool(words & SHARES) or bool(known and known.is_share)
    kind = MetricKind.PLAIN
    if is_share and finite.between(0, 1).all():
        kind = MetricKind.SHARE
    elif words & LESS_IS_BETTER and way is Direction.MINIMIZE and finite.min() >= 0:
        kind = MetricKind.LOSS
    label = "" if name == column else column
    return Metric(name=name, direction=way, kind=kind, label=label)


def _direction(table: Table, column: str, words: set[str]) -> Direction:
    up, down = bool(words & MORE_IS_BETTER), bool(words & LESS_IS_BETTER)
    if up == down:
        raise ConfigurationError(
            f"{table.name}: is more or less of {column!r} better? Its name does not say; add "
            f"--maximize or --minimize, or write {column}:maximize"
        )
    return Direction.MAXIMIZE if up else Direction.MINIMIZE


def declared(table: Table, asked: Asked, read: Read) -> Declaration:
    """Return the declaration that columns and names make. Errors: ConfigurationError."""
    levels, kinds = _grid(table, read)
    names = dict(zip(map(factor_name, asked.factors), asked.factors.items(), strict=True))
    first, *further = read.metrics
    content = {
        "title": asked.title or _title(asked),
        "question": asked.question or f"Which makes the difference in {_title(asked)}?",
        "source": f"{table.name}: {len(table.rows):,} rows",
        "metric": first.model_dump(),
        "metrics": [metric.model_dump() for metric in further],
        "run": {},
        "factors": {
            name: {
                "label": label or column,
                "levels": {level: {} for level in levels[name]},
                "role": FactorRole.TASK if column == asked.task else FactorRole.SCIENTIFIC,
            }
            for name, (column, label) in names.items()
        },
        "profiles": {PROFILE: {"replicates": int(read.cells.value_counts().max())}},
        "baseline": _baseline(table, levels, asked.baseline),
        "equivalence": asked.equivalence,
        "design": asked.design,
    }
    if asked.rows:
        content["layout"] = {
            "rows": [*map(factor_name, asked.rows)],
            "columns": [*map(factor_name, asked.columns)],
        }
    study = read_model(Study, content, table.name).model_copy(update={"name": asked.study})
    study = with_references(study, asked.references)
    if _is_one_at_a_time(study, kinds):
        study = study.model_copy(update={"design": Design.ONE_AT_A_TIME})
    cells = tuple(
        grid.Cell(
            name=name, factors=factors, config={}, replicates=1, implicit=name.endswith(MEMBERS)
        )
        for name, factors in kinds.items()
    )
    made = declaration_of(Declared(study, PROFILE, cells, ()), asked.provenance)
    of = Imported(
        file=table.name, checksum=table.checksum, rows=len(table.rows), paired=read.paired
    )
    return made.model_copy(
        update={"imported": of, "selection": asked.selection, "chance": asked.chance}
    )


def _title(asked: Asked) -> str:
    *others, last = asked.factors
    said = f"{', '.join(others)} and {last}" if others else last
    return f"{next(iter(asked.metrics))} by {said}"


def _grid(table: Table, read: Read) -> tuple[dict[str, list[str]], dict[str, dict[str, str]]]:
    """Return the levels of each factor, and those of each cell, in the order of tables.

    A table that was written cell by cell has the order that its author wanted. In another one
    levels that are numbers ascend.
    """
    kinds = _kinds(read)
    as_written = int((read.cells != read.cells.shift()).sum()) == len(kinds)
    levels = {name: _levels(table, name, read, as_written) for name in read.factors}
    if not as_written:
        place = {name: {level: i for i, level in enumerate(of)} for name, of in levels.items()}
        ordered = sorted(
            kinds.items(), key=lambda kind: [place[n].get(x, -1) for n, x in kind[1].items()]
        )
        kinds = dict(ordered)
    cut = {cell: {n: x for n, x in of.items() if x} for cell, of in kinds.items()}
    return levels, cut


def _kinds(read: Read) -> dict[str, dict[str, str]]:
    """Return the levels of each cell, "" where a factor has none."""
    first = read.levels[~read.cells.duplicated()]
    rows = first.itertuples(index=False, name=None)
    named = [dict(zip(read.factors, map(str, row), strict=True)) for row in rows]
    return dict(zip(read.cells.loc[first.index], named, strict=True))


def _levels(table: Table, name: str, read: Read, as_written: bool) -> list[str]:
    found = [str(level) for level in read.levels[name].unique() if level]
    if not found:
        raise ConfigurationError(f"{table.name}: column {name!r} has no value in any row")
    ascends = not as_written and all(map(is_number, found))
    return sorted(found, key=float) if ascends else found


def _baseline(
    table: Table, known: Mapping[str, Sequence[str]], given: Mapping[str, object]
) -> dict[str, str]:
    """Return the baseline's levels as they are labelled: 0.1 is .1. Errors name the nearest."""
    found = {}
    for column, value in given.items():
        name = factor_name(column)
        if name not in known:
            raise ConfigurationError(
                f"{table.name}: baseline: unknown factor {name!r}; {nearest(name, known)}"
            )
        level = next((each for each in known[name] if equal_levels(each, str(value))), None)
        if level is None:
            raise ConfigurationError(
                f"{table.name}: baseline: {name}: unknown level {value!r}; "
                f"{nearest(value, known[name])}"
            )
        found[name] = level
    return found


def equal_levels(level: str, given: str) -> bool:
    """Whether two labels are of one level: equal numbers, the same text, the same truth."""
    if is_number(level) and is_number(given):
        return float(level) == float(given)
    return level == given or level.lower() == given.lower() in ("true", "false")


def _is_one_at_a_time(study: Study, kinds: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether every cell is the full model, or it with one change."""
    varied = {factor.name for factor in study.factors if len(factor.levels) > 1}
    return (
        study.design is Design.FACTORIAL
        and len(varied) > 1
        and varied <= set(study.baseline)
        and all(
            sum(of.get(name) != study.baseline[name] for name in varied) <= 1
            for of in kinds.values()
        )
    )
