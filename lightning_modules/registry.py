"""Names to things: one small registry behind every choice that a study can make.

Comes in: a name and the thing it names, given once by a decorator. Goes out: the thing, or an
error that says which names are known and which is nearest. Uses the standard library only.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import Tensor

    from lightning_modules.initializers import Initializer
    from lightning_modules.losses import CrossEntropy
    from lightning_modules.optimizers import Builder
    from lightning_modules.reductions import Reduction
    from lightning_modules.schedulers import Schedule

T = TypeVar("T")

# A registration as it stands in a file: the registry's variable, and the name.
REGISTRATION = re.compile(r'^@?(\w+)\.register\(\s*"([^"\n]+)"', re.MULTILINE)
ROOT = Path(__file__).resolve().parents[1]
PRODUCT = (ROOT / "ablation_lab", ROOT / "lightning_modules")

# Word -> the registry of what a setting, or a parameter, names whose last word this is.
ROLES: "dict[str, Registry[Any]]" = {}


@dataclass(frozen=True)
class Place:
    """Where something is registered: a line of a file, or 0 for a file that can do so anywhere."""

    path: Path
    line: int = 0


class UnknownName(ValueError):
    """A name that nobody has registered; the message lists those that are known."""


def nearest(found: object, known: Iterable[object]) -> str:
    """Say which known name is nearest to ``found`` and which names there are."""
    names = [str(name) for name in known]
    close = get_close_matches(str(found), names, n=1, cutoff=0.4)
    hint = f"nearest: {close[0]!r}; " if close else ""
    return f"{hint}known: {', '.join(names) if names else 'none'}"


def unknown(kind: str, name: object, known: Iterable[object]) -> str:
    """Return the sentence that refuses `name`: the kind, the name, the nearest, the known."""
    return f"unknown {kind} {name!r}; {nearest(name, known)}"


class Registry(Generic[T]):
    """Things of one kind by name, in the order in which they were registered.

    Example::

        ACTIVATIONS: Registry[Callable[[Tensor], Tensor]] = Registry("activation")

        @ACTIVATIONS.register("relu")
        def relu(x: Tensor) -> Tensor: ...

        ACTIVATIONS.get("relu")

    Anything can be registered: `register(name)` returns a function that takes the thing, keeps
    it, and gives it back unchanged. `words` are the last words of the settings that name such a
    thing: with "init", those called init, dense_init, ...
    """

    def __init__(self, kind: str, *, words: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._things: dict[str, T] = {}
        self._lines: dict[str, str] = {}
        self._places: dict[str, tuple[Place, ...]] = {}
        self._modules: list[str] = []
        self._home = sys._getframe(1).f_globals
        for word in words:
            if word in ROLES:
                raise ValueError(f"word {word!r} is that of the registry {ROLES[word].kind!r}")
            ROLES[word] = self

    def register(self, name: str, *, above: int = 0) -> Callable[[T], T]:
        """Return a decorator that keeps its argument under `name`.

        A function that registers for its caller says so by `above`, the calls between the two.
        Errors: ValueError if the name is empty or taken; the message names both places.
        """
        # The caller's line is kept, for things without a source of their own (instances) too.
        frame = sys._getframe(1 + above)
        file = frame.f_code.co_filename
        line = f"{file}:{frame.f_lineno}"
        if not name:
            raise ValueError(f"{line}: a name for this {self.kind} is expected, found ''")
        places = tuple(_places(frame))

        def keep(thing: T) -> T:
            first = self._lines[name] if name in self._things else self._elsewhere(name, file)
            if first:
                raise ValueError(
                    f"{self.kind} {name!r} is registered twice: at {first} "
                    f"and at {line}; rename one of them"
                )
            self._things[name] = thing
            self._lines[name] = line
            self._places[name] = places
            return thing

        return keep

    def found_in(self, module: str) -> None:
        """Let a module, or the modules of a package, be imported when a name is asked for.

        Which names they register is read in their source.
        """
        self._modules.append(module)

    @cached_property
    def variable(self) -> str:
        """The name of the variable that holds the registry, where it was made."""
        return next((name for name, value in self._home.items() if value is self), "")

    def loaded(self, name: str) -> T | None:
        """Return the thing called `name` if what registers it is imported already."""
        return self._things.get(name)

    def get(self, name: str) -> T:
        """Return the thing called `name`.

        Errors: UnknownName, with the nearest name and all that are known.
        """
        if name not in self._things:
            found = self._read()
            for module in (found[name][0],) if name in found else self._modules:
                import_module(module)
        try:
            return self._things[name]
        except KeyError:
            raise UnknownName(unknown(self.kind, name, self.names())) from None

    def names(self) -> tuple[str, ...]:
        """Return all names: those in the modules that are not imported yet, then the others."""
        return tuple(dict.fromkeys([*self._read(), *self._things]))

    def places(self, name: str) -> tuple[Place, ...]:
        """Return where `name` is registered; its module is imported only if nothing else helps.

        Errors: UnknownName.
        """
        if name not in self._things:
            found = self._read()
            if name in found:
                return (found[name][1],)
            self.get(name)
        return self._places[name]

    def _elsewhere(self, name: str, file: str) -> str:
        """Return where a module that is not imported yet registers `name`, '' for this file."""
        found = self._read().get(name)
        if found is None or Path(found[1].path) == Path(file):
            return ""
        return f"{found[1].path}:{found[1].line}"

    def _read(self) -> dict[str, tuple[str, Place]]:
        """Return name -> (module, place) of what the source of its modules registers."""
        return {
            name: (module, place)
            for each in self._modules
            for module, variable, name, place in _registrations(each)
            if variable == self.variable
        }


@cache
def _registrations(module: str) -> tuple[tuple[str, str, str, Place], ...]:
    """Return (module, variable, name, place) for everything that a module or package registers."""
    return tuple(
        (name, found[1], found[2], Place(path, text.count("\n", 0, found.start()) + 1))
        for name, path in _files(module)
        for text in [path.read_text(encoding="utf-8")]
        for found in REGISTRATION.finditer(text)
    )


def _files(module: str) -> Iterator[tuple[str, Path]]:
    """Yield the modules of a package, or the one, with their files; none of them is imported."""
    spec = find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(f"no module {module!r}, which is said to register things")
    if spec.submodule_search_locations is None:
        yield module, Path(spec.origin or "").resolve()
    for folder in spec.submodule_search_locations or ():
        for path in sorted(Path(folder).resolve().glob("*.py")):
            yield module if path.stem == "__init__" else f"{module}.{path.stem}", path


def _places(frame: FrameType) -> Iterator[Place]:
    """Yield the lines that led to a registration, up to the module that was being imported.

    Functions of the product that register for others are none of them; where the way cannot be
    followed, the whole file is the place.
    """
    lines: list[Place] = []
    while True:
        path = Path(frame.f_code.co_filename).resolve()
        is_module = frame.f_code.co_name == "<module>"
        is_ours = any(path.is_relative_to(folder) for folder in PRODUCT)
        if is_module or not is_ours:
            lines.append(Place(path, frame.f_lineno))
        if is_module:
            yield from lines
            return
        caller = frame.f_back
        if caller is None or not (is_ours or _is_beside(caller, path)):
            yield Place(path)
            return
        frame = caller


def _is_beside(caller: FrameType, path: Path) -> bool:
    other = Path(caller.f_code.co_filename).resolve()
    return other.parent == path.parent or "site-packages" not in other.parts


# They stand here and not beside the things, whose files import torch: which names there are, and
# where, is known without it.
FAMILIES: "Registry[type[pl.LightningModule]]" = Registry("family", words=("family",))
ACTIVATIONS: "Registry[Callable[[Tensor], Tensor]]" = Registry("activation", words=("activation",))
INITIALIZERS: "Registry[Initializer]" = Registry("initialiser", words=("init", "weight", "bias"))
OPTIMIZERS: "Registry[Builder]" = Registry("optimiser", words=("optimizer",))
SCHEDULERS: "Registry[Schedule]" = Registry("scheduler", words=("scheduler",))
LOSSES: "Registry[CrossEntropy]" = Registry("loss", words=("loss",))
REDUCTIONS: "Registry[Reduction]" = Registry("reduction", words=("reduction",))
for _registry in (FAMILIES, ACTIVATIONS, INITIALIZERS, OPTIMIZERS, SCHEDULERS, LOSSES, REDUCTIONS):
    _registry.found_in("lightning_modules")
