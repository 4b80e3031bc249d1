"""Reference values: numbers that a source prints, and what answers them, read strictly. Pure.

Comes in: ``conf/references/<source>.yaml``, or what the store kept of it. Goes out: a
``ReferenceValue`` each, bound to a study's cell, to a check, or to the reason why nothing answers
it. Nothing here enters the identity of a run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, model_validator
from pydantic.json_schema import SkipJsonSchema

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.factor import Label, label_of, unknown_levels
from ablation_lab.study.reading import (
    DeclarationError,
    Number,
    Problem,
    Whole,
    Written,
    read_model,
    refuse,
)

if TYPE_CHECKING:
    from ablation_lab.study.schema import Study

CHECK = "check"  # the factor whose levels are checks
VALUE = "value"  # all numbers of a check
NOT_CONVERGED = "not_converged"  # 1 of a run that did not converge, 0 of one that did
A_NUMBER = re.compile(r"(?<![\w.,])[-+]?\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?")


class ValueKind(StrEnum):
    """What reproducing a reference value can mean, which decides the verdicts that apply."""

    EXACT = "exact"
    CONVERGED = "converged"
    DIST = "dist"
    UNSPECIFIED = "unspecified"
    ERRATUM = "erratum"
    CITED = "cited"


class Among(StrEnum):
    """Which runs are compared: all of them, or those that solved their task."""

    ALL = ""
    SOLVED = "solved"


Numbers = Annotated[
    tuple[Number, ...],
    BeforeValidator(lambda found: found if isinstance(found, list | tuple) else [found]),
]


class Tolerance(Written):
    """How far ours may be from it: absolute + relative·|printed|, fixed beforehand."""

    absolute: Numbers = Field((0.0,), description="One number, or one for each reference value.")
    relative: Number = Field(0.0, description="A share of the reference value.")
    why: str = Field(description="The reason for it.")


class ReferenceValue(Written):
    """A reference value, and what answers it: a study's cell and metric, a check, or a reason.

    ``text`` is what stands in the source; ``values`` are the numbers of it that are compared, none
    where the source prints nothing comparable. For a curve ``updates`` counts the updates at each
    of the values. ``numbers`` are how many it prints. ``metric`` is empty for the study's own.
    """

    derived: ClassVar[tuple[str, ...]] = (
        "claim_id", "source", "text", "values", "updates", "numbers",
    )  # fmt: skip

    claim_id: SkipJsonSchema[str] = ""
    source: SkipJsonSchema[str] = ""
    kind: ValueKind = Field(description="What reproducing it can mean.")
    about: str = Field(description="What the number is.")
    written: Any = Field(
        None, alias="printed", exclude=True, description="A number, a list, or index: value."
    )
    compare: Numbers | None = Field(
        None, exclude=True, description="What follows from what is printed, one or several numbers."
    )
    updates_per_epoch: Whole | None = Field(
        None, exclude=True, description="The indices of a curve count epochs of so many updates."
    )
    text: SkipJsonSchema[str] = ""
    values: SkipJsonSchema[tuple[float, ...]] = ()
    updates: SkipJsonSchema[tuple[int, ...]] = ()
    numbers: SkipJsonSchema[int] = 0
    tolerance: Tolerance | None = Field(None, description="How far ours may be from it.")
    check: str = Field("", description="The check that computes it.")
    study: str = Field("", description="The study that answers it.")
    cell: dict[str, Label] = Field({}, description="Levels of the cell that answers it.")
    data: str = Field("", description="The data set that the cell must train on.")
    metric: str = Field("", description="The metric; the study's own where nothing is said.")
    among: Among = Field(Among.ALL, description="All runs, or those that solved their task.")
    run: str = Field("", description="Which printed run of the cell, where a source has several.")
    target: Number | None = Field(
        None, description="The right answer: distances from it are compared."
    )
    than: dict[str, Label] = Field(
        {}, description="A cell of the study that the source says is worse."
    )
    assumes: str = Field("", description="What of the recipe the source does not print.")
    not_attempted: str = Field("", description="Why nothing answers it.")
    note: str = Field("", description="What a reader should know.")

    @property
    def printed(self) -> float | None:
        """The value where it is a single number of a run, None otherwise."""
        return self.values[0] if len(self.values) == 1 and not self.updates else None

    @property
    def is_comparable(self) -> bool:
        """Whether anything is printed that ours could be held against."""
        return self.kind != ValueKind.UNSPECIFIED and bool(self.values or self.than)

    @property
    def is_drawn(self) -> bool:
        """Whether chance is in it: one run of unknown seed, held against the spread of ours."""
        quoted = self.kind in (ValueKind.CITED, ValueKind.ERRATUM) and self.tolerance is None
        return self.is_comparable and (self.kind == ValueKind.DIST or quoted)

    @property
    def shown(self) -> str:
        """What is printed, in the source's digits where they are known."""
        return self.text or ("" if self.printed is None else f"{self.printed:.10g}")

    @classmethod
    def normal(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Return the numbers that are compared, and the updates after which a curve has them.

        A mapping is a curve: printed index → value. With ``updates_per_epoch`` the index counts
        epochs from 1, without it steps from 0, at each of which the cost is that before the step's
        update.
        """
        printed, per_epoch = value.get("printed"), value.get("updates_per_epoch")
        steps: list[int] = []
        compare = value.get("compare")
        if isinstance(compare, int | float | list):
            numbers = compare if isinstance(compare, list) else [compare]
        elif isinstance(printed, Mapping):
            numbers = list(printed.values())
            steps = [index * per_epoch if per_epoch else index + 1 for index in printed]
        elif printed is None or isinstance(printed, str):
            numbers = []
        else:
            numbers = printed if isinstance(printed, list) else [printed]
        wrong = [n for n in numbers if isinstance(n, bool) or not isinstance(n, int | float)]
        refuse((("printed",), f"expected numbers, found {each!r}") for each in wrong)
        text = _text(printed)
        count = len(printed) if isinstance(printed, Mapping) else len(A_NUMBER.findall(text))
        return {**value, "text": text, "values": numbers, "updates": steps, "numbers": count}

    @model_validator(mode="after")
    def _answered(self, info: ValidationInfo) -> ReferenceValue:
        if info.context is not None:
            refuse(self._problems())
        return self

    def _problems(self) -> Iterable[Problem]:
        if self.check and self.study:
            yield (), "expected 'check' or 'study', found both"
        elif bool(self.check or self.study) == bool(self.not_attempted):
            found = "two" if self.not_attempted else "none"
            yield (
                (),
                "expected one of 'check', 'study' with 'cell', or 'not_attempted' with the "
                f"reason; found {found}",
            )
        if self.study and "cell" not in self.model_fields_set:
            yield (), "required key 'cell' is missing"
        fixed = self.kind in (ValueKind.EXACT, ValueKind.CONVERGED)
        count, tolerance = len(self.values), self.tolerance
        if fixed and not self.not_attempted and tolerance is None:
            yield (
                ("tolerance",),
                f"expected one with its reason for kind {self.kind.value}, found none",
            )
        if tolerance and len(tolerance.absolute) not in (1, count):
            yield (
                ("tolerance", "absolute"),
                f"expected one number or one for each of the {count} reference values, found "
                f"{len(tolerance.absolute)}",
            )


class ReferenceFile(Written):
    """A file of ``conf/references``: the values that one source prints."""

    section: ClassVar[str] = "references"

    source: str = Field(description="Where the values are printed.")
    values: dict[Label, ReferenceValue] = Field(description="The values, by a name of each.")


def read_references(
    files: Mapping[str, object], paths: Mapping[str, Path] | None = None
) -> tuple[ReferenceValue, ...]:
    """Read every file of ``conf/references``: its name, its content and where it lies.

    Errors: ``ConfigurationError`` with one line for each thing that is wrong.
    """
    found: dict[str, ReferenceValue] = {}
    for name, content in files.items():
        place = f"references/{name}.yaml"
        read = read_model(ReferenceFile, content, place, source=(paths or {}).get(name))
        for key, value in read.values.items():
            if key in found:
                raise ConfigurationError(f"{place}: value {key!r} stands twice; keep one of them")
            found[key] = value.model_copy(update={"claim_id": key, "source": read.source})
    return tuple(found.values())


def bind(
    values: Iterable[ReferenceValue], studies: Mapping[str, object]
) -> tuple[ReferenceValue, ...]:
    """Return the values with the study of each check; ``studies`` are the contents of the files.

    Errors: ``ConfigurationError`` for a study or a check that no file declares.
    """
    checks = {label: name for name, content in studies.items() for label in _checks(name, content)}
    bound = []
    for value in values:
        if value.study and value.study not in studies:
            raise ConfigurationError(
                f"{_place(value)}: unknown study {value.study!r}; {nearest(value.study, studies)}"
            )
        if value.check and value.check not in checks:
            raise ConfigurationError(
                f"{_place(value)}: unknown check {value.check!r}; {nearest(value.check, checks)}"
            )
        cell = {CHECK: value.check}
        by_check = {"study": checks.get(value.check), "cell": cell, "metric": VALUE}
        bound.append(value.model_copy(update=by_check) if value.check else value)
    return tuple(bound)


def _checks(name: str, content: object) -> tuple[str, ...]:
    """Return the levels of a study's factor ``check``; a file that is wrong has none."""
    try:
        levels = content[name]["factors"][CHECK]["levels"]  # type: ignore[index]
    except (KeyError, TypeError):
        return ()
    return tuple(map(label_of, levels)) if isinstance(levels, list | Mapping) else ()


def with_references(study: Study, values: Iterable[ReferenceValue]) -> Study:
    """Return the study with the bound values that it answers.

    Errors: ``ConfigurationError`` for a cell with a factor or level that the study does not have.
    """
    own = tuple(value for value in values if value.study == study.name)
    for value in own:
        for field, cell in (("cell", value.cell), ("than", value.than)):
            where = {name: (label,) for name, label in cell.items()}
            for key, said in unknown_levels(where, study.factors, (field,)):
                raise ConfigurationError(f"{_place(value)}: {'.'.join(map(str, key))}: {said}")
    return study.model_copy(update={"references": own})


def references_text(values: Iterable[ReferenceValue]) -> str:
    """Return the values as the text that the store keeps, equal for equal ones."""
    return json.dumps([v.model_dump(mode="json") for v in values], sort_keys=True, indent=1)


def read_stored(text: str, where: str) -> tuple[ReferenceValue, ...]:
    """Read what ``references_text`` wrote. Errors: ``DeclarationError`` that names its place."""
    try:
        return tuple(ReferenceValue.model_validate(item) for item in json.loads(text))
    except (TypeError, ValueError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise DeclarationError(
            f"{where}: claims.json cannot be read: {said}; run a study again to rewrite it"
        ) from error


def _place(value: ReferenceValue) -> str:
    return f"references: {value.claim_id}"


def _text(printed: object) -> str:
    """Say what is printed as text: numbers as they are written in the file."""
    if isinstance(printed, Mapping):
        return "; ".join(f"{index}: {value}" for index, value in printed.items())
    if isinstance(printed, list):
        return f"[{', '.join(map(str, printed))}]"
    return "" if printed is None else str(printed)
