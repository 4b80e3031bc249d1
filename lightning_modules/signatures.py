"""Settings are keyword arguments: what a registered function or class takes, and values against it.

Comes in: the function or class, and values of its arguments, such as a section of YAML. Goes out:
its settings with their defaults, or an error that names the setting, what is expected and what was
found. Annotations are read as text, so that a source that is not imported can be held to the same.
"""

import ast
import inspect
import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, Optional, Union, get_args

from pydantic import (
    AllowInfNan,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from lightning_modules.registry import UnknownName, unknown

REQUIRED: Final = object()  # the default of a setting that has none
UNTOLD: Final = object()  # the default of a setting whose default is no plain data
# Names in annotations, and what a value of each is in YAML; a name that is not here takes anything.
TYPES: dict[str, Any] = defaultdict(
    lambda: Any,
    {
        **{"str": StrictStr, "int": StrictInt, "float": StrictFloat, "bool": StrictBool},
        **{"Sequence": list, "list": list, "tuple": tuple, "Mapping": dict, "dict": dict},
        **{"Literal": Literal, "Optional": Optional, "Union": Union},
    },
)
# Packages whose classes take anything: what a module hands on to them is no setting of its own.
FOREIGN = ("pytorch_lightning", "torch", "builtins")
# What every setting of this name has to be, whatever it belongs to; or null, if that is annotated.
Number = Annotated[StrictFloat, AllowInfNan(False)]
Counts = list[Annotated[StrictInt, Field(ge=1)]]
RANGES: dict[str, tuple[str, Any]] = {
    "learning_rate": ("a finite number > 0", Annotated[Number, Field(gt=0)]),
    "momentum": ("a finite number in [0, 1)", Annotated[Number, Field(ge=0, lt=1)]),
    **dict.fromkeys(
        ("epsilon", "weight_decay"), ("a finite number >= 0", Annotated[Number, Field(ge=0)])
    ),
    "keep_prob": ("a probability to keep in (0, 1]", Annotated[Number, Field(gt=0, le=1)]),
    **dict.fromkeys(("widths", "channels", "dense"), ("a list of positive integers", Counts)),
    "train_size": ("a positive integer or null", Annotated[StrictInt, Field(ge=1)]),
}

# Settings that have another name in torch, and arguments of torch's that change no result.
TORCH_NAMES = {"learning_rate": "lr", "epsilon": "eps"}
INTERNAL = ("params", "foreach", "maximize", "capturable", "differentiable", "fused")
# Optimisers of torch's that no loop here can use: they need a function that evaluates the loss
# again, sparse gradients, or matrices without biases; and their common base.
UNFIT = ("lbfgs", "sparseadam", "muon", "optimizer")


class WrongSetting(ValueError):
    """A setting that is missing or cannot have its value; the message begins with its name."""


@dataclass(frozen=True)
class Setting:
    """A keyword argument: its annotation as text (empty: anything goes) and its default."""

    annotation: str = ""
    default: Any = REQUIRED


@dataclass(frozen=True)
class Signature:
    """The settings by name; with `open`, any other name goes too."""

    settings: Mapping[str, Setting]
    open: bool = False

    def without(self, names: Sequence[str]) -> "Signature":
        """Return the signature without some of its settings, which are given by others."""
        kept = {name: each for name, each in self.settings.items() if name not in names}
        return Signature(kept, self.open)

    def also(self, more: Mapping[str, Setting]) -> "Signature":
        """Return the signature with further settings, which others take."""
        return Signature({**self.settings, **more}, self.open)

    def complete(self, owner: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values given and the defaults of the others, in the order of the arguments.

        Errors: UnknownName for a setting that `owner` does not have, with the nearest;
        WrongSetting for one that is missing, of another type or out of its range.
        """
        for key in given:
            if key not in self.settings and not self.open:
                raise UnknownName(unknown(f"setting of {owner}", key, self.settings))
        for key, said in self.problems(given):
            raise WrongSetting(f"{key}: {said}")
        return self.completed(given)

    def problems(self, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield each setting that is missing, of another type or out of its range, and why."""
        for key, setting in self.settings.items():
            if key not in given and setting.default is REQUIRED:
                kind = f" ({_said(setting.annotation)})" if setting.annotation else ""
                yield key, f"expected a value{kind}, found none; give it"
        for key, value in given.items():
            if said := problem(key, value, self.settings.get(key, Setting()).annotation):
                yield key, said

    def completed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values given and the defaults of the others, in the order of the arguments."""
        defaults = {key: setting.default for key, setting in self.settings.items()}
        values = {**defaults, **given}
        return {key: value for key, value in values.items() if value is not UNTOLD}


# When a schedule moves on; every one has it.
INTERVAL = {"interval": Setting("Literal['epoch', 'step']", "epoch")}


def signature_of(thing: Callable[..., Any]) -> Signature:
    """Return the settings of a class, or of a function: all arguments of it but the first.

    The first one of a function is what it works on: parameters, an optimiser. A class that hands
    `**settings` on to its base has the settings of that too; one that does not takes anything.
    """
    if isinstance(thing, type):
        return _of_class([base for base in thing.__mro__ if "__init__" in vars(base)])
    return _of_parameters(list(inspect.signature(thing).parameters.values())[1:])


def arguments_of(function: Callable[..., Any]) -> Signature:
    """Return all arguments of a function, its first one too."""
    return _of_parameters(list(inspect.signature(function).parameters.values()))


def _of_class(bases: Sequence[type]) -> Signature:
    first, *rest = bases
    own = _of_parameters(list(inspect.signature(first.__init__).parameters.values())[1:])  # type: ignore[misc]
    if not own.open or not rest or rest[0].__module__.partition(".")[0] in FOREIGN:
        return own
    given = handed_on(_definition(first))
    return own if given is None else joined(own, _of_class(rest), given)


@cache
def _definition(kind: type) -> ast.FunctionDef | None:
    """Return the source of a class's `__init__`, None where there is none."""
    try:
        text = textwrap.dedent(inspect.getsource(kind.__init__))  # type: ignore[misc]
    except (OSError, TypeError):
        return None
    return next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))


@dataclass(frozen=True)
class Given:
    """What a class gives its base itself: so many arguments by their place, and these by name."""

    by_place: int
    by_name: frozenset[str]


def handed_on(function: ast.FunctionDef | None) -> Given | None:
    """Say what an `__init__` gives its base beside `**settings`; None if it keeps those.

    A source that nobody can read is taken to hand them on.
    """
    if function is None:
        return Given(0, frozenset())
    name = function.args.kwarg and function.args.kwarg.arg
    for call in ast.walk(function):
        match call:
            case ast.Call(func=ast.Attribute(attr="__init__", value=whose), args=args):
                passed = {each.arg: each.value for each in call.keywords}
                rest = passed.pop(None, None)
                if isinstance(rest, ast.Name) and rest.id == name:
                    # Base.__init__(self, ...), where super().__init__(...) has no self.
                    by_place = len(args) - (not isinstance(whose, ast.Call))
                    return Given(by_place, frozenset(filter(None, passed)))
    return None


def joined(own: Signature, base: Signature, given: Given) -> Signature:
    """Return the settings of a class that hands its other ones on to a base."""
    names = [name for name in list(base.settings)[given.by_place :] if name not in given.by_name]
    more = {name: base.settings[name] for name in names if name not in own.settings}
    return Signature({**own.settings, **more}, base.open)


def settings_of_torch(signature: Signature) -> Signature:
    """Return the settings of an optimiser of torch's, by the names that they have everywhere here.

    The learning rate is required. An `eps` that is no single number keeps its name.
    """
    settings = {}
    for key, setting in signature.settings.items():
        text = re.sub(r" \| (torch\.)?Tensor", "", setting.annotation)
        if key == "lr":
            settings["learning_rate"] = Setting(text)
        elif key not in INTERNAL:
            plain_eps = key == "eps" and text == "float"
            settings["epsilon" if plain_eps else key] = Setting(text, setting.default)
    return Signature(settings)


def _of_parameters(parameters: Sequence[inspect.Parameter]) -> Signature:
    settings: dict[str, Setting] = {}
    passed: bool = False
    for each in parameters:
        if each.kind is inspect.Parameter.VAR_KEYWORD:
            named = get_args(each.annotation)  # those of Unpack[SomeTypedDict], else none
            passed = not named
            kinds = named[0].__annotations__ if named else {}
            settings |= {key: Setting(_text(kind), UNTOLD) for key, kind in kinds.items()}
        elif each.kind is not inspect.Parameter.VAR_POSITIONAL:
            empty = inspect.Parameter.empty
            default = REQUIRED if each.default is empty else plain(each.default)
            settings[each.name] = Setting(_text(each.annotation), default)
    return Signature(settings, open=passed)


def _text(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    return "" if annotation is inspect.Parameter.empty else inspect.formatannotation(annotation)


def plain(value: Any) -> Any:
    """Return a default as YAML would give it, lists for tuples; UNTOLD for what YAML cannot."""
    if isinstance(value, list | tuple):
        entries = [plain(entry) for entry in value]
        return UNTOLD if UNTOLD in entries else entries
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value) if isinstance(value, str) else UNTOLD


def problem(key: str, value: object, annotation: str) -> str:
    """Say why the annotation, or the range of such a setting, does not allow a value, or ''."""
    name = "keep_prob" if key.endswith("keep_prob") else key
    if name in RANGES and not (value is None and "None" in annotation):
        said, kind = RANGES[name]
        if not _fits(value, kind):
            return f"expected {said}, found {value!r}"
    if annotation and not _fits(value, annotation):
        return f"expected {_said(annotation)}, found {value!r}"
    return ""


def _said(annotation: str) -> str:
    """Return an annotation in words of YAML."""
    short = annotation.replace("collections.abc.", "").replace("typing.", "")
    return short.replace("Sequence", "list").replace("None", "null").replace(" | ", " or ")


def _fits(value: object, kind: Any) -> bool:
    try:
        _adapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what validates a type, or an annotation; one that cannot be read takes anything."""
    if not isinstance(kind, str):
        return TypeAdapter(kind)
    try:
        tree = ast.fix_missing_locations(_Last().visit(ast.parse(kind, mode="eval")))
        return _adapter(eval(compile(tree, kind, "eval"), {"__builtins__": {}}, TYPES))
    except (TypeError, SyntaxError):
        return TypeAdapter(Any)


class _Last(ast.NodeTransformer):
    """Makes ``collections.abc.Sequence`` the name that it ends with."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.Name:
        return ast.Name(node.attr, ast.Load())


def arguments(
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> list[tuple[ast.arg, ast.expr | None]]:
    """Return the named arguments of a function in a source, each with its default."""
    taken = function.args
    by_place = [*taken.posonlyargs, *taken.args]
    defaults = [None] * (len(by_place) - len(taken.defaults)) + taken.defaults
    every = [*zip(by_place, defaults, strict=True)]
    return [*every, *zip(taken.kwonlyargs, taken.kw_defaults, strict=True)]
