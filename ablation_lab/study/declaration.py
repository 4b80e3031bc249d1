"""What a study declared, before anything ran.

In: the JSON text of a `declaration.json` artifact. Out: frozen dataclasses. Every table of the
report is left-joined on the cells and runs named here, so that nothing that was declared can
vanish.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ablation_lab.study.datasets import DataSet
from ablation_lab.study.printed import PrintedClaim, claim
from ablation_lab.study.selection_rules import SELECTIONS, Tuning

RUN_COLUMNS = ("study", "cell", "replicate", "run_id", "status")
OUTCOME_COLUMNS = ("nc_rule", "nc_recorded", "steps", "seconds", "trainer", "device", "reason")


class DeclarationError(ValueError):
    """A declaration that cannot be read: names the store's place, the field and what to do."""


class Role(StrEnum):
    """What a factor is for."""

    SCIENTIFIC = "scientific"
    NUISANCE = "nuisance"
    FIXED = "fixed"


class Design(StrEnum):
    """How the cells of a study hang together, which decides what may be attributed to what."""

    FACTORIAL = "factorial"
    LADDER = "ladder"
    ONE_AT_A_TIME = "one_at_a_time"


@dataclass(frozen=True)
class Factor:
    """One thing that varies, with its levels in declared order."""

    name: str
    role: Role
    label: str
    levels: tuple[str, ...]

    @property
    def numeric(self) -> bool:
        """Whether every level reads as a number."""
        return all(_is_number(level) for level in self.levels)


@dataclass(frozen=True)
class DeclaredRun:
    """One replicate of a cell and the key under which its run is stored."""

    replicate: int
    key: str


MEMBERS = ",members"  # ends the name of a cell that only trains members of ensembles


@dataclass(frozen=True)
class Cell:
    """One combination of levels; `skipped` holds the reason where it was not to be run."""

    cell: str
    factors: Mapping[str, str]
    skipped: str | None
    runs: tuple[DeclaredRun, ...]
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> str:
        """The data set that the cell works on, empty where it needs none."""
        return str((self.config.get("data") or {}).get("name") or "")

    @property
    def trains_members(self) -> bool:
        """Whether the cell only trains members of another cell's ensembles."""
        return self.cell.endswith(MEMBERS)


@dataclass(frozen=True)
class Excluded:
    """A combination that the study rules out, with the reason."""

    cell: str
    factors: Mapping[str, str]
    reason: str


@dataclass(frozen=True)
class Layout:
    """Factor names for the rows and the columns of the pivot table."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Declaration:
    """A study as declared; `declared_text` and `parse` are inverse to each other."""

    study: str
    profile: str
    title: str
    question: str
    source: str
    setup: str
    metric: str
    higher_is_better: bool
    chance: float | None
    baseline: str | None
    selection: str
    replicates: int
    factors: tuple[Factor, ...]
    layout: Layout | None
    claims: Mapping[str, tuple[PrintedClaim, ...]]
    cells: tuple[Cell, ...]
    excluded: tuple[Excluded, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    needs: str = ""  # what it cannot be trained without, such as "an accelerator"
    design: Design = Design.FACTORIAL
    tuning: Tuning | None = None
    equivalence: float | None = None  # the band of "as good as", in the metric's own unit
    data: tuple[DataSet, ...] = ()
    # Cell -> the one that it is compared with, where the baseline names some of the factors only.
    baselines: Mapping[str, str] = field(default_factory=dict)

    @property
    def computes(self) -> bool:
        """Whether the runs compute checks: numbers of different things, which nobody ranks."""
        return self.metric == "value_0"

    @property
    def is_success(self) -> bool:
        """Whether the metric counts successes (0 or 1 per run)."""
        return self.metric == "success"

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share that tables print in percent."""
        return self.is_success or self.metric.endswith("accuracy")

    @property
    def compared(self) -> tuple[Factor, ...]:
        """The scientific factors with more than one level."""
        return tuple(f for f in self.factors if f.role is Role.SCIENTIFIC and len(f.levels) > 1)

    def baseline_of(self, cell: str) -> str | None:
        """The cell that this one is compared with: of its own other levels, or that of all."""
        return self.baselines.get(cell) if self.baselines else self.baseline

    def factor(self, name: str) -> Factor:
        """The factor of that name (KeyError if the study has none)."""
        return {f.name: f for f in self.factors}[name]


def parse(text: str, where: str) -> Declaration:
    """Read a declaration. `where` names its place for error messages.

    Raises DeclarationError for text that is not JSON, a missing field, or a factor whose name is
    also a column of the frame.
    """
    try:
        data = json.loads(text)
        declaration = _declaration(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise DeclarationError(
            f"{where}: declaration.json cannot be read: {what}; run the study again to rewrite it"
        ) from error
    _check(declaration, where)
    return declaration


def declared_text(declaration: Declaration) -> str:
    """The declaration as JSON text, sorted, so that equal declarations give equal text."""
    return json.dumps(asdict(declaration), sort_keys=True)


def _declaration(data: Mapping[str, Any]) -> Declaration:
    layout = data.get("layout")
    return Declaration(
        study=data["study"],
        profile=data["profile"],
        title=data.get("title") or data["study"],
        question=data.get("question") or "",
        source=data.get("source") or "",
        setup=data.get("setup") or "",
        metric=data["metric"],
        higher_is_better=bool(data.get("higher_is_better", True)),
        chance=_number(data.get("chance")),
        baseline=data.get("baseline"),
        selection=data.get("selection") or "last_epoch",
        replicates=int(data["replicates"]),
        factors=tuple(_factor(item) for item in data["factors"]),
        layout=Layout(_names(layout.get("rows")), _names(layout.get("columns")))
        if layout
        else None,
        claims={
            cell: tuple(claim(item) for item in items)
            for cell, items in (data.get("claims") or {}).items()
        },
        cells=tuple(_cell(item) for item in data["cells"]),
        excluded=tuple(
            Excluded(item["cell"], _levels(item.get("factors")), item["reason"])
            for item in data.get("excluded") or ()
        ),
        provenance=data.get("provenance") or {},
        needs=data.get("needs") or "",
        design=Design(data.get("design") or Design.FACTORIAL),
        tuning=Tuning(**data["tuning"]) if data.get("tuning") else None,
        equivalence=_number(data.get("equivalence")),
        data=tuple(DataSet(**item) for item in data.get("data") or ()),
        baselines=_levels(data.get("baselines")),
    )


def _factor(item: Mapping[str, Any]) -> Factor:
    return Factor(
        name=item["name"],
        role=Role(item["role"]),
        label=item.get("label") or item["name"],
        levels=tuple(str(level) for level in item["levels"]),
    )


def _cell(item: Mapping[str, Any]) -> Cell:
    runs = tuple(DeclaredRun(int(run["replicate"]), str(run["key"])) for run in item["runs"])
    return Cell(
        item["cell"], _levels(item["factors"]), item.get("skipped"), runs, item.get("config") or {}
    )


def _levels(factors: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(level) for name, level in (factors or {}).items() if level is not None}


def _names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check(declaration: Declaration, where: str) -> None:
    if declaration.selection not in SELECTIONS:
        raise DeclarationError(
            f"{where}: unknown selection {declaration.selection!r}; known: {', '.join(SELECTIONS)}"
        )
    names = [factor.name for factor in declaration.factors]
    taken = sorted({*RUN_COLUMNS, *OUTCOME_COLUMNS, declaration.metric} & set(names))
    if taken:
        raise DeclarationError(
            f"{where}: factor {taken[0]!r} has the name of a column of the frame; rename the factor"
        )
    cells = [cell.cell for cell in declaration.cells]
    if twice := sorted({cell for cell in cells if cells.count(cell) > 1}):
        raise DeclarationError(f"{where}: cell {twice[0]!r} is declared twice; declare it once")
    if declaration.baseline is not None and declaration.baseline not in cells:
        raise DeclarationError(
            f"{where}: baseline {declaration.baseline!r} is no declared cell; name one of the cells"
        )
    if lost := sorted({*declaration.baselines, *declaration.baselines.values()} - set(cells)):
        raise DeclarationError(
            f"{where}: baselines name {lost[0]!r}, which is no declared cell; name the cells"
        )
    for cell in declaration.cells:
        if unknown := sorted(set(cell.factors) - set(names)):
            raise DeclarationError(
                f"{where}: cell {cell.cell!r} has a level of {unknown[0]!r}, which is no declared "
                f"factor; declared: {', '.join(names)}"
            )
        for name, level in cell.factors.items():
            if level not in (levels := declaration.factor(name).levels):
                raise DeclarationError(
                    f"{where}: cell {cell.cell!r} has {name}={level!r}; declared levels: "
                    f"{', '.join(levels)}"
                )
