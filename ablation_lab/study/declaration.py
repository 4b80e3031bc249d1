"""What a study declared, before anything ran: what the store keeps and every table starts from.

In: the declared grid, or the JSON text of a `declaration.json` artifact. Out: frozen models. Every
table of the report is left-joined on the cells and runs named here, so that nothing that was
declared can vanish.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ablation_lab.study.asks import Ask
from ablation_lab.study.budget import Tuning
from ablation_lab.study.factor import Factor, FactorRole
from ablation_lab.study.former import of_today
from ablation_lab.study.metric import Metric
from ablation_lab.study.names import OUTCOME_COLUMNS, RUN_COLUMNS
from ablation_lab.study.reading import DeclarationError, sentence
from ablation_lab.study.references import ReferenceValue
from ablation_lab.study.schema import Design, Layout
from ablation_lab.study.selection import SELECTIONS

MEMBERS = ",members"  # ends the name of a cell that only trains members of ensembles


class Stored(BaseModel):
    """What the store keeps."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeclaredRun(Stored):
    """One replicate of a cell and the key under which its run is stored."""

    replicate: int
    key: str


class Cell(Stored):
    """One combination of levels; `skipped` holds the reason where it was not to be run."""

    cell: str
    factors: dict[str, str]
    skipped: str | None = None
    runs: tuple[DeclaredRun, ...]
    config: Annotated[dict[str, Any], AfterValidator(of_today)] = Field({})

    @property
    def data(self) -> str:
        """The data set that the cell works on, empty where it needs none."""
        return str((self.config.get("data") or {}).get("name") or "")

    @property
    def trains_members(self) -> bool:
        """Whether the cell only trains members of another cell's ensembles."""
        return self.cell.endswith(MEMBERS)


class Excluded(Stored):
    """A combination that the study rules out, with the reason."""

    cell: str
    factors: dict[str, str]
    reason: str


class DataSet(Stored):
    """A data set by name: what it is, the sum of its content, and what its test set is.

    `test_is_train` says that the accuracy is training accuracy, because there is no other data.
    """

    name: str
    about: str
    checksum: str
    test_is_train: bool


class Imported(Stored):
    """Where runs come from that nobody here trained.

    A file, SHA-256 of its content, its rows; `paired` says that every cell has the same replicates.
    """

    file: str
    checksum: str
    rows: int
    paired: bool

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.file}, {self.rows:,} rows, sha256 {self.checksum[:12]}"


class Declaration(Stored):
    """A study as declared; `declared_text` and `parse` are inverse to each other.

    `metrics` are what runs are measured by, the one that cells are compared by first. `baselines`
    maps a cell to the one that it is compared with, where the baseline names some factors only.
    """

    study: str
    profile: str
    title: str
    question: str = ""
    source: str = ""
    setup: str = ""
    metrics: tuple[Metric, ...] = Field(min_length=1)
    chance: float | None = None
    baseline: str | None = None
    baselines: dict[str, str] = Field({})
    asks: tuple[Ask, ...] = ()
    selection: str = "last_epoch"
    replicates: int
    looks: tuple[int, ...] = ()
    factors: tuple[Factor, ...]
    layout: Layout | None = None
    references: dict[str, tuple[ReferenceValue, ...]] = Field({})
    cells: tuple[Cell, ...]
    excluded: tuple[Excluded, ...] = ()
    provenance: dict[str, Any] = Field({})
    needs: str = ""
    design: Design = Design.FACTORIAL
    tuning: Tuning | None = None
    equivalence: float | None = None
    data: tuple[DataSet, ...] = ()
    imported: Imported | None = None

    @property
    def paired(self) -> bool:
        """Whether a replicate means the same in every cell, so that differences are of pairs."""
        return self.imported is None or self.imported.paired

    @property
    def primary(self) -> Metric:
        """What the cells are compared by."""
        return self.metrics[0]

    @property
    def metric(self) -> str:
        """The name of what the cells are compared by: a column of the frame."""
        return self.primary.name

    @property
    def higher_is_better(self) -> bool:
        """Whether more of the metric is better."""
        return self.primary.higher_is_better

    @property
    def computes(self) -> bool:
        """Whether the runs compute checks: numbers of different things, which nobody ranks."""
        return self.metric == "value_0"

    @property
    def is_success(self) -> bool:
        """Whether the metric counts successes (0 or 1 per run)."""
        return self.primary.is_success

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share that tables print in percent."""
        return self.primary.is_share

    @property
    def compared(self) -> tuple[Factor, ...]:
        """The factors whose cells are compared, scientific ones and tasks, of several levels."""
        made = (f for f in self.factors if f.role in (FactorRole.SCIENTIFIC, FactorRole.TASK))
        return tuple(f for f in made if len(f.levels) > 1)

    def baseline_of(self, cell: str) -> str | None:
        """The cell that this one is compared with: of its own other levels, or that of all."""
        return self.baselines.get(cell) if self.baselines else self.baseline

    def levels_of(self, cell: Cell) -> dict[str, str]:
        """The levels that make a cell what it is, without those that were tuned for it."""
        tuned = {f.name for f in self.factors if f.role is FactorRole.NUISANCE}
        return {name: level for name, level in cell.factors.items() if name not in tuned}

    def factor(self, name: str) -> Factor:
        """The factor of that name (KeyError if the study has none)."""
        return {f.name: f for f in self.factors}[name]

    @model_validator(mode="after")
    def _consistent(self) -> Declaration:
        """Refuse names that tables could not tell apart, and cells of what is not declared."""
        if self.selection not in SELECTIONS:
            raise ValueError(
                f"unknown selection {self.selection!r}; known: {', '.join(SELECTIONS)}"
            )
        levels = {factor.name: factor.levels for factor in self.factors}
        taken = sorted(
            {*RUN_COLUMNS, *OUTCOME_COLUMNS, *(m.name for m in self.metrics)} & set(levels)
        )
        if taken:
            raise ValueError(
                f"factor {taken[0]!r} has the name of a column of the frame; rename the factor"
            )
        cells = [cell.cell for cell in self.cells]
        if twice := sorted(cell for cell, times in Counter(cells).items() if times > 1):
            raise ValueError(f"cell {twice[0]!r} is declared twice; declare it once")
        if self.baseline is not None and self.baseline not in cells:
            raise ValueError(
                f"baseline {self.baseline!r} is no declared cell; name one of the cells"
            )
        if lost := sorted({*self.baselines, *self.baselines.values()} - set(cells)):
            raise ValueError(
                f"baselines name {lost[0]!r}, which is no declared cell; name the cells"
            )
        for cell in self.cells:
            for name, level in cell.factors.items():
                if name not in levels:
                    raise ValueError(
                        f"cell {cell.cell!r} has a level of {name!r}, which is no declared "
                        f"factor; declared: {', '.join(levels)}"
                    )
                if level not in levels[name]:
                    raise ValueError(
                        f"cell {cell.cell!r} has {name}={level!r}; declared levels: "
                        f"{', '.join(levels[name])}"
                    )
        return self


def parse(text: str, where: str) -> Declaration:
    """Read a declaration. `where` names its place for error messages.

    Raises DeclarationError for text that is not JSON, a missing field, or a factor whose name is
    also a column of the frame.
    """
    try:
        return Declaration.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error" and not first["loc"]:
            raise DeclarationError(f"{where}: {first['ctx']['error']}") from None
        key = ".".join(map(str, first["loc"]))
        said = f"{key}: {sentence(Declaration, first['loc'], first)}"
        what = f"no field {key!r}" if first["type"] == "missing" else said
    except ValueError as error:
        what = str(error)
    raise DeclarationError(
        f"{where}: declaration.json cannot be read: {what}; run the study again to rewrite it"
    )


def declared_text(declaration: Declaration) -> str:
    """The declaration as JSON text, sorted, so that equal declarations give equal text."""
    return json.dumps(declaration.model_dump(mode="json"), sort_keys=True)
