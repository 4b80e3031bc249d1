"""Factors, levels and cells by their levels: the part of the schema that everything names. Pure.

Comes in: what a file says of a factor, or of the cells that are meant. Goes out: models, and what
is wrong with names that are not declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Any, ClassVar
from unicodedata import normalize

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from ablation_lab.errors import nearest
from ablation_lab.study.files import flat
from ablation_lab.study.reading import Key, Problem, Written, refuse


class FactorRole(StrEnum):
    """What a factor is for: compared between cells, tuned for each, or held at one level.

    The levels of a task factor (data sets, say) are what the others are compared on.
    """

    SCIENTIFIC = "scientific"
    NUISANCE = "nuisance"
    FIXED = "fixed"
    TASK = "task"


def label_of(value: object) -> str:
    """Return the label of a level: its YAML value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def labels_of(value: object) -> tuple[str, ...]:
    """Return the labels of a level, or of a list of them. Errors: ValueError for an empty list."""
    entries = value if isinstance(value, list | tuple) else [value]
    if not entries:
        raise ValueError("expected at least one level, found none")
    return tuple(label_of(entry) for entry in entries)


_SCALAR = {"type": ["string", "number", "boolean"]}
_LEVELS = [
    {"type": "array", "minItems": 1, "uniqueItems": True},
    {"type": "object", "minProperties": 1, "additionalProperties": {"type": "object"}},
]
Label = Annotated[str, BeforeValidator(label_of), WithJsonSchema(_SCALAR)]
Labels = Annotated[
    tuple[str, ...],
    BeforeValidator(labels_of),
    WithJsonSchema({"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}),
]
Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda found: (found,) if isinstance(found, str) else found)
]
Where = Mapping[str, tuple[str, ...]]
WrittenWhere = dict[Label, Labels]
Settings = dict[str, Any]


class Exclusion(Written):
    """Combinations that are declared not to run, with the reason that the report prints."""

    where: WrittenWhere = Field(description="Levels of factors, all of which a cell has.")
    reason: str = Field(description="Why they do not run.")


class Factor(Written):
    """What varies. ``settings`` are the configuration keys that each level sets.

    ``when`` restricts it to the cells where other factors have given levels.
    """

    derived: ClassVar[tuple[str, ...]] = ("name", "settings")

    name: SkipJsonSchema[str] = ""
    label: str = Field("", description="What tables call it; its name where nothing is said.")
    role: FactorRole = Field(
        FactorRole.SCIENTIFIC,
        description="What it is for: compared, tuned, held, or the tasks that methods have.",
    )
    key: str | None = Field(
        None, exclude=True, description="The setting that a list of levels gives the values of."
    )
    levels: Annotated[tuple[str, ...], WithJsonSchema({"anyOf": _LEVELS})] = Field(
        description="A list of values of 'key', or a mapping from label to settings."
    )
    settings: SkipJsonSchema[dict[str, Settings]] = Field({})
    words: dict[Label, str] = Field(
        {}, description="What a sentence calls a level whose name says too little."
    )
    when: WrittenWhere = Field({}, description="Levels of earlier factors with which it applies.")

    def said(self, level: str) -> str:
        """Return what a sentence calls a level."""
        return self.words.get(level, level)

    @property
    def numeric(self) -> bool:
        """Whether every level reads as a number."""
        return all(is_number(level) for level in self.levels)

    def place_of(self, level: str) -> Key:
        """Return where in the study's file the settings of a level stand."""
        place = level if self.key is None else self.levels.index(level)
        return ("factors", self.name, "levels", place)

    def undoes(self, other: Factor) -> str:
        """Return a setting that this factor sets after an earlier one, where both apply, or ''."""
        shared = self.when.keys() & other.when.keys()
        if any(not set(self.when[name]) & set(other.when[name]) for name in shared):
            return ""
        applies = self.when.get(other.name, other.levels)
        set_before = {key for level in applies for key, _ in flat(other.settings.get(level, {}))}
        made = {key for given in self.settings.values() for key in given}
        return next((before for before in sorted(set_before) if within(before, made)), "")

    def loses(self, settings: Settings, levels: Iterable[str]) -> str:
        """Return a setting by which levels differ, and no longer do once others are made, or ''."""
        before = [dict(flat(self.settings[level])) for level in levels]
        made = tuple(settings)
        after = [{k: v for k, v in each.items() if not within(k, made)} for each in before]
        for (one, left), (other, right) in combinations(zip(before, after, strict=True), 2):
            if left == right and one != other:
                return next(k for k in {**one, **other} if one.get(k) != other.get(k))
        return ""

    @classmethod
    def normal(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Return the labels of levels apart from what they set."""
        if "levels" not in value:
            return value
        key, levels = value.get("key"), value["levels"]
        if isinstance(levels, Mapping) and key is None:
            refuse(
                (("levels", label_of(label)), f"expected a mapping, found {each!r}")
                for label, each in levels.items()
                if not isinstance(each, Mapping)
            )
            settings = {label_of(label): dict(each) for label, each in levels.items()}
        elif isinstance(levels, list) and isinstance(key, str):
            settings = {label_of(entry): {key: entry} for entry in levels}
        else:
            raise ValueError(
                "expected 'levels' as a list together with 'key', or as a mapping from label to "
                f"settings without 'key'; found levels {levels!r} and key {key!r}"
            )
        if isinstance(levels, list):
            refuse([(("levels",), said) for said in _equal(levels)])
        labels = [label_of(label) for label in levels]
        if not labels or len(set(labels)) != len(labels):
            refuse([(("levels",), f"expected distinct levels, found {labels}")])
        return {**value, "levels": labels, "settings": settings}

    @model_validator(mode="after")
    def _check_role(self) -> Factor:
        if self.role is FactorRole.FIXED and len(self.levels) != 1:
            raise ValueError(f"a fixed factor has one level, found {len(self.levels)}")
        return self


class OrLevels:
    """Says to editors that a factor may be written as a list of its levels."""

    def __get_pydantic_json_schema__(
        self, schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema of the factor, or of a list."""
        return {"anyOf": [handler(schema), {"type": "array", "minItems": 1}]}


Varied = Annotated[Factor, OrLevels()]


def with_homes(study: dict[str, Any]) -> dict[str, Any]:
    """Return a study whose factors say which settings they vary, where they need not be told.

    ``lr: [0.1, 0.01]`` is short for ``lr: {key: params.lr, levels: [0.1, 0.01]}`` where a command
    is run, for ``key: model.lr`` where a function is called, and what a level sets without a
    section is in the same one.
    """
    run, factors = study.get("run"), study.get("factors")
    if not (isinstance(run, Mapping) and isinstance(factors, Mapping)):
        return study
    home = "params" if "command" in run else "model" if run.keys() <= {"model", "limits"} else ""
    if not home:
        return study
    return {**study, "factors": {k: _at_home(each, k, home) for k, each in factors.items()}}


def _at_home(factor: object, name: object, home: str) -> object:
    given = {"levels": factor} if isinstance(factor, list) else factor
    if not isinstance(given, Mapping) or "key" in given:
        return given
    levels = given.get("levels")
    if isinstance(levels, list):
        return {**given, "key": f"{home}.{label_of(name)}"}
    if not isinstance(levels, Mapping):
        return given
    return {**given, "levels": {label: _within(each, home) for label, each in levels.items()}}


def _within(settings: object, home: str) -> object:
    if not isinstance(settings, Mapping):
        return settings
    whole = (home, "limits")
    return {k if "." in str(k) or k in whole else f"{home}.{k}": v for k, v in settings.items()}


def undone(factors: Sequence[Factor]) -> Iterator[Problem]:
    """Yield factors that set what an earlier one has set where both apply."""
    for later, factor in enumerate(factors):
        for other in factors[:later]:
            if key := factor.undoes(other):
                said = (
                    f"sets {key!r}, as factor {other.name!r} does, which it would undo; let one of "
                    "them set it, or make one factor of both"
                )
                yield ("factors", factor.name), said


def within(key: str, settings: Iterable[str]) -> bool:
    """Whether a dotted key is one of some settings, or stands in one."""
    return any(key == each or key.startswith(f"{each}.") for each in settings)


def misused_tasks(factors: Sequence[Factor], baseline: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a second factor of tasks, and a baseline that names one task."""
    tasks = [factor.name for factor in factors if factor.role is FactorRole.TASK]
    for name in tasks[1:]:
        yield (
            ("factors", name, "role"),
            f"one factor has the tasks that methods are compared on, here {tasks[0]!r}; "
            "make one factor of both",
        )
    for name in set(tasks) & set(baseline):
        yield (
            ("baseline", name),
            "methods are compared on every task, and not one task with another; leave it out",
        )


def unknown_levels(where: Where, factors: Iterable[Factor], at: Key) -> Iterator[Problem]:
    """Yield the factors and levels under the key ``at`` that are not declared."""
    known = {factor.name: factor.levels for factor in factors}
    for name, labels in where.items():
        if name not in known:
            yield at, f"unknown factor {name!r}; {nearest(name, known)}"
            continue
        for label in labels:
            if label not in known[name]:
                yield (*at, name), f"unknown level {label!r}; {nearest(label, known[name])}"


def _equal(levels: Sequence[object]) -> Iterator[str]:
    """Yield the levels that are one value, written in two ways."""
    known: dict[str, object] = {}
    for level in levels:
        first = known.setdefault(_value(level), level)
        if label_of(first) != label_of(level):
            yield f"levels {label_of(first)!r} and {label_of(level)!r} are one value; keep one"


def _value(level: object) -> str:
    """Write a value alike however it is written: 1 and 1.0, true and "true", é as one or two."""
    if isinstance(level, list | tuple):
        return f"[{', '.join(map(_value, level))}]"
    text = normalize("NFC", label_of(level).strip())
    return repr(float(text) + 0.0) if is_number(text) else text


def is_number(text: str) -> bool:
    """Whether a level's text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
