"""From YAML to models: everything that is wrong with a file, one line each, with its line.

Comes in: a pydantic model and the mapping that a file says. Goes out: the model, or a
``ConfigurationError`` with a line for every error: the file, its line where it is known, the
dotted key, what was expected, what was found, and the nearest of the names that are valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from ablation_lab.errors import ConfigurationError, StoreError, nearest
from ablation_lab.study.files import line_of
from ablation_lab.study.former import former

Whole = Annotated[int, Strict()]
Count = Annotated[Whole, Field(ge=1)]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]
Key = tuple[str | int, ...]
Problem = tuple[Key, str]

_EXPECTED = {
    "string_type": "expected str",
    "int_type": "expected int",
    "float_type": "expected float",
    "bool_type": "expected bool",
    "dict_type": "expected a mapping",
    "mapping_type": "expected a mapping",
    "model_type": "expected a mapping",
    "tuple_type": "expected list",
    "list_type": "expected list",
    "greater_than_equal": "expected at least {ge}",
    "greater_than": "expected more than {gt}",
    "less_than_equal": "expected at most {le}",
    "less_than": "expected less than {lt}",
    "string_too_short": "expected a text that is not empty",
    "too_short": "expected at least {min_length}",
    "finite_number": "expected a finite number",
}


class DeclarationError(StoreError):
    """A stored declaration that cannot be read: names its place, the field and what to do."""


class Written(BaseModel):
    """What a user may write: unknown keys are refused, null is the default, as if left out.

    ``section`` is what keys of former versions belong to; ``derived`` are fields that the lab fills
    in and nobody writes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    section: ClassVar[str] = ""
    derived: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def known(cls) -> list[str]:
        """The keys that may be written."""
        fields = cls.model_fields.items()
        return [field.alias or name for name, field in fields if name not in cls.derived]

    @classmethod
    def normal(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Return the one form of what may be written in several."""
        return value

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        # What the store gives back has no context: it is normal already.
        if info.context is None or not isinstance(value, Mapping):
            return value
        if unknown := [_detail("extra_forbidden", (key,)) for key in cls.derived if key in value]:
            raise ValidationError.from_exception_data(cls.__name__, unknown)
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        needed = {key for key, field in fields.items() if field.is_required()}
        return cls.normal(
            {str(k): each for k, each in value.items() if each is not None or str(k) in needed}
        )


Model = TypeVar("Model", bound=BaseModel)


def refuse(problems: Iterable[Problem]) -> None:
    """Raise pydantic's error for problems at keys below the model that is validated."""
    details = [
        _detail(PydanticCustomError("declared", "{said}", {"said": said}), key)
        for key, said in problems
    ]
    if details:
        raise ValidationError.from_exception_data("declaration", details)


def _detail(kind: str | PydanticCustomError, key: Key) -> InitErrorDetails:
    return InitErrorDetails(type=kind, loc=key, input=None)


def read_model(
    model: type[Model], value: object, place: str, *, at: Key = (), source: Path | None = None
) -> Model:
    """Return ``value``, which stands under the key ``at`` of the file ``place``, as a model.

    ``source`` is where the file lies, for the lines of what is wrong.
    Errors: ``ConfigurationError`` with one line for each, in the order of the file.
    """
    try:
        return model.model_validate(value, context={"written": True})
    except ValidationError as error:
        found = problems_of(model, error)
    lines = Lines(place, source)
    for stands, shown, said in found:
        dotted = (".".join(map(str, at)) + _dotted(value, shown)).lstrip(".")
        lines.add((*at, *stands), dotted, said)
    raise lines.error from None


def problems_of(model: type[BaseModel], error: ValidationError) -> Iterator[tuple[Key, Key, str]]:
    """Yield for each error where it stands, the key that names it, and a sentence."""
    for each in error.errors():
        key = tuple(item for item in each["loc"] if item != "[key]")
        # A key that is not known, or missing, is named by the sentence.
        shown = key[:-1] if each["type"] in ("missing", "extra_forbidden") else key
        yield shown if each["type"] == "missing" else key, shown, sentence(model, key, each)


class Lines:
    """What is wrong with a file, one line for each, in the order of the file."""

    def __init__(self, place: str, source: Path | None) -> None:
        self._place, self._source = place, source
        self._found: list[tuple[int, str]] = []

    def add(self, stands: Key | None, *said: str) -> None:
        """Add a problem at a key of the file; None is the command line."""
        line = line_of(self._source, stands) if self._source and stands else 0
        where = f"{self._place}, line {line}" if line else self._place
        self._found.append((line, ": ".join(filter(None, (where, *said)))))

    @property
    def error(self) -> ConfigurationError:
        """All of them, each once; sorting keeps the order within a line."""
        ordered = sorted(self._found, key=lambda each: each[0])
        return ConfigurationError("\n".join(dict.fromkeys(text for _, text in ordered)))


def _dotted(value: object, key: Key) -> str:
    """Write a key as a user would: ``.name`` in a mapping, ``[0]`` in a list."""
    text = ""
    for item in key:
        listed = isinstance(value, list | tuple)
        text += f"[{item}]" if listed else f".{item}"
        if isinstance(value, Mapping):
            value = {str(name): entry for name, entry in value.items()}.get(str(item))
        elif isinstance(value, list | tuple) and isinstance(item, int) and item < len(value):
            value = value[item]
    return text


def sentence(model: type[BaseModel], key: Key, error: ErrorDetails) -> str:
    """Translate an error of pydantic's into a sentence."""
    found, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "declared":
            return error["msg"]
        case "value_error":
            return str(context["error"])
        case "missing":
            return f"required key {key[-1]!r} is missing"
        case "extra_forbidden":
            return _unknown_key(_type_at(model, key[:-1]), key[-1])
        case "enum" | "literal_error":
            return _unknown_value(model, key, found)
    limits = {k: int(v) if isinstance(v, float) and v % 1 == 0 else v for k, v in context.items()}
    expected = _EXPECTED.get(error["type"], error["msg"]).format(**limits)
    return f"{expected}, found {_brief(found)}"


def _unknown_value(model: type[BaseModel], key: Key, found: object) -> str:
    owner, kind = _type_at(model, key[:-1]), _type_at(model, key)
    if renamed := former(getattr(owner, "section", ""), str(key[-1]), found):
        return renamed.refusal
    known = [member.value for member in kind] if _is(kind, StrEnum) else get_args(kind)
    return f"unknown value {found!r}; {nearest(found, known)}"


def _unknown_key(model: Any, key: object) -> str:
    if not _is(model, Written):
        return f"unknown key {key!r}"
    if renamed := former(model.section, str(key)):
        return renamed.refusal
    return f"unknown key {key!r}; {nearest(key, model.known())}"


def _brief(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _type_at(model: Any, key: Key) -> Any:
    """Return what is expected under a key: a model, an enumeration or another type."""
    kind: Any = model
    for item in key:
        if _is(kind, BaseModel):
            fields = {field.alias or name: field for name, field in kind.model_fields.items()}
            kind = _bare(fields[str(item)].annotation) if str(item) in fields else None
        else:
            inner = get_args(kind)
            mapping = get_origin(kind) not in (tuple, list)
            kind = _bare(inner[1 if mapping and len(inner) > 1 else 0]) if inner else None
    return kind


def _bare(annotation: Any) -> Any:
    """Return a type without what is annotated to it, and without its alternative None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _bare(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return _bare(next(each for each in get_args(annotation) if each is not type(None)))
    return annotation


def _is(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)
